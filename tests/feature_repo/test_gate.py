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
