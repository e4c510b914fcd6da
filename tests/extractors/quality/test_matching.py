"""Matches over stored faces whose cosines are known, and over arrays made by hand."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.quality.matching import measures, unmatched
from extractors.quality.stored_faces import FaceBatch
from feature_repo.fill import FillReport
from feature_repo.records import live_values
from feature_repo.store import Store
from tests.extractors.quality.conftest import records
from tests.extractors.quality.planted_faces import look, manifest, planted_store

Derived = Callable[[Store], Mapping[str, FillReport]]
CLIPS: dict[str, tuple[str | None, str]] = {
    # Ann's reference is of the first three: A's axis but for what three clips add on axes of their own.
    "c/a0": ("ann", "A0.99@0.5 A0.99@1.5"),
    "c/a1": ("ann", "A0.99@0.5"),
    "c/a2": ("ann", "B@0.5 A0.99@0.5 A0.8@1.5 -@2.5"),
    "c/a3": ("ann", "B@0.5 C@0.5"),
    "c/a4": ("ann", "-@0.5 -@1.5"),
    "c/e0": ("eve", "-@0.5"),
    "c/x0": (None, "A@0.5"),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return planted_store(tmp_path, CLIPS)


def test_what_is_told_of_an_utterance(store: Store, derived: Derived) -> None:
    derived(store)
    slots = store.catalog.slots("default")
    found = records(store, "match")
    reference = live_values(store, slots["reference"], ["ann"])["ann"]
    faces = live_values(store, slots["faces_steps"], ["c/a2"])["c/a2"]
    cosine = faces @ reference
    told = found["c/a2"]
    assert told["similarities"] == pytest.approx(cosine.tolist(), abs=1e-6)
    assert (told["frames"], told["faced"], told["faces"], told["reference"]) == (3, 2, 3, 1)
    assert told["similarity"] == pytest.approx(cosine[1])
    assert told["mean_similarity"] == pytest.approx((cosine[1] + cosine[2]) / 2)
    assert told["best_time_s"] == 0.5
    assert cosine[1] > 0.97
    assert cosine[2] == pytest.approx(0.8, abs=0.05)
    assert abs(cosine[0]) < 0.1


def test_somebody_else_nobody_and_no_reference(store: Store, derived: Derived) -> None:
    derived(store)
    found = records(store, "match")
    assert set(found) == set(CLIPS)
    assert found["c/a3"]["similarity"] < 0.2
    assert (found["c/a3"]["faced"], found["c/a3"]["faces"]) == (1, 2)
    nobody = {
        "frames": 2,
        "faced": 0,
        "faces": 0,
        "similarity": None,
        "mean_similarity": None,
        "reference": 1,
    }
    assert {name: found["c/a4"][name] for name in nobody} == nobody
    for name in ("c/e0", "c/x0"):
        assert (found[name]["reference"], found[name]["similarity"], found[name]["similarities"]) == (
            0,
            None,
            [],
        )
    assert found["c/x0"]["faces"] == 1


def test_only_the_speakers_half_of_a_split_screen_counts(tmp_path: Path, derived: Derived) -> None:
    clips: dict[str, tuple[str | None, str]] = {"c/0": ("ann", "A@0.5"), "c/1": ("ann", "A@0.5 B@0.5 B@1.5")}
    store = planted_store(tmp_path, clips, picture={"c/1": "right"})
    store.reviews.add(pl.DataFrame({"utterance_id": ["c/1"], "decision": ["misaligned"]}))
    derived(store)
    told = records(store, "match")["c/1"]
    assert (told["faced"], told["faces"]) == (2, 2)
    assert told["similarity"] < 0.2, "Ann's own face lies in the other half"
    assert max(told["similarities"]) > 0.85, "and is told of all the same"
    store.write_manifest("c", manifest(clips, {"c/1": "left"}))
    reports = derived(store)
    assert reports["match"].computed == 1, "another half is another content"
    assert records(store, "match")["c/1"]["similarity"] > 0.85


def test_which_utterances_want_a_look_around(store: Store, derived: Derived) -> None:
    derived(store)
    slots = store.catalog.slots("default")
    faces, match = store.recipe(slots["faces_steps"]), store.recipe(slots["match"])
    assert unmatched(store, faces, match, 0.5) == ["c/a3", "c/a4"]
    assert unmatched(store, faces, match, 1.01) == [f"c/a{n}" for n in range(5)]


def test_a_picture_that_is_one_face_has_nothing_around(tmp_path: Path, derived: Derived) -> None:
    store = planted_store(
        tmp_path, {"c/0": ("ann", "A@0.5"), "c/1": ("ann", "A@0.5"), "c/2": ("ann", "whole B@0.0")}
    )
    derived(store)
    slots = store.catalog.slots("default")
    faces, match = store.recipe(slots["faces_steps"]), store.recipe(slots["match"])
    assert records(store, "match")["c/2"]["similarity"] < 0.5
    assert unmatched(store, faces, match, 0.5) == []


def test_an_utterance_that_is_new_is_the_only_one_computed(store: Store, derived: Derived) -> None:
    derived(store)
    store.write_manifest("c", manifest({**CLIPS, "c/x1": (None, "B@0.5")}))
    look(store)
    reports = derived(store)
    assert {name: report.computed for name, report in reports.items()} == {
        "reference": 0,
        "match": 1,
        "face": 2,
    }


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 6))
def test_measures_against_a_plain_loop(seed: int, faces: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    row = np.sort(rng.integers(0, rows, faces))
    moment = rng.integers(0, 3, faces)
    cosine = rng.uniform(-1, 1, faces).astype(np.float32)
    allowed, known = rng.random(faces) < 0.7, rng.random(rows) < 0.8
    batch = FaceBatch(
        ids=[str(n) for n in range(rows)],
        known=np.ones(rows, bool),
        frames=np.full(rows, 3),
        whole=np.zeros(rows, bool),
        offsets=np.searchsorted(row, np.arange(rows + 1)),
        embeddings=np.zeros((faces, 2), np.float32),
        row=row,
        frame=row * 10 + moment,
        time_s=(moment + 0.5).astype(np.float32),
        score=np.ones(faces, np.float32),
        share=np.ones(faces),
        allowed=allowed,
    )
    found = list(measures(batch, cosine, known))
    assert len(found) == rows
    for number, told in enumerate(found):
        own = [at for at in range(faces) if row[at] == number and allowed[at]]
        best = [
            max(cosine[at] for at in own if moment[at] == time) for time in sorted({moment[at] for at in own})
        ]
        assert (told["faces"], told["faced"]) == (len(own), len(best))
        if known[number] and own:
            top = max(own, key=lambda at: cosine[at])
            assert told["similarity"] == pytest.approx(cosine[top])
            assert told["best_time_s"] == moment[top] + 0.5
            assert told["mean_similarity"] == pytest.approx(np.mean(best), abs=1e-6)
        else:
            assert told["similarity"] is told["mean_similarity"] is told["best_time_s"] is None
        every = cosine[row == number].tolist() if known[number] else []
        assert list(told["similarities"]) == every
