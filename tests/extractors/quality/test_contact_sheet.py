"""Contact sheets of planted faces over drawn clips."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.quality import contact_sheet
from extractors.quality.contact_sheet import contact_sheets, examples, utterance_panel
from extractors.quality.seen_faces import Sighting, StoredFace
from tests.extractors.quality.planted_faces import manifest, planted_store
from tests.planted_media import write_mp4

CLIPS: dict[str, tuple[str | None, str]] = {
    "c/a0": ("ann", "A0.99@0.5 A0.99@1.5"),
    "c/a1": ("ann", "A0.99@0.5 -@1.5"),
    "c/a2": ("ann", "B@0.5 B@1.5"),
    "c/a3": ("ann", "-@0.5 -@1.5"),
}
LABELS = {"no_face": "no face in any frame", "no_match": "nobody like the speaker", "audio": "no sound"}


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


def test_examples_are_a_fixed_sample_with_media_first() -> None:
    rows = pl.DataFrame(
        {
            "utterance_id": [f"c/{number:02}" for number in range(20)],
            "media_uri": [None, "a.mp4"] * 10,
            "reason": ["no_face"] * 18 + [None] * 2,
        }
    )
    chosen = examples(rows, "no_face", 5)
    assert chosen["media_uri"].null_count() == 0
    assert chosen["utterance_id"].is_sorted()
    assert chosen.equals(examples(rows.reverse(), "no_face", 5))
    assert examples(rows, "no_face", 50).height == 18
    assert examples(rows, None, 50)["utterance_id"].to_list() == ["c/18", "c/19"]


def test_one_sheet_for_each_reason_that_occurs(tmp_path: Path, clip: str, derived, monkeypatch) -> None:
    store = planted_store(tmp_path, CLIPS)
    store.write_manifest("c", manifest(CLIPS).with_columns(media_uri=pl.lit(clip), speaker_raw=pl.lit("Ann")))
    derived(store)
    rows = store.manifest().with_columns(
        reason=pl.Series([None, None, "no_match", "no_face"]), reasons=pl.Series([[], [], ["a"], ["b"]])
    )
    drawn = {}
    monkeypatch.setattr(
        contact_sheet,
        "draw_sheet",
        lambda title, panels, keys: drawn.update({title: panels}) or _draw(title, panels, keys),
    )
    from extractors.quality.sheet_drawing import draw_sheet as _draw

    told: list[int] = []
    written = contact_sheets(
        store, tmp_path / "out", rows, store.catalog.slots("default"), 0.5, LABELS, on_example=told.append
    )
    assert [path.name for path in written] == ["sheet_no_face.png", "sheet_no_match.png", "sheet_passed.png"]
    assert all(path.stat().st_size > 1000 for path in written)
    assert told == [1, 1, 1, 1]
    assert list(drawn) == [
        "No face in any frame: 1 of 1 utterances",
        "Nobody like the speaker: 1 of 1 utterances",
        "Passed: 2 of 2 utterances",
    ]
    (other,) = drawn["Nobody like the speaker: 1 of 1 utterances"]
    assert [box.mark for shown in other.shown for box in shown.boxes] == ["other", "other"]
    first, second = drawn["Passed: 2 of 2 utterances"]
    assert [[box.mark for box in shown.boxes] for shown in first.shown] == [["good"], ["good"]]
    assert [shown.border for shown in second.shown] == [None, "bad"]
