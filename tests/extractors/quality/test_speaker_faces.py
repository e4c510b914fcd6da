"""The speaker's own face: of each frame the right one, from around where no frame has it, or a reason."""

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.protocol import Item
from extractors.quality.references import ReferenceDerivation
from extractors.quality.speaker_faces import SpeakerFaceDerivation, choose
from extractors.quality.stored_faces import FaceBatch
from feature_repo.fill import FillReport, fill
from feature_repo.records import live_values
from feature_repo.store import Store
from tests.extractors.quality.conftest import SAME, records, run
from tests.extractors.quality.planted_faces import PlantedFaces, PlantedSettings, planted_store

Derived = Callable[[Store], Mapping[str, FillReport]]
CLIPS: dict[str, tuple[str | None, str]] = {
    "c/a0": ("ann", "B@0.5 A@0.5 A0.7@1.5 B@1.5 B@2.5"),
    "c/a1": ("ann", "A@0.5"),
    "c/a2": ("ann", "C@0.5 | A0.8@0.6 C@0.6 C@0.7 A@0.9"),
    "c/a3": ("ann", "-@0.5 | B@0.6"),
    "c/a4": ("ann", "D@0.5 |"),
    "c/e0": ("eve", "-@0.5"),
    "c/x0": (None, "B@0.5 C@0.5 -@1.5 D@2.5"),
    "c/x1": (None, "-@0.5 | B@0.6"),
    "c/w0": ("will", "whole A@0.0"),
    "c/w1": (None, "whole B@0.0"),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return planted_store(tmp_path, CLIPS)


def people(steps: np.ndarray) -> str:
    return "".join("ABCDEFGH"[int(np.argmax(step[:8]))] for step in steps)


def test_each_frame_gives_the_face_most_like_the_speaker(store: Store, derived: Derived) -> None:
    derived(store)
    slots = store.catalog.slots("default")
    steps = live_values(store, slots["face_steps"], list(CLIPS))
    told = records(store, "face_steps")
    assert people(steps["c/a0"]) == "AA", "the third frame has only Bob"
    assert told["c/a0"]["time_s"] == [0.5, 1.5]
    assert told["c/a0"]["face"] == [1.0, 2.0]
    assert told["c/a0"]["around"] == 0
    pooled = live_values(store, slots["face"], list(CLIPS))
    mean = steps["c/a0"].mean(axis=0)
    assert pooled["c/a0"] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert set(pooled) == set(steps) == {"c/a0", "c/a1", "c/x0", "c/w0", "c/w1"}


def test_nobody_in_particular_is_the_surest_face_and_a_whole_picture_is_taken_as_it_is(
    store: Store, derived: Derived
) -> None:
    derived(store)
    steps = live_values(store, store.catalog.slots("default")["face_steps"], list(CLIPS))
    assert people(steps["c/x0"]) == "BD", "B's score is above C's"
    assert people(steps["c/w0"]) == "A"
    assert people(steps["c/w1"]) == "B"


def test_why_there_is_none(store: Store, derived: Derived) -> None:
    derived(store)
    for slot in ("face", "face_steps"):
        notes = {name: row["note"] for name, row in records(store, slot).items() if row["note"]}
        assert notes == {
            "c/a2": "no face matches the speaker's reference",
            "c/a3": "no face in any frame",
            "c/a4": "no face matches the speaker's reference",
            "c/e0": "no face in any frame",
            "c/x1": "no face in any frame",
        }


def test_where_no_frame_shows_the_speaker_the_frames_around_do(store: Store) -> None:
    faces = store.recipe(store.catalog.slots("default")["faces_steps"])
    near = PlantedFaces(PlantedSettings(sampling="offsets"))
    references = ReferenceDerivation(faces, SAME)
    run(store, references)
    step = SpeakerFaceDerivation(
        faces, references.recipes()["reference"], near.recipes()["offsets_steps"], SAME
    )
    assert run(store, step).computed == 2 * len(CLIPS), "before anyone has looked around"
    manifest = {name: text for name, (_, text) in CLIPS.items()}

    def looked(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Any], None, None]:
        for view, ids in missing.items():
            for name in ids:
                (outputs,) = near.extract([Item(name, manifest[name])])
                assert isinstance(outputs, dict)
                yield view, name, outputs["offsets_steps"]

    fill(store, list(near.recipes().values()), looked, ids=["c/a2", "c/a3", "c/a4", "c/x1"])
    assert run(store, step).computed == 2 * 4, "of those that were looked around"
    view = step.recipes()["face_steps"].view
    steps = live_values(store, view, list(CLIPS))
    assert people(steps["c/a2"]) == "AA"
    store.catalog.set("default", {"face_steps": view})
    told = records(store, "face_steps")
    assert told["c/a2"]["time_s"] == pytest.approx([0.6, 0.9])
    assert told["c/a2"]["around"] == 1
    assert told["c/a0"]["around"] == 0
    assert told["c/a3"]["note"] == "no face in any frame"
    assert told["c/x1"]["note"] == "no face in any frame", "around, a face has to match somebody"
    assert run(store, step).computed == 0


def test_a_speaker_without_a_reference_has_no_face(tmp_path: Path, derived: Derived) -> None:
    store = planted_store(
        tmp_path, {"c/0": ("ann", "A@0.5"), "c/1": ("ann", "A@0.5")}, picture={"c/0": "right"}
    )
    store.reviews.add(pl.DataFrame({"utterance_id": ["c/1"], "decision": ["offscreen"]}))
    derived(store)
    notes = {name: row["note"] for name, row in records(store, "face").items()}
    assert notes == {"c/0": "no face in any frame", "c/1": "no reference of the speaker"}


def test_another_threshold_is_another_view(store: Store) -> None:
    faces = store.recipe(store.catalog.slots("default")["faces_steps"])
    reference = ReferenceDerivation(faces, SAME).recipes()["reference"]
    views = {SpeakerFaceDerivation(faces, reference, None, cut).recipes()["face"].view for cut in (0.3, 0.4)}
    assert len(views) == 2


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10**6), st.integers(0, 14), st.integers(1, 5))
def test_the_choice_against_a_plain_loop(seed: int, faces: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    row = np.sort(rng.integers(0, rows, faces))
    moment = rng.integers(0, 3, faces)
    cosine, score = rng.uniform(-1, 1, (2, faces)).astype(np.float32)
    allowed, whole, anyone = rng.random(faces) < 0.7, rng.random(rows) < 0.2, rng.random(rows) < 0.3
    batch = FaceBatch(
        ids=[str(n) for n in range(rows)],
        known=np.ones(rows, bool),
        frames=np.full(rows, 3),
        whole=whole,
        offsets=np.searchsorted(row, np.arange(rows + 1)),
        embeddings=np.zeros((faces, 2), np.float32),
        row=row,
        frame=row * 10 + moment,
        time_s=(moment + 0.5).astype(np.float32),
        score=score,
        share=np.ones(faces),
        allowed=allowed,
    )
    chosen = choose(batch, cosine, anyone, 0.2)
    for number in range(rows):
        expected = []
        for time in range(3):
            there = [at for at in range(faces) if row[at] == number and moment[at] == time and allowed[at]]
            if anyone[number] or whole[number]:
                expected += [max(there, key=lambda at: score[at])] if there else []
            else:
                like = [at for at in there if cosine[at] >= 0.2]
                expected += [max(like, key=lambda at: cosine[at])] if like else []
        assert chosen.of(number).tolist() == expected
