"""Faces and utterances that a reviewer is asked about, from planted faces."""

from pathlib import Path

import polars as pl
import pytest

from extractors import recorded
from extractors.quality.derivation import derive
from extractors.quality.review_candidates import COLUMNS, doubtful_utterances, face_candidates
from extractors.settings import parse_settings
from feature_repo.quality_config import load_quality_config
from tests.extractors.quality.planted_faces import PlantedFaces, PlantedSettings, planted_store

CLIPS: dict[str, tuple[str | None, str]] = {
    "c/a0": ("ann", "A0.99@0.5 B@0.5"),
    "c/a1": ("ann", "A0.99@0.5 A0.99@1.5"),
    "c/a2": ("ann", "A0.99@0.5"),
    "c/a3": ("ann", "C@0.5"),
    "c/a4": ("ann", "-@0.5"),
    "c/e0": ("eve", "-@0.5"),
    "c/f0": ("fay", "D@0.5"),
    "c/x0": (None, "A@0.5"),
}


@pytest.fixture
def store(tmp_path: Path, derived):
    made = planted_store(tmp_path, CLIPS)
    derived(made)
    return made


def test_every_face_of_a_speakers_clips(store) -> None:
    slots = store.catalog.slots("default")
    found = face_candidates(store, slots["reference"])
    assert found.columns[: len(COLUMNS)] == list(COLUMNS)
    ann = found.filter(speaker_id="ann")
    assert ann["number"].to_list() == [1, 2, 3, 4, 5, 6]
    told = {(name, face): used for name, face, used in ann.select("utterance_id", "face", "used").iter_rows()}
    assert told == {
        ("c/a0", 0): "yes",
        ("c/a0", 1): "no",
        ("c/a1", 0): "yes",
        ("c/a1", 1): "yes",
        ("c/a2", 0): "yes",
        ("c/a3", 0): "no",
    }
    own = ann.filter(used="yes")["similarity"]
    assert own.min() > 0.95
    assert ann.filter(used="no")["similarity"].max() < 0.3
    assert set(found["view"]) == {slots["faces_steps"]}
    assert set(found["speaker_id"]) == {"ann", "fay"}  # Eve was never seen, and x0 is nobody in particular
    assert face_candidates(store, slots["reference"], ["fay"])["utterance_id"].to_list() == ["c/f0"]


def test_what_a_reviewer_said_before_is_told_and_offscreen_clips_are_gone(store) -> None:
    slots = store.catalog.slots("default")
    store.reviews.add(
        pl.DataFrame(
            {
                "utterance_id": ["c/a0", "c/a3"],
                "view": [slots["faces_steps"], None],
                "face": [1, None],
                "decision": ["reject", "offscreen"],
                "comment": ["her sister", None],
            }
        )
    )
    found = face_candidates(store, slots["reference"], ["ann"])
    assert "c/a3" not in set(found["utterance_id"])
    row = found.filter(utterance_id="c/a0", face=1).row(0, named=True)
    assert (row["decision"], row["comment"]) == ("reject", "her sister")
    assert found["decision"].null_count() == found.height - 1
    unsure = doubtful_utterances(store, [slots["match"]], 0.5, ["ann"])
    assert dict(unsure.select("utterance_id", "decision").iter_rows()) == {"c/a3": "offscreen", "c/a4": None}


def test_utterances_in_which_the_speaker_was_not_found(store) -> None:
    match = [store.catalog.slots("default")["match"]]
    found = doubtful_utterances(store, match, 0.5)
    assert found.columns == list(COLUMNS)
    assert found["utterance_id"].to_list() == [
        "c/a3",
        "c/a4",
        "c/e0",
    ]  # the least like first, then the unseen
    assert found["face"].null_count() == found.height
    assert doubtful_utterances(store, match, 0.5, most=1)["utterance_id"].to_list() == ["c/a3", "c/e0"]
    assert "c/a0" in set(doubtful_utterances(store, match, 0.9999)["utterance_id"])
    assert doubtful_utterances(store, match, 0.5, ["fay"]).is_empty()


def test_who_was_found_around_the_frames_is_not_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "c/a0": ("ann", "A0.99@0.5"),
        "c/a3": ("ann", "A0.99@0.5"),
        "c/a1": ("ann", "B@0.5 | A0.9@0.6"),
        "c/a2": ("ann", "-@0.5 | -@0.6"),
    }
    monkeypatch.setattr(
        recorded,
        "create",
        lambda _, given: PlantedFaces(parse_settings(PlantedSettings, given, "planted")),
    )
    store = planted_store(tmp_path, texts)
    derive(store, config=load_quality_config(overrides=["face.planted.similarity=0.5"]))
    slots = store.catalog.slots("default")
    asked = [slots["match"], slots["offsetmatch"]]
    assert doubtful_utterances(store, asked[:1], 0.5)["utterance_id"].to_list() == ["c/a1", "c/a2"]
    assert doubtful_utterances(store, asked, 0.5)["utterance_id"].to_list() == ["c/a2"]
