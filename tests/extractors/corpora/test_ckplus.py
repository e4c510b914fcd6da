"""CK+: the published layout and the repack, with gaps, sequences without a label, and macOS's leftovers."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

# Sequence to its frames; frame numbers may have gaps.
FRAMES = {
    "S005_001": (1, 2, 3, 5, 8, 11),
    "S005_002": (1, 2, 3, 4),
    "S010_004": (1, 2, 3, 17),
    "S999_003": (1, 2, 3, 4, 5),
}
LABELS = {"S005_001": "3", "S010_004": "7", "S999_003": "2"}  # S005_002 was never labelled


def published(base: Path, labels: Mapping[str, str] | None = None, images: str = "") -> Path:
    for sequence, frames in FRAMES.items():
        subject, number = sequence.split("_")
        place = base / images / "cohn-kanade-images" / subject / number
        place.mkdir(parents=True)
        for frame in frames:
            (place / f"{sequence}_{frame:08d}.png").write_bytes(b"face")
        (place / ".DS_Store").write_bytes(b"")
        emotion = base / "Emotion" / subject / number
        emotion.mkdir(parents=True)
        if code := (labels or LABELS).get(sequence):
            # The release writes a label as a float with blanks before it.
            text = f"   {float(code):.7e}\n" if code.isdigit() else code
            (emotion / f"{sequence}_{frames[-1]:08d}_emotion.txt").write_text(text)
    return base


def repack(base: Path, *names: str) -> Path:
    for name in names:
        path = base / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"face")
    return base


REPACK = [
    *(f"happy/S010_004_000000{frame}" for frame in (15, 16, 17)),
    *(f"surprise/S010_002_000000{frame}" for frame in ("09", 10, 11)),
    *(f"contempt/S138_008_000000{frame}" for frame in ("07", "08", "09")),
]


def emotions(folder: Path, **options: str) -> dict[str, str | None]:
    rows = reader("ckplus").read(folder, **options)
    return dict(rows.select("utterance_id", "emotion").iter_rows())


def test_the_peak_of_every_labelled_sequence(tmp_path: Path) -> None:
    rows = conform(reader("ckplus").read(published(tmp_path)), "ckplus")
    first = next(rows.iter_rows(named=True))
    assert rows["utterance_id"].to_list() == [
        "ckplus/S005_001_00000011",
        "ckplus/S010_004_00000017",
        "ckplus/S999_003_00000005",
    ]
    assert rows["label_raw"].to_list() == ["disgust", "surprise", "contempt"]
    assert rows["emotion"].to_list() == ["disgust", "surprise", None]
    assert rows["speaker_id"].to_list() == ["ckplus/S005", "ckplus/S010", "ckplus/S999"]
    assert first["speaker_raw"] == "S005"
    assert first["dialogue_id"] == "ckplus/S005_001"
    assert first["media_uri"] == str(tmp_path / "cohn-kanade-images/S005/001/S005_001_00000011.png")


def test_contempt_may_count_as_disgust(tmp_path: Path) -> None:
    rows = reader("ckplus").read(published(tmp_path), contempt="disgust").filter(label_raw="contempt")
    assert rows["emotion"].to_list() == ["disgust"]
    assert rows["label_note"].to_list() == ["policy contempt=disgust"]


def test_the_last_three_frames_and_the_first_as_neutral(tmp_path: Path) -> None:
    published(tmp_path)
    assert [name[-11:] for name in emotions(tmp_path, frames="last3")] == [
        *("01_00000005", "01_00000008", "01_00000011"),
        *("04_00000002", "04_00000003", "04_00000017"),
        *("03_00000003", "03_00000004", "03_00000005"),
    ]
    found = emotions(tmp_path, first="neutral")
    assert found["ckplus/S010_004_00000017"] == "surprise"
    assert found["ckplus/S010_004_00000001"] == found["ckplus/S999_003_00000001"] == "neutral"
    assert len(found) == 6
    assert len(emotions(tmp_path, frames="last3", first="neutral")) == 12
    rows = reader("ckplus").read(tmp_path, first="neutral").filter(emotion="neutral")
    assert set(rows["label_note"]) == {"first frame of its sequence as neutral"}


def test_the_names_of_the_published_archives_are_known(tmp_path: Path) -> None:
    published(tmp_path, images="extended-cohn-kanade-images")
    (tmp_path / "Emotion_labels").mkdir()
    (tmp_path / "Emotion").rename(tmp_path / "Emotion_labels" / "Emotion")
    assert len(emotions(tmp_path)) == 3


def test_frames_that_are_missing_keep_their_place_or_are_named(tmp_path: Path) -> None:
    published(tmp_path)
    place = tmp_path / "cohn-kanade-images/S010/004"
    for name in ("S010_004_00000002.png", "S010_004_00000017.png"):
        (place / name).unlink()
    rows = reader("ckplus").read(tmp_path)
    assert str(place / "S010_004_00000017.png") in rows["media_uri"].to_list()
    with pytest.raises(BadInputError, match=r"S010/004: 2 frames up to S010_004_00000017, 3 are needed"):
        reader("ckplus").read(tmp_path, frames="last3")


@pytest.mark.parametrize("label", ["8", "1.5", "happy", "", "nan", "-1"])
def test_a_label_that_is_none_is_named(tmp_path: Path, label: str) -> None:
    published(tmp_path, {"S005_001": label or " "})
    with pytest.raises(BadInputError, match=r"S005_001_00000011_emotion\.txt: line 1: label.*0 to 7"):
        reader("ckplus").read(tmp_path)


def test_names_outside_the_code_and_second_labels_are_named(tmp_path: Path) -> None:
    published(tmp_path)
    stray = tmp_path / "Emotion/S005/001/S005_001_00000010_emotion.txt"
    stray.write_text("1")
    with pytest.raises(BadInputError, match="S005_001 has two labels"):
        reader("ckplus").read(tmp_path)
    stray.rename(stray.with_name("S5_emotion.txt"))
    with pytest.raises(BadInputError, match=r"S5_emotion\.txt: expected a name"):
        reader("ckplus").read(tmp_path)
    stray.with_name("S5_emotion.txt").rename(stray.with_name("._S5_emotion.txt"))
    assert len(emotions(tmp_path)) == 3


@pytest.mark.parametrize("place", [".", "CK+48"])
def test_the_repack(tmp_path: Path, place: str) -> None:
    repack(tmp_path / place, *REPACK)
    assert emotions(tmp_path) == {
        "ckplus/S010_002_00000011": "surprise",
        "ckplus/S010_004_00000017": "joy",
        "ckplus/S138_008_00000009": None,
    }
    rows = reader("ckplus").read(tmp_path, frames="last3", contempt="disgust")
    assert rows["emotion"].value_counts(sort=True)["count"].to_list() == [3, 3, 3]
    assert rows["dialogue_id"].n_unique() == 3
    assert set(rows["speaker_raw"]) == {"S010", "S138"}
    with pytest.raises(BadInputError, match="none is neutral"):
        reader("ckplus").read(tmp_path, first="neutral")


def test_the_repacks_wrong_names_and_second_labels_are_named(tmp_path: Path) -> None:
    repack(tmp_path / "a", *REPACK, "sadness/S010_004_00000014")
    with pytest.raises(BadInputError, match="S010_004 has two labels, happy, sadness"):
        reader("ckplus").read(tmp_path / "a")
    repack(tmp_path / "b", *REPACK, "sadness/face1")
    with pytest.raises(BadInputError, match=r"face1\.png: expected a name"):
        reader("ckplus").read(tmp_path / "b")


def test_missing_images_and_wrong_options_are_named(tmp_path: Path) -> None:
    (tmp_path / "Emotion").mkdir()
    with pytest.raises(BadInputError, match="CK\\+'s images.*cohn-kanade-images"):
        reader("ckplus").read(tmp_path)
    with pytest.raises(UnknownNameError, match="disgust, drop"):
        reader("ckplus").read(tmp_path, contempt="anger")
