"""Records, further columns and speakers' tables: what was computed comes back, of whom and when it should."""

import numpy as np
import polars as pl
import pytest

from feature_repo.compaction import compact, gc
from feature_repo.errors import UnknownNameError
from feature_repo.fill import fill
from feature_repo.records import current_rows, live_rows, live_values
from feature_repo.store import Store
from tests.feature_repo.planted import memory_root, new_store
from tests.feature_repo.planted_records import FACES, MATCH, RECORD, REFERENCE, Derivation, derive, people

TEXTS = {"c/1": "one two", "c/2": "", "c/3": "?", "c/4": "four"}
SPEAKERS = {"c/1": "ann", "c/2": "bob", "c/3": "ann", "c/4": None}


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> Store:
    store = new_store(tmp_path, None if request.param == "folder" else memory_root())
    store.write_manifest("c", people(TEXTS, SPEAKERS))
    derive(store)
    return store


def test_a_record_of_every_type_comes_back(store):
    found = current_rows(store, RECORD.view, store.manifest()).to_dicts()
    nothing = {"utterance_id": "c/2", "state": "nothing", "note": "empty", "seconds": None, "count": 0}
    assert found == [
        {
            "utterance_id": "c/1",
            "state": "present",
            "note": None,
            "seconds": 0.875,
            "count": 2,
            "words": "one two",
            "ends": [0.75, 0.75],
            "parts": ["one", "two"],
        },
        {**nothing, "words": None, "ends": [0.5], "parts": None},
        {
            "utterance_id": "c/3",
            "state": "present",
            "note": None,
            "seconds": None,
            "count": 1,
            "words": "?",
            "ends": [0.25],
            "parts": ["?"],
        },
        {
            "utterance_id": "c/4",
            "state": "present",
            "note": None,
            "seconds": 0.5,
            "count": 1,
            "words": "four",
            "ends": [1.0],
            "parts": ["four"],
        },
    ]


def test_a_record_of_another_content_is_not_given(store):
    store.write_manifest("c", people({**TEXTS, "c/1": "changed", "c/5": "new"}, {**SPEAKERS, "c/5": "ann"}))
    found = current_rows(store, RECORD.view, store.manifest())
    assert dict(found.select("utterance_id", "state").iter_rows()) == {
        "c/1": "stale",
        "c/2": "nothing",
        "c/3": "present",
        "c/4": "present",
        "c/5": "missing",
    }
    assert found["words"].to_list() == [None, None, "?", "four", None]
    live = live_rows(store, RECORD.view, columns=["words"])
    assert live.columns == ["utterance_id", "content_key", "note", "n", "words"]
    assert live["words"].to_list() == ["one two", None, "?", "four"], "what is live is live"


def test_rows_of_some_ids_and_the_steps_of_each(store):
    found = live_rows(store, FACES.view, ids=["c/4", "c/2", "c/9"])
    assert found["utterance_id"].to_list() == ["c/2", "c/4"]
    assert found["n"].to_list() == [0, 4]
    assert found["note"].to_list() == ["no face", None]
    assert found["x"].to_list() == [[], [102.0, 111.0, 117.0, 114.0]]
    assert found["frame_times"].to_list() == [[0.5, 1.5]] * 2
    assert found["frame_width"].to_list() == [640, 640]


def test_values_come_in_their_shape(store):
    found = live_values(store, FACES.view, ["c/2", "c/4", "c/1", "c/9"])
    assert {name: value.shape for name, value in found.items()} == {"c/4": (4, 2), "c/1": (7, 2)}
    np.testing.assert_array_equal(found["c/4"][:, 0], [102, 111, 117, 114])
    means = live_values(store, REFERENCE.view, ["ann", "bob"])
    np.testing.assert_array_equal(means["ann"], [(ord("o") + ord("?")) / 2, 1])
    assert set(means) == {"ann"}, "bob has a row that says that there is nothing"
    with pytest.raises(UnknownNameError, match="view with values"):
        live_values(store, RECORD.view, ["c/1"])


