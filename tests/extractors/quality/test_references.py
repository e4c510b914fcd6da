"""References over stored faces: who is averaged, what is told of it, and what a reviewer and a change of a clip do."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.quality import references as module
from feature_repo.fill import FillReport
from feature_repo.records import live_values
from feature_repo.store import Store
from tests.extractors.quality.conftest import records
from tests.extractors.quality.planted_faces import look, manifest, planted_store

Derived = Callable[[Store], Mapping[str, FillReport]]


def dialogue() -> dict[str, tuple[str | None, str]]:
    """Ann (A) is seen in ten of her fifteen clips, her friend Bob (B) in six; nobody is in Eve's."""
    clips: dict[str, tuple[str | None, str]] = {}
    for clip in range(15):
        seen = [f"A@{frame}.5" for frame in range(2) if clip < 10] + [
            f"B@{frame}.5" for frame in range(4) if clip >= 9
        ]
        clips[f"c/ann{clip:02d}"] = ("ann", " ".join(seen))
    clips["c/bob0"] = ("bob", "B@0.5 B@1.5")
    clips["c/bob1"] = ("bob", "B@0.5 A@0.5")
    clips["c/eve0"] = ("eve", "-@0.5 -@1.5")
    clips["c/all0"] = (None, "A@0.5 B@0.5")
    return clips


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return planted_store(tmp_path, dialogue())


def test_the_facts_of_references(store: Store, derived: Derived) -> None:
    derived(store)
    found = records(store, "reference")
    assert sorted(found) == ["ann", "bob", "eve"], "an utterance of nobody in particular makes no speaker"
    ann = found["ann"]
    assert {name: ann[name] for name in ("clips", "supporting", "faces", "candidates")} == {
        "clips": 15,
        "supporting": 10,
        "faces": 20,
        "candidates": 44,
    }
    assert ann["margin"] == pytest.approx(0.4)
    assert sorted(set(ann["used_utterance"])) == [f"c/ann{clip:02d}" for clip in range(10)]
    assert sorted(ann["used_face"]) == [0.0] * 10 + [1.0] * 10
    bob = found["bob"]
    assert (bob["supporting"], bob["margin"]) == (2, pytest.approx(0.5))
    eve = found["eve"]
    assert (eve["note"], eve["clips"], eve["candidates"]) == ("no face in 1 clip", 1, 0)


def test_the_reference_is_the_normalised_mean_of_the_faces_it_names(store: Store, derived: Derived) -> None:
    derived(store)
    slots = store.catalog.slots("default")
    told = records(store, "reference")["ann"]
    faces = live_values(store, slots["faces_steps"], store.manifest()["utterance_id"].to_list())
    used = np.stack(
        [faces[name][int(face)] for name, face in zip(told["used_utterance"], told["used_face"], strict=True)]
    )
    mean = used.mean(axis=0)
    reference = live_values(store, slots["reference"], ["ann"])["ann"]
    assert reference == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert told["cohesion"] == pytest.approx(np.mean(used @ reference), abs=1e-6)
    assert reference[0] > 0.99
    assert abs(reference[1]) < 1e-6, "nothing of Bob"


def decide(store: Store, decision: str, where: pl.DataFrame) -> None:
    view = store.catalog.slots("default")["faces_steps"]
    rows = where.with_columns(
        view=pl.lit(view), decision=pl.lit(decision), face=pl.col("face").cast(pl.Int32)
    )
    store.reviews.add(rows)


def test_a_reviewers_rejects_flip_who_it_is(store: Store, derived: Derived) -> None:
    derived(store)
    told = records(store, "reference")["ann"]
    before = records(store, "reference")
    decide(store, "reject", pl.DataFrame({"utterance_id": told["used_utterance"], "face": told["used_face"]}))
    reports = derived(store)
    assert reports["reference"].computed == 1, "Ann's alone"
    assert reports["match"].computed == 15
    after = records(store, "reference")
    assert (after["ann"]["supporting"], after["ann"]["faces"], after["ann"]["margin"]) == (6, 24, 1.0)
    assert live_values(store, store.catalog.slots("default")["reference"], ["ann"])["ann"][1] > 0.99, "Bob"
    assert after["bob"] == before["bob"]


def test_one_kept_face_flips_who_it_is(store: Store, derived: Derived) -> None:
    decide(store, "keep", pl.DataFrame({"utterance_id": ["c/ann12"], "face": [1]}))
    derived(store)
    ann = records(store, "reference")["ann"]
    assert (ann["supporting"], ann["faces"], ann["margin"]) == (6, 24, 0.0)


