"""Reviewers' sheets and their file, from planted faces over a drawn clip."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.quality.review_candidates import COLUMNS, doubtful_utterances, face_candidates
from extractors.quality.review_file import read_review
from extractors.quality.review_sheet import candidate_panel, sheet_name, write_review
from tests.extractors.quality.planted_faces import manifest, planted_store
from tests.planted_media import write_mp4

CLIPS: dict[str, tuple[str | None, str]] = {
    "c/a0": ("c/train/dia0/woman", "A0.99@0.5 B@0.5"),
    "c/a1": ("c/train/dia0/woman", "A0.99@0.5"),
    "c/a2": ("c/train/dia0/woman", "B@0.5"),
    "c/e0": ("c/eve", "-@0.5"),
}


@pytest.fixture
def store(tmp_path: Path, derived):
    # People of even letters are planted in the left half, the others in the right; 400 x 300 pixels.
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[:, :200, 0] = 200
    picture[:, 200:, 2] = 200
    write_mp4(tmp_path / "clip.mp4", [picture] * 12, None)
    made = planted_store(tmp_path, CLIPS)
    uri = pl.lit(str(tmp_path / "clip.mp4"))
    made.write_manifest("c", manifest(CLIPS).with_columns(media_uri=uri, speaker_raw=pl.lit("Woman")))
    derived(made)
    return made


def written(store, folder: Path) -> list[Path]:
    views = store.catalog.slots("default")
    faces = face_candidates(store, views["reference"])
    return write_review(store, folder, faces, doubtful_utterances(store, [views["match"]], 0.5), views, 0.5)


def test_crops_are_of_the_faces_and_coloured_by_use(store) -> None:
    faces = face_candidates(store, store.catalog.slots("default")["reference"], ["c/train/dia0/woman"])
    panel = candidate_panel(faces)
    assert panel.title == "Candidates: 4 faces of 3 clips, 2 used"
    shown = {
        (row["utterance_id"], row["face"]): image
        for row, image in zip(faces.to_dicts(), panel.shown, strict=True)
    }
    assert shown["c/a0", 0].border == "good"
    assert shown["c/a0", 1].border == "other"
    assert shown["c/a0", 0].image[..., 0].mean() > 150  # the red half
    assert shown["c/a0", 1].image[..., 2].mean() > 150  # the blue half
    number = faces.filter(utterance_id="c/a0", face=1)["number"][0]
    assert shown["c/a0", 1].caption.splitlines()[0].split()[0] == str(number)
    assert shown["c/a0", 1].caption.splitlines()[1:] == ["a0", "0.5 s"]
    rejected = faces.with_columns(decision=pl.lit("reject"))
    assert {one.border for one in candidate_panel(rejected).shown} == {"bad"}


def test_of_very_many_faces_some_are_shown(store) -> None:
    faces = face_candidates(store, store.catalog.slots("default")["reference"], ["c/train/dia0/woman"])
    many = pl.concat([faces.filter(utterance_id="c/a0", face=0)] * 400).with_columns(
        number=pl.int_range(1, 401, dtype=pl.Int32)
    )
    panel = candidate_panel(many)
    assert panel.title.startswith("Candidates: 400 faces")
    assert len(panel.shown) == 134  # every third
    assert panel.shown[-1].caption.startswith("400 ")
    assert "134 of them are shown" in panel.lines[1]


def test_a_clip_that_is_gone_is_told_and_the_others_are_shown(store, tmp_path: Path) -> None:
    faces = face_candidates(store, store.catalog.slots("default")["reference"], ["c/train/dia0/woman"])
    gone = pl.when(pl.col("utterance_id") == "c/a1").then(pl.lit("/gone.mp4")).otherwise("media_uri")
    panel = candidate_panel(faces.with_columns(media_uri=gone))
    assert len(panel.shown) == 3
    assert any("/gone.mp4" in line for line in panel.lines)


def test_a_sheet_each_and_one_file_that_can_be_given_back(store, tmp_path: Path) -> None:
    paths = written(store, tmp_path / "out")
    assert [path.name for path in paths] == ["review.csv", "c__eve.png", "c__train__dia0__woman.png"]
    table = pl.read_csv(paths[0])
    assert table.columns == list(COLUMNS)
    assert table.select("utterance_id", "face").rows() == [
        ("c/e0", None),
        *sorted([("c/a0", 0), ("c/a0", 1), ("c/a1", 0), ("c/a2", 0)], key=lambda row: order(table, row)),
        ("c/a2", None),
    ]
    assert read_review(store, paths[0]).is_empty()  # nobody has decided yet
    answered = table.with_columns(
        decision=pl.when(pl.col("utterance_id") == "c/a2", pl.col("face").is_null()).then(pl.lit("offscreen"))
    )
    answered.write_csv(paths[0])
    assert read_review(store, paths[0]).rows() == [("c/a2", None, None, "offscreen", None)]


def order(table: pl.DataFrame, row: tuple[str, int]) -> int:
    """The file's own numbering: faces stand in its order."""
    return table.filter(utterance_id=row[0], face=row[1])["number"][0]


def test_the_same_store_gives_the_same_files(store, tmp_path: Path) -> None:
    first, second = written(store, tmp_path / "a"), written(store, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_speakers_id_as_a_file_name() -> None:
    assert sheet_name("meld/train/dia0/woman") == "meld__train__dia0__woman"
    assert sheet_name("c/../é") == "c__..__é"