def test_a_speaker_s_row_is_about_the_speaker(store):
    found = current_rows(store, REFERENCE.view, store.manifest())
    assert found.to_dicts() == [
        {
            "utterance_id": "ann",
            "state": "present",
            "note": None,
            "clips": 2,
            "used_utterance": ["c/1", "c/3"],
        },
        {
            "utterance_id": "bob",
            "state": "nothing",
            "note": "no face of theirs",
            "clips": 0,
            "used_utterance": None,
        },
    ]
    part = store.table(REFERENCE.view).read_part(store.table(REFERENCE.view).parts()[0])
    assert part.column_names[:2] == ["speaker_id", "content_key"]
    assert part.column_names[-3:] == ["reference", "reference_clips", "reference_used_utterance"]


def test_what_is_derived_follows_the_speaker_s_row(store):
    assert derive(store) == []
    ann = (ord("o") - ord("?")) / 2
    match = current_rows(store, MATCH.view, store.manifest())
    assert match["similarity"].to_list() == [ann, None, ann, None]
    store.write_manifest("c", people({**TEXTS, "c/3": "z"}, SPEAKERS))
    asked = derive(store)
    assert [pair for pair in asked if pair[0] == REFERENCE.view] == [(REFERENCE.view, "ann")]
    assert sorted(name for view, name in asked if view == MATCH.view) == ["c/1", "c/3"]
    assert derive(store) == []


def test_a_row_without_a_reference_is_made_anew_when_there_is_one(store):
    store.write_manifest("c", people(TEXTS, {**SPEAKERS, "c/4": "dan"}))
    asked = derive(store)
    assert asked == [(REFERENCE.view, "dan"), (MATCH.view, "c/4")]
    assert current_rows(store, MATCH.view, store.manifest())["similarity"][3] == 0
    store.write_manifest("c", people(TEXTS, SPEAKERS))
    report = fill(store, [REFERENCE], Derivation(store))
    assert report.views[REFERENCE.view].buried == 1, "nobody is called dan any more"
    report = fill(store, [MATCH], Derivation(store))
    assert report.views[MATCH.view].copied == 1, "the row without a reference is still there"


def test_merging_keeps_columns_and_speakers(store):
    store.write_manifest("c", people({**TEXTS, "c/3": "three"}, SPEAKERS))
    derive(store)
    views = (RECORD.view, FACES.view, REFERENCE.view, MATCH.view)
    before = [live_rows(store, view) for view in views]
    for view in views:
        assert compact(store.table(view)).parts_after == 1
        gc(store.table(view), grace_s=0)
    for view, expected in zip(views, before, strict=True):
        assert live_rows(store, view).equals(expected)
        assert current_rows(store, view, store.manifest())["state"].is_in(["present", "nothing"]).all()


def test_a_row_that_went_away_between_two_looks_is_looked_for_again(store, monkeypatch):
    table = store.table(RECORD.view)
    store.write_manifest("c", people({**TEXTS, "c/3": "three"}, SPEAKERS))
    derive(store)
    read = table.read_part
    calls = []

    def merged_meanwhile(name, columns=None):
        if not calls:
            calls.append(name)
            compact(store.table(RECORD.view))
            gc(store.table(RECORD.view), grace_s=0)
        return read(name, columns)

    table.index()
    monkeypatch.setattr(table, "read_part", merged_meanwhile)
    assert live_rows(store, RECORD.view)["words"].to_list() == ["one two", None, "three", "four"]
    assert calls


def test_an_unknown_column_is_named(store):
    with pytest.raises(UnknownNameError, match="'wrods'.*allowed: count, ends, parts, seconds, words"):
        live_rows(store, RECORD.view, columns=["wrods"])


def test_an_empty_view_has_its_columns(tmp_path):
    store = new_store(tmp_path)
    store.write_manifest("c", people(TEXTS, SPEAKERS))
    store.ensure_table(RECORD)
    found = current_rows(store, RECORD.view, store.manifest())
    assert found["state"].to_list() == ["missing"] * 4
    assert found.schema["parts"] == pl.List(pl.String)
    assert live_rows(store, RECORD.view).is_empty()