def test_every_face_rejected_is_a_nothing_that_says_so(store: Store, derived: Derived) -> None:
    decide(
        store,
        "reject",
        pl.DataFrame({"utterance_id": ["c/bob0", "c/bob0", "c/bob1", "c/bob1"], "face": [0, 1, 0, 1]}),
    )
    derived(store)
    bob = records(store, "reference")["bob"]
    assert (bob["note"], bob["clips"]) == ("no face that may be the speaker's in 2 clips", 2)


def test_a_decision_on_a_face_that_is_no_more_is_ignored(store: Store, derived: Derived) -> None:
    decide(store, "keep", pl.DataFrame({"utterance_id": ["c/bob0"], "face": [7]}))
    derived(store)
    assert records(store, "reference")["bob"]["supporting"] == 2


def test_a_clip_that_a_reviewer_calls_offscreen_is_no_witness(store: Store, derived: Derived) -> None:
    store.reviews.add(pl.DataFrame({"utterance_id": ["c/bob1"], "decision": ["offscreen"]}))
    derived(store)
    bob = records(store, "reference")["bob"]
    assert (bob["clips"], bob["margin"]) == (1, 1.0)


def test_a_changed_clip_changes_its_speakers_reference_and_no_other(store: Store, derived: Derived) -> None:
    derived(store)
    clips = dialogue()
    clips["c/bob0"] = ("bob", "B@0.5")
    store.write_manifest("c", manifest(clips))
    look(store)
    reports = derived(store)
    assert {name: report.computed for name, report in reports.items()} == {
        "reference": 1,
        "match": 2,
        "face": 4,
    }
    assert records(store, "reference")["bob"]["faces"] == 2


def test_nothing_is_computed_twice(store: Store, derived: Derived) -> None:
    derived(store)
    assert {report.computed for report in derived(store).values()} == {0}


def test_the_half_of_a_split_screen_decides(tmp_path: Path, derived: Derived) -> None:
    clips = {f"c/{n}": ("ann", "A@0.5 B@0.5") for n in range(3)}
    store = planted_store(tmp_path, clips, picture=dict.fromkeys(clips, "right"))
    derived(store)
    reference = live_values(store, store.catalog.slots("default")["reference"], ["ann"])["ann"]
    assert reference[1] > 0.9, "B sits on the right"
    assert records(store, "reference")["ann"]["candidates"] == 3


def test_a_reviewers_word_goes_over_the_half(tmp_path: Path, derived: Derived) -> None:
    clips: dict[str, tuple[str | None, str]] = {"c/0": ("ann", "A@0.5 B@0.5")}
    store = planted_store(tmp_path, clips, picture={"c/0": "right"})
    decide(store, "keep", pl.DataFrame({"utterance_id": ["c/0"], "face": [0]}))
    derived(store)
    reference = live_values(store, store.catalog.slots("default")["reference"], ["ann"])["ann"]
    assert reference[0] > 0.9, "A sits on the left"


def test_a_speaker_who_is_never_in_their_half_has_none(tmp_path: Path, derived: Derived) -> None:
    store = planted_store(tmp_path, {"c/0": ("ann", "A@0.5")}, picture={"c/0": "right"})
    derived(store)
    assert records(store, "reference")["ann"]["note"] == "no face that may be the speaker's in 1 clip"


def test_a_long_clip_gives_frames_spread_over_it(tmp_path: Path, derived: Derived) -> None:
    long = " ".join(f"A@{n}.5 B@{n}.5" for n in range(100))
    store = planted_store(tmp_path, {"c/0": ("ann", long)})
    derived(store)
    ann = records(store, "reference")["ann"]
    assert ann["candidates"] == 2 * module.FRAMES
    places = sorted(int(face) // 2 for face in ann["used_face"])
    assert (places[0], places[-1], len(places)) == (0, 99, module.FRAMES)


def test_many_speakers_are_read_in_slices_of_whole_speakers(
    tmp_path: Path, derived: Derived, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = {f"c/{n:03d}": (f"s{n // 3}", f"{'AB'[n // 3 % 2]}@0.5") for n in range(33)}
    store = planted_store(tmp_path, clips)
    monkeypatch.setattr(module, "BATCH", 4)
    derived(store)
    found = records(store, "reference")
    assert len(found) == 11
    assert all((row["clips"], row["supporting"], row["margin"]) == (3, 3, 1.0) for row in found.values())
    values = live_values(store, store.catalog.slots("default")["reference"], list(found))
    assert all(values[f"s{n}"][n % 2] > 0.9 for n in range(11))
