"""Stored faces read back flat: what belongs to whom, where it is, and its cosine to the right reference."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.quality import stored_faces
from extractors.quality.stored_faces import batches, cosines, read_faces
from feature_repo.records import live_values
from feature_repo.store import Store
from tests.extractors.quality.planted_faces import planted_store, vector

CLIPS: dict[str, tuple[str | None, str]] = {
    "c/0": ("ann", "A@0.5 B@0.5 B@1.5"),
    "c/1": ("ann", "-@0.5 -@1.5"),
    "c/2": (None, "whole C@0.0"),
    "c/3": ("bob", "B@0.5 A@1.5 A@2.5"),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return planted_store(tmp_path, CLIPS)


def view(store: Store) -> str:
    return store.catalog.slots("default")["faces_steps"]


def test_faces_lie_flat_in_the_order_that_was_asked_for(store: Store) -> None:
    asked = pl.DataFrame(
        {"utterance_id": ["c/3", "c/9", "c/1", "c/0", "c/2"], "picture": ["left", None, None, "right", None]}
    )
    faces = read_faces(store, view(store), asked)
    assert faces.ids == ["c/3", "c/9", "c/1", "c/0", "c/2"]
    assert faces.known.tolist() == [True, False, True, True, True]
    assert faces.offsets.tolist() == [0, 3, 3, 3, 6, 7]
    assert faces.row.tolist() == [0, 0, 0, 3, 3, 3, 4]
    assert faces.frames.tolist() == [3, 0, 2, 2, 1]
    assert faces.whole.tolist() == [False, False, False, False, True]
    assert faces.time_s.tolist() == [0.5, 1.5, 2.5, 0.5, 0.5, 1.5, 0.0]
    # A sits left, B right: c/3's picture is left (only A may be the speaker), c/0's is right.
    assert faces.allowed.tolist() == [False, True, True, False, True, True, True]
    assert faces.share == pytest.approx([100 * 120 / (400 * 300)] * 7)
    assert faces.score == pytest.approx([0.8, 0.9, 0.9, 0.9, 0.8, 0.8, 0.7])
    same_frame = faces.frame[:, None] == faces.frame
    assert np.argwhere(np.triu(same_frame, 1)).tolist() == [[3, 4]], (
        "two faces of c/0 share a frame, no others do"
    )
    values = live_values(store, view(store), list(CLIPS))
    for row, name in ((0, "c/3"), (3, "c/0"), (4, "c/2")):
        assert np.array_equal(faces.embeddings[faces.faces_of(row)], values[name])


def test_no_faces_at_all(store: Store) -> None:
    faces = read_faces(store, view(store), pl.DataFrame({"utterance_id": ["c/1"], "picture": ["left"]}))
    assert faces.embeddings.shape == (0, 48)
    assert faces.frames.tolist() == [2]
    none = read_faces(
        store,
        view(store),
        pl.DataFrame(
            {"utterance_id": [], "picture": []},
            schema_overrides={"utterance_id": pl.String, "picture": pl.String},
        ),
    )
    assert none.ids == []


def test_a_cosine_is_to_ones_own_reference(store: Store) -> None:
    asked = pl.DataFrame(
        {"utterance_id": list(CLIPS), "picture": [None] * 4}, schema_overrides={"picture": pl.String}
    )
    faces = read_faces(store, view(store), asked)
    references = np.stack([vector("A", 1, 0), vector("B", 1, 0)])
    found = cosines(faces, references, np.array([0, 0, -1, 1]))
    assert found == pytest.approx([0.95, 0, 0, -2, 0.95, 0, 0], abs=1e-6)


def test_rows_come_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_faces, "BATCH", 2)
    found = [frame["utterance_id"].to_list() for frame in batches(store, ["c/3", "c/0", "c/1"])]
    assert found == [["c/0", "c/1"], ["c/3"]]
