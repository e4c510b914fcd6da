"""Records and speakers' tables through Feast itself: history, the online store, what is forgotten."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.erasure import forget
from feature_repo.errors import BadInputError
from feature_repo.feast_import import import_feast
from feature_repo.historical import historical
from feature_repo.online import erase_online, lookup, materialize
from feature_repo.registry import register
from feature_repo.store import Store
from tests.feature_repo.planted import new_store
from tests.feature_repo.planted_records import FACES, MATCH, RECORD, REFERENCE, derive, people

TEXTS = {"c/1": "one two", "c/2": "", "c/3": "?", "c/4": "four"}
SPEAKERS = {"c/1": "ann", "c/2": "bob", "c/3": "ann", "c/4": None}
IDS = ["c/4", "c/2", "c/unknown", "c/1", "c/3"]
# By hand, in the order of IDS: c/2 is a nothing, c/3 begins with ?, so how long it is is not known.
WORDS = {
    "transcript_words": ["four", None, None, "one two", "?"],
    "transcript_seconds": [0.5, None, None, 0.875, None],
    "transcript_count": [1, 0, None, 2, 1],
    "transcript_ends": [[1.0], [0.5], None, [0.75, 0.75], [0.25]],
    "transcript_parts": [["four"], None, None, ["one", "two"], ["?"]],
}
TYPES = {
    "transcript_words": pl.String,
    "transcript_seconds": pl.Float32,
    "transcript_count": pl.Int64,
    "transcript_ends": pl.List(pl.Float32),
    "transcript_parts": pl.List(pl.String),
}
ANN = [(ord("o") + ord("?")) / 2, 1.0]


@pytest.fixture
def store(tmp_path) -> Store:
    import_feast()
    store = new_store(tmp_path)
    store.write_manifest("c", people(TEXTS, SPEAKERS))
    derive(store)
    slots = {recipe.slot: recipe.view for recipe in (RECORD, FACES, REFERENCE, MATCH)}
    store.catalog.set("paper", slots)
    return store


def test_a_transcript_is_looked_up_by_its_utterance(store):
    rows = materialize(store).rows
    assert rows == {MATCH.view: 4, REFERENCE.view: 2, RECORD.view: 4}
    found = lookup(store, "transcript", IDS)
    assert found["utterance_id"].to_list() == IDS
    assert found.drop("utterance_id").to_dict(as_series=False) == {
        name: WORDS[name] for name in found.columns[1:]
    }
    assert set(found.columns[1:]) == set(WORDS)
    assert dict(found.drop("utterance_id").schema) == TYPES
    by_view = lookup(store, [RECORD.view], ["c/4"])
    assert by_view[f"{RECORD.view}_words"].to_list() == ["four"]


def test_a_transcript_s_history_is_what_the_table_holds(store):
    found = historical(store, ["transcript", "match"], IDS)
    for name, values in WORDS.items():
        assert found[name].to_list() == values, name
    assert found["match_faces"].to_list() == [1, 0, None, 1, 1]
    difference = (ord("o") - ord("?")) / 2
    assert found["match_similarity"].to_list() == [None, None, None, difference, difference]
    assert found["transcript_count"].dtype == pl.Int64


def test_a_sequence_s_columns_are_in_its_history(store):
    found = historical(store, ["faces_steps"], ["c/4", "c/2"])
    assert found["faces_x"].to_list() == [[102.0, 111.0, 117.0, 114.0], []]
    assert found["faces_frame_times"].to_list() == [[0.5, 1.5]] * 2
    assert found["faces_n"].to_list() == [4, 0]


def test_a_speaker_is_looked_up_by_the_speaker_s_id(store):
    materialize(store, ["reference"])
    ids = ["bob", "ann", "nobody"]
    for found in (lookup(store, "reference", ids), historical(store, ["reference"], ids)):
        assert found["speaker_id"].to_list() == ids
        assert found["reference"].to_list() == [None, ANN, None]
        assert found["reference_clips"].to_list() == [0, 2, None]
        assert found["reference_used_utterance"].to_list() == [None, ["c/1", "c/3"], None]


def test_utterances_and_speakers_are_not_asked_for_at_once(store):
    materialize(store)
    for ask in (lookup, historical):
        with pytest.raises(
            BadInputError, match=rf"{REFERENCE.view} by speaker_id and {RECORD.view} by utterance_id"
        ):
            ask(store, ["transcript", "reference"], ["c/1"])


def test_services_combine_no_measures_and_no_speakers(store):
    report = register(store)
    assert set(report.views) == {RECORD.view, FACES.view, REFERENCE.view, MATCH.view}
    assert report.services == {}


def test_a_changed_record_replaces_the_one_that_was_loaded(store):
    materialize(store)
    store.write_manifest("c", people({**TEXTS, "c/1": "", "c/2": "now there"}, SPEAKERS))
    derive(store)
    materialize(store)
    found = lookup(store, "transcript", ["c/1", "c/2"])
    assert found["transcript_words"].to_list() == [None, "now there"]
    assert lookup(store, "reference", ["bob"])["reference_clips"].to_list() == [1]


@pytest.mark.parametrize("database", ["sqlite", "other"])
def test_a_forgotten_utterance_takes_its_speaker_s_rows_with_it(store, database, monkeypatch):
    materialize(store)
    if database == "other":  # erasure may use nothing but Feast's own interface then
        monkeypatch.setattr("feature_repo.serving.online_backend.is_in_sqlite", lambda feast: False)
    forget(store, ["c/1"])
    assert lookup(store, "reference", ["ann", "bob"])["reference_clips"].to_list() == [None, 0]
    # The others' words are theirs; how well ann's other face fits was computed from the one that went.
    assert lookup(store, "transcript", ["c/1", "c/3"])["transcript_words"].to_list() == [None, "?"]
    assert lookup(store, "match", ["c/3", "c/4"])["match_faces"].to_list() == [None, 1]
    if database == "sqlite":
        secret = np.float32(ANN).tobytes()
        files = [path for path in Path(store.root).rglob("*") if path.is_file()]
        assert not [path.name for path in files if secret in path.read_bytes()]
    derive(store)
    materialize(store)
    assert lookup(store, "reference", ["ann"])["reference"].to_list() == [[ord("?"), 1.0]]
    assert lookup(store, "match", ["c/3"])["match_similarity"].to_list() == [0.0]


def test_what_was_loaded_of_an_older_row_goes_too(store):
    """The speaker's row that is live has nothing of the forgotten clip; the one that was loaded has."""
    materialize(store)
    store.write_manifest("c", people(TEXTS, {**SPEAKERS, "c/1": "bob"}))
    derive(store)
    forget(store, ["c/1"])
    secret = np.float32(ANN).tobytes()
    files = [path for path in Path(store.root).rglob("*") if path.is_file()]
    assert not [path.name for path in files if secret in path.read_bytes()]
    assert lookup(store, "reference", ["ann"])["reference"].to_list() == [None]
    derive(store)
    materialize(store)
    assert lookup(store, "reference", ["ann", "bob"])["reference"].to_list() == [[ord("?"), 1.0], None]
    assert lookup(store, "match", ["c/3"])["match_similarity"].to_list() == [0.0]


def test_erasing_by_hand_takes_the_rows_of_all_views(store):
    materialize(store)
    erase_online(store, ["c/4"])
    assert lookup(store, ["transcript", "match"], ["c/4"]).drop("utterance_id").row(0) == (None,) * 7
