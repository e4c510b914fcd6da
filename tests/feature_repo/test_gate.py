"""The gate: nothing that spoils a training set enters, and what enters is what was computed."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from feature_repo.gate import gated
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe

POOLED = Recipe("text", "x", 1, "text", "pooled", 3)
HALF = Recipe("text", "x", 1, "text", "pooled", 3, dtype="float16")
STEPS = Recipe("text", "x", 1, "text", "steps", 3, dtype="float16")
SOUND = Recipe("audio", "x", 1, "media", "steps", 1, dtype="int16")


@pytest.mark.parametrize(
    ("recipe", "value", "reason"),
    [
        (POOLED, [1.0, np.nan, 1.0], "1 of 3 numbers are NaN or infinite"),
        (POOLED, [np.inf, -np.inf, 1.0], "2 of 3 numbers are NaN or infinite"),
        (POOLED, [0.0, 0.0, 0.0], "the vector is zero"),
        (POOLED, [0.0, -0.0, 0.0], "the vector is zero"),
        (POOLED, [1.0, 2.0], r"shape \[2\] where the recipe says \[3\]"),
        (POOLED, [[1.0, 2.0, 3.0]], r"shape \[1, 3\] where the recipe says \[3\]"),
        (POOLED, 1.0, r"shape \[\] where"),
        (POOLED, [1, 2, 3], "type int64 where the recipe says float32"),
        (POOLED, ["a", "b", "c"], "type <U1"),
        (POOLED, [1.0 + 1j, 1.0, 1.0], "type complex128"),
        (POOLED, [1e39, 1.0, 1.0], r"up to 1e\+39 do not fit into float32"),
        (HALF, [1e-9, 0.0, 0.0], "the vector is zero"),
        (STEPS, [1.0, 2.0, 3.0], r"shape \[3\] where the recipe says \[n, 3\]"),
        (STEPS, [[1.0, 2.0]], r"shape \[1, 2\]"),
        (STEPS, [[70000.0, 1.0, 1.0]], r"up to 7e\+04 do not fit into float16"),
        (STEPS, [[np.nan, 1.0, 1.0]], "NaN"),
        (SOUND, [[0.5]], "type float64 where the recipe says int16"),
        (SOUND, np.array([[1]], np.int32), "type int32 where the recipe says int16"),
    ],
)
def test_what_is_refused_becomes_a_fault_that_says_why(recipe, value, reason):
    found = gated(recipe, Features(np.asarray(value)))
    assert isinstance(found, Fault)
    assert found.stage == "gate"
    assert re.search(reason, found.message), found.message


def test_a_nothing_needs_a_reason():
    assert gated(POOLED, Features(None, "no face")) == Features(None, "no face")
    assert isinstance(gated(POOLED, Features(None)), Fault)


def test_an_empty_sequence_is_a_nothing():
    found = gated(STEPS, Features(np.empty((0, 3), np.float32)))
    assert isinstance(found, Features)
    assert (found.value, found.note) == (None, "an empty sequence")


def test_silence_is_sound():
    found = gated(SOUND, Features(np.zeros((4, 1), np.int16)))
    assert isinstance(found, Features)
    assert found.value.tolist() == [[0]] * 4


def test_a_fault_stays_one():
    fault = Fault("decode", "ValueError", "x")
    assert gated(POOLED, fault) is fault


def test_a_note_beside_a_value_is_not_taken_for_a_nothing():
    assert gated(POOLED, Features(np.ones(3, np.float32), "fine")).note == ""


def test_a_note_of_bytes_that_are_no_text_can_be_stored():
    assert gated(POOLED, Features(None, "caf\udce9.wav is silent")).note == r"caf\udce9.wav is silent"


def test_the_extractor_may_use_its_buffer_again():
    buffer = np.ones((2, 3), np.float32)
    found = gated(POOLED, Features(buffer[0]))
    buffer[:] = 7
    assert found.value.tolist() == [1, 1, 1]
    assert found.value.base is None, "a row would keep its whole batch in memory"


@given(
    arrays.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.dtype(">f4")]),
        (3,),
        elements=st.floats(-1000, 1000, width=16),
    )
)
def test_what_enters_is_the_value_in_the_recipe_s_type(value):
    found = gated(POOLED, Features(value))
    if not np.any(value):
        assert isinstance(found, Fault)
    else:
        assert found.value.dtype == np.dtype("<f4")
        assert found.value.tolist() == value.tolist()


def test_a_strided_sequence_is_stored_row_by_row():
    value = np.arange(12, dtype=np.float32).reshape(3, 4).T
    found = gated(STEPS, Features(value))
    assert found.value.tobytes() == np.ascontiguousarray(value).astype("<f2").tobytes()


EVERY_TYPE = {"number": "float", "count": "int", "words": "text", "many": "floats", "some": "texts"}
RECORD = Recipe("transcript", "x", 1, "text", "record", 0, columns=EVERY_TYPE)
BOXED = Recipe("faces", "x", 1, "media", "steps", 2, columns={"x": "step", "times": "floats", "wide": "int"})
GOOD = {"number": 0.5, "count": 3, "words": "a b", "many": [1.0, 2.0], "some": ["a", "b"]}
BOXES = {"x": [1.0, 2.0], "times": [0.5], "wide": 640}
TWO = np.ones((2, 2), np.float32)


def plain(columns):
    return {
        name: entry.tolist() if isinstance(entry, np.ndarray) else entry for name, entry in columns.items()
    }


def test_a_record_s_columns_enter_as_they_are_and_may_be_zero():
    assert plain(gated(RECORD, Features(None, columns=GOOD)).columns) == GOOD
    zeros = {"number": 0.0, "count": 0, "words": "", "many": [], "some": []}
    assert plain(gated(RECORD, Features(None, columns=zeros)).columns) == zeros
    unknown = {**GOOD, "number": None, "count": None, "words": None}
    assert plain(gated(RECORD, Features(None, columns=unknown)).columns) == unknown


def test_numpy_s_numbers_and_lists_are_numbers_and_lists():
    given_ = {
        "number": np.float64(0.1),
        "count": np.int32(3),
        "words": np.str_("a"),
        "many": np.array([1, 2]),
        "some": ("a",),
    }
    found = gated(RECORD, Features(None, columns=given_)).columns
    assert found["number"] == np.float32(0.1)
    assert (found["count"], found["words"], found["some"]) == (3, "a", ["a"])
    assert found["many"].dtype == np.float32
    assert [type(found[name]) for name in ("number", "count", "words")] == [float, int, str]


@pytest.mark.parametrize(
    ("recipe", "change", "reason"),
    [
        (RECORD, {"number": np.nan}, "column 'number' has a number that is NaN or infinite"),
        (RECORD, {"number": np.inf}, "'number' has a number that is NaN"),
        (RECORD, {"number": 1e39}, r"column 'number': 1e\+39 does not fit into float32"),
        (RECORD, {"number": 10**400}, "column 'number' has an integer that no float holds"),
        (RECORD, {"number": "0.5"}, "column 'number' is '0.5' of type str where the recipe says a number"),
        (RECORD, {"number": True}, "True of type bool where the recipe says a number"),
        (RECORD, {"count": 3.0}, "column 'count' is 3.0 of type float where the recipe says an integer"),
        (RECORD, {"count": np.bool_(True)}, "where the recipe says an integer"),
        (RECORD, {"count": 2**63}, "does not fit into 64 bits"),
        (RECORD, {"words": 3}, "column 'words' is 3 of type int where the recipe says text"),
        (RECORD, {"words": b"bytes"}, "where the recipe says text"),
        (RECORD, {"many": None}, "column 'many' is None of type NoneType where the recipe says a list"),
        (
            RECORD,
            {"many": [1.0, None]},
            "column 'many' is None of type NoneType where the recipe says a number",
        ),
        (RECORD, {"many": [1.0, np.nan]}, "column 'many' has a number that is NaN"),
        (RECORD, {"many": np.array([1.0, np.inf])}, "column 'many' has a number that is NaN"),
        (RECORD, {"many": np.ones((2, 2))}, r"column 'many' has shape \[2, 2\]"),
        (RECORD, {"many": 1.0}, "where the recipe says a list"),
        (RECORD, {"many": "12"}, "where the recipe says a list"),
        (RECORD, {"some": "ab"}, "where the recipe says a list"),
        (RECORD, {"some": ["a", None]}, "column 'some' is None of type NoneType where the recipe says text"),
        (RECORD, {"more": 1}, "column 'more' is not the recipe's; allowed: count, many, number, some, words"),
        (RECORD, {"words": ...}, "column 'words' is missing"),
        (BOXED, {"x": [1.0]}, "column 'x' has 1 entries for 2 steps"),
        (BOXED, {"x": [1.0, 2.0, 3.0]}, "column 'x' has 3 entries for 2 steps"),
        (BOXED, {"times": ...}, "column 'times' is missing"),
    ],
)
def test_a_column_that_is_not_the_recipe_s_is_a_fault(recipe, change, reason):
    good = GOOD if recipe is RECORD else BOXES
    # An ellipsis takes the column away.
    columns = {name: entry for name, entry in {**good, **change}.items() if entry is not ...}
    found = gated(recipe, Features(TWO if recipe is BOXED else None, columns=columns))
    assert isinstance(found, Fault)
    assert re.search(reason, found.message), found.message


def test_a_view_without_columns_takes_none():
    found = gated(POOLED, Features(np.ones(3, np.float32), columns={"x": 1}))
    assert found.message == "column 'x' is not the recipe's; allowed: none"


def test_a_record_has_no_value():
    found = gated(RECORD, Features(np.ones(3, np.float32), columns=GOOD))
    assert found.message == "a record has columns, and no value"


def test_a_nothing_may_tell_what_is_known_of_it_and_has_no_steps():
    found = gated(BOXED, Features(None, "no face", {"times": [0.5], "wide": 640}))
    assert (found.value, found.note, plain(found.columns)) == (
        None,
        "no face",
        {"times": [0.5], "wide": 640, "x": []},
    )
    assert plain(gated(BOXED, Features(None, "no face")).columns) == {"x": []}
    assert plain(gated(RECORD, Features(None, "empty transcript", {"count": 0})).columns) == {"count": 0}
    assert "1 entries for 0 steps" in gated(BOXED, Features(None, "no face", {"x": [1.0]})).message
    assert "'more' is not" in gated(BOXED, Features(None, "no face", {"more": 1})).message
    assert "NaN" in gated(RECORD, Features(None, "empty", {"number": np.nan})).message


def test_an_empty_sequence_keeps_what_is_known_of_it():
    found = gated(BOXED, Features(np.empty((0, 2), np.float32), columns={**BOXES, "x": []}))
    assert (found.value, found.note, plain(found.columns)) == (
        None,
        "an empty sequence",
        {"x": [], "times": [0.5], "wide": 640},
    )


def test_a_list_is_the_gate_s_own():
    times = np.array([0.5, 1.5], np.float32)
    found = gated(BOXED, Features(TWO, columns={**BOXES, "times": times}))
    times[:] = 9
    assert found.columns["times"].tolist() == [0.5, 1.5]


def test_words_of_bytes_that_are_no_text_can_be_stored():
    found = gated(RECORD, Features(None, columns={**GOOD, "words": "caf\udce9", "some": ["\udce9"]}))
    assert (found.columns["words"], found.columns["some"]) == (r"caf\udce9", [r"\udce9"])
