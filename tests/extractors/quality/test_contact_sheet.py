"""Contact sheets of planted faces over drawn clips."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.quality import contact_sheet
from extractors.quality.contact_sheet import examples, keys, utterance_panel, write_contact_sheets
from extractors.quality.seen_faces import Sighting, StoredFace
from extractors.quality.sheet_drawing import draw_sheet
from feature_repo.measures import read_measures
from feature_repo.quality_config import load_quality_config
from feature_repo.verdict import judge
from tests.extractors.quality.planted_faces import manifest, planted_store
from tests.planted_media import write_mp4

CLIPS: dict[str, tuple[str | None, str]] = {
    "c/a0": ("ann", "A0.99@0.5 A0.99@1.5"),
    "c/a1": ("ann", "A0.99@0.5 -@1.5"),
    "c/a2": ("ann", "B@0.5 B@1.5"),
    "c/a3": ("ann", "-@0.5 -@1.5"),
}


def face(time_s: float, similarity: float | None) -> StoredFace:
    return StoredFace("v", 0, time_s, 20, 30, 100, 120, 0.9, similarity)


def row(uri: str | None, **more) -> dict:
    return {
        "utterance_id": "c/a0",
        "speaker_raw": "Ann",
        "speaker_id": "c/ann",
        "text": "Yeah!",
        "media_uri": uri,
        "start_s": None,
        "end_s": None,
        **more,
    }


@pytest.fixture
def clip(tmp_path: Path) -> str:
    write_mp4(tmp_path / "clip.mp4", [np.full((300, 400, 3), 90, np.uint8)] * 24, None)
    return str(tmp_path / "clip.mp4")


def test_a_panel_tells_words_reasons_and_faces(clip: str) -> None:
    seen = Sighting((0.5, 1.5), (face(0.5, 0.7), face(0.5, 0.2)))
    told = utterance_panel(
        row(
            clip,
            reasons=["cosine 0.30 is below 0.5"],
            transcript_text="Yeah, it really has been great, too.",
            alignment_cosine=0.3,
            alignment_levenshtein=0.111,
        ),
        seen,
        0.5,
    )
    assert told.title == "c/a0   Ann"
    assert told.lines == (
        "cosine 0.30 is below 0.5",
        "text: “Yeah!”",
        "transcript: “Yeah, it really has been great, too.” (cosine 0.30, Levenshtein 0.11)",
    )
    with_faces, without = told.shown
    # The likest is drawn last, so that its label is on top.
    assert [(box.label, box.mark) for box in with_faces.boxes] == [("0.20", "other"), ("0.70", "good")]
    assert (with_faces.caption, with_faces.border) == ("0.5 s", None)
    assert (without.caption, without.border, without.boxes) == ("1.5 s: no face", "bad", ())
    assert abs(int(with_faces.image.mean()) - 90) < 3


def test_a_face_of_a_speaker_without_reference_is_nobodys(clip: str) -> None:
    (shown,) = utterance_panel(row(clip), Sighting((0.5,), (face(0.5, None),)), 0.5).shown
    assert [(box.label, box.mark) for box in shown.boxes] == [("", "plain")]


def test_media_that_cannot_be_shown_are_told(tmp_path: Path, clip: str) -> None:
    gone = utterance_panel(row(str(tmp_path / "gone.mp4")), None, 0.5)
    assert gone.shown == ()
    assert "gone.mp4" in gone.missing
    assert "no file" in utterance_panel(row(None), None, 0.5).missing
    # Never looked at, but there: the first frame is shown, and nothing is said of faces.
    (shown,) = utterance_panel(row(clip), None, 0.5).shown
    assert (shown.caption, shown.border) == ("0.5 s", None)


def test_without_a_threshold_nobody_is_the_speaker(clip: str) -> None:
    (shown,) = utterance_panel(row(clip), Sighting((0.5,), (face(0.5, 0.9),)), None).shown
    assert [(box.label, box.mark) for box in shown.boxes] == [("0.90", "plain")]
    assert {key.mark for key in keys(0.5)} - {key.mark for key in keys(None)} == {"good", "other"}


def test_examples_are_a_fixed_sample_with_media_first() -> None:
    rows = pl.DataFrame(
        {"utterance_id": [f"c/{number:02}" for number in range(20)], "media_uri": [None, "a.mp4"] * 10}
    )
    chosen = examples(rows, 5)
    assert chosen["media_uri"].null_count() == 0
    assert chosen["utterance_id"].is_sorted()
    assert (
        chosen["utterance_id"].to_list()
        != rows.filter(pl.col("media_uri").is_not_null())["utterance_id"].to_list()[:5]
    )
    assert chosen.equals(examples(rows.reverse(), 5))
    assert examples(rows, 50).height == 20


def test_one_sheet_for_each_reason_that_occurs(tmp_path: Path, clip: str, derived, monkeypatch) -> None:
    store = planted_store(tmp_path, CLIPS)
    store.write_manifest("c", manifest(CLIPS).with_columns(media_uri=pl.lit(clip), speaker_raw=pl.lit("Ann")))
    derived(store)
    config = load_quality_config(overrides=["face.planted.similarity=0.5", "checks.default=face"])
    measures = read_measures(store)
    drawn = {}

    def draw(title, panels, keys):
        drawn[title] = panels
        return draw_sheet(title, panels, keys)

    monkeypatch.setattr(contact_sheet, "draw_sheet", draw)
    told: list[int] = []
    written = write_contact_sheets(
        store, tmp_path / "out", measures, judge(measures, config), config, on_example=told.append
    )
    assert [path.name for path in written] == ["sheet_no_face.png", "sheet_no_match.png", "sheet_passed.png"]
    assert all(path.stat().st_size > 1000 for path in written)
    assert told == [1, 1, 1, 1]
    no_face, no_match, passed = drawn
    assert no_face.endswith(": 1 of 1 utterances")
    assert passed == "Passed: 2 of 2 utterances"
    (other,) = drawn[no_match]
    assert [box.mark for shown in other.shown for box in shown.boxes] == ["other", "other"]
    assert "below 0.5" in other.lines[0]
    first, second = drawn[passed]
    assert [[box.mark for box in shown.boxes] for shown in first.shown] == [["good"], ["good"]]
    assert [shown.border for shown in second.shown] == [None, "bad"]
