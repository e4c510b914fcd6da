"""Records and speakers in the fill loop."""

import numpy as np
import pytest

from feature_repo.fill import fill, plan
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store
from tests.feature_repo.planted import memory_root, new_store, rows, texts
from tests.feature_repo.planted_records import FACES, REFERENCE, Derivation, people


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> Store:
    return new_store(tmp_path, None if request.param == "folder" else memory_root())


def test_columns_count_towards_a_flush(store):
    """A record has nothing else, and a thousand long transcripts are not to wait for the end."""
    record = Recipe("transcript", "x", 1, "text", "record", 0, columns={"words": "text", "ends": "floats"})
    store.write_manifest("c", rows(texts("c", 6)))

    def words(missing):
        for view, ids in missing.items():
            for name in ids:
                yield view, name, Features(None, columns={"words": "a" * 60, "ends": [0.0] * 10})

    fill(store, [record], words, flush_bytes=200)
    assert len(store.table(record.view).parts()) == 3, "two rows of 60 + 40 bytes each"


def test_only_the_speakers_of_the_chosen_utterances_are_filled(store):
    speakers = {"c/1": "ann", "c/2": "ann", "c/3": "bob", "c/4": None}
    store.write_manifest("c", people(dict.fromkeys(speakers, "text"), speakers))
    store.write_manifest("d", people({"d/1": "text"}, {"d/1": "carl"}))
    derivation = Derivation(store)
    fill(store, [FACES], derivation)
    assert list(plan(store, [REFERENCE], ids=["c/2", "c/4"])[REFERENCE.view].keys) == ["ann"]
    assert list(plan(store, [REFERENCE], corpora=["d"])[REFERENCE.view].keys) == ["carl"]
    report = fill(store, [REFERENCE], derivation, corpora=["c"])
    assert report.views[REFERENCE.view].computed == 2
    assert fill(store, [REFERENCE], derivation).views[REFERENCE.view].computed == 1
    # Who is not among the chosen is not buried.
    assert fill(store, [REFERENCE], derivation, corpora=["c"]).views[REFERENCE.view].buried == 0


def test_a_faulted_speaker_is_not_tried_again_before_the_clips_change(store):
    def fails(missing):
        for view, names in missing.items():
            for name in names:
                yield (
                    view,
                    name,
                    Features(np.zeros(2, np.float32), columns={"clips": 0, "used_utterance": []}),
                )

    store.write_manifest("c", people({"c/1": "one"}, {"c/1": "ann"}))
    fill(store, [FACES], Derivation(store))
    assert fill(store, [REFERENCE], fails).faults_by_reason == {"gate: RefusedFeatures": 1}
    assert fill(store, [REFERENCE], fails).views[REFERENCE.view].skipped_faults == 1
    store.write_manifest("c", people({"c/1": "two"}, {"c/1": "ann"}))
    fill(store, [FACES], Derivation(store))
    assert fill(store, [REFERENCE], Derivation(store)).computed == 1
