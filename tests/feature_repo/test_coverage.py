"""Coverage: each utterance's state against states planted by hand."""

import numpy as np
import polars as pl
import pytest

from feature_repo.coverage import coverage, utterance_states
from feature_repo.fill import fill
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store

RECIPE = Recipe("text", "letters", 1, "text", "pooled", 2, languages=("en",))


def letters(missing):
    """A vector of a text's length; texts that start with ! fail, those that start with ? have nothing."""
    for view, ids in missing.items():
        for utterance_id in ids:
            letter = utterance_id.rsplit("/", 1)[1][0]
            if letter == "f":
                yield view, utterance_id, Fault("extract", "ValueError", "planted")
            elif letter == "n":
                yield view, utterance_id, Features(None, "planted nothing")
            else:
                yield view, utterance_id, Features(np.ones(2, np.float32))


@pytest.fixture
def store(tmp_path) -> Store:
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    names = ["present", "nothing", "stale", "faulted", "german", "silent"]
    rows = pl.DataFrame(
        {
            "utterance_id": [f"c/{name}" for name in names],
            "text": ["a", "b", "c", "d", "e", None],
            "language": ["en", None, "en", "en", "de", "en"],
        }
    )
    store.write_manifest("c", rows)
    fill(store, [RECIPE], letters)
    changed = rows.with_columns(
        text=pl.when(pl.col("utterance_id") == "c/stale").then(pl.lit("changed")).otherwise("text")
    )
    late = pl.DataFrame({"utterance_id": ["c/missing"], "text": ["late"], "language": ["en"]})
    store.write_manifest("c", pl.concat([changed, late]))
    return store


def test_every_state_is_told_apart(store):
    states = utterance_states(store, RECIPE.view, store.manifest())
    assert dict(states.select("utterance_id", "state").iter_rows()) == {
        "c/present": "present",
        "c/nothing": "nothing",
        "c/stale": "stale",
        "c/faulted": "faulted",
        "c/missing": "missing",
        "c/german": "inapplicable",
        "c/silent": "inapplicable",
    }


def test_counts_add_up_and_follow_a_fill(store):
    (before,) = coverage(store)
    assert before.counts == {
        "present": 1,
        "nothing": 1,
        "stale": 1,
        "faulted": 1,
        "missing": 1,
        "inapplicable": 2,
    }
    assert before.applicable == 5
    fill(store, [RECIPE], letters)
    (after,) = coverage(store)
    assert (after.counts["present"], after.counts["stale"], after.counts["missing"]) == (3, 0, 0)


def test_a_corpus_that_a_view_asks_nothing_of_is_left_out(store):
    store.write_manifest("mute", pl.DataFrame({"utterance_id": ["mute/1"], "media_uri": ["/none.wav"]}))
    assert {entry.corpus for entry in coverage(store)} == {"c"}


def test_a_speaker_s_table_is_counted_by_speakers(tmp_path):
    from tests.feature_repo.planted_records import REFERENCE, derive, people

    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    speakers = {"c/1": "ann", "c/2": "ann", "c/3": "bob", "c/4": None, "c/5": "carl"}
    said = {"c/1": "one", "c/2": "two", "c/3": "", "c/4": "four", "c/5": "five"}
    store.write_manifest("c", people(said, speakers))
    derive(store)
    store.write_manifest("c", people({**said, "c/5": "changed"}, {**speakers, "c/4": "dan"}))
    (found,) = coverage(store, [REFERENCE.view])
    # Bob's only clip shows nothing; of dan nothing was computed yet; carl's clip has no new row yet.
    assert found.counts == {
        "present": 2,
        "nothing": 1,
        "stale": 0,
        "faulted": 0,
        "missing": 1,
        "inapplicable": 0,
    }
    states = utterance_states(store, REFERENCE.view, store.manifest().filter(pl.col("utterance_id") == "c/3"))
    assert states.select("utterance_id", "corpus", "state").rows() == [("bob", "c", "nothing")]


def test_a_speaker_of_whom_only_some_rows_are_looked_at_is_judged_by_all(tmp_path):
    from tests.feature_repo.planted_records import REFERENCE, derive, people

    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    store.write_manifest("c", people({"c/1": "one", "c/2": "two"}, {"c/1": "ann", "c/2": "ann"}))
    derive(store)
    one = store.manifest().filter(pl.col("utterance_id") == "c/1")
    assert utterance_states(store, REFERENCE.view, one)["state"].to_list() == ["present"]


def test_what_no_search_was_called_for_is_not_missing(store):
    around = Recipe("offsets", "letters", 1, "text", "pooled", 2, languages=("en",))
    fill(store, [around], letters, ids=["c/present", "c/nothing", "c/faulted"])
    states = utterance_states(store, around.view, store.manifest())
    assert dict(states.select("utterance_id", "state").iter_rows()) == {
        "c/present": "present",
        "c/nothing": "nothing",
        "c/faulted": "faulted",
        **dict.fromkeys(["c/stale", "c/missing", "c/german", "c/silent"], "inapplicable"),
    }
