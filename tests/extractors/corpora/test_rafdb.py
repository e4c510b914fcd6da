"""RAF-DB: the basic set's label list, with pictures that may be missing."""

from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError
from feature_repo.manifest import conform

# In the order of the set's own codes 1 to 7.
EMOTIONS = ["surprise", "fear", "disgust", "joy", "sadness", "anger", "neutral"]
LINES = [f"{'test' if code > 5 else 'train'}_{code:05d}.jpg {code}" for code in range(1, 8)]


def write(base: Path, *lines: str) -> Path:
    path = base / "EmoLabel" / "list_patition_label.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")
    return base


@pytest.mark.parametrize("place", [".", "basic"])
def test_codes_splits_and_pictures(tmp_path: Path, place: str) -> None:
    base = write(tmp_path / place, *LINES)
    rows = conform(reader("rafdb").read(tmp_path), "rafdb").sort("utterance_id")
    found = {row["utterance_id"].rpartition("_")[2]: row for row in rows.iter_rows(named=True)}
    assert [found[f"{code:05d}"]["emotion"] for code in range(1, 8)] == EMOTIONS
    assert found["00004"]["label_raw"] == "happiness"
    assert [row["split"] for _, row in sorted(found.items())] == ["train"] * 5 + ["test"] * 2
    assert found["00001"]["utterance_id"] == "rafdb/train_00001"
    assert found["00001"]["media_uri"] == str(base / "Image/aligned/train_00001_aligned.jpg")
    assert rows["speaker_id"].null_count() == rows["text"].null_count() == 7


def test_the_original_pictures(tmp_path: Path) -> None:
    rows = reader("rafdb").read(write(tmp_path, LINES[6]), images="original")
    assert rows["media_uri"].to_list() == [str(tmp_path / "Image/original/test_00007.jpg")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train_00001.jpg", r"line 3: expected a line such as 'train_00001\.jpg 5'"),
        ("valid_00001.jpg 3", "line 3: expected a line"),
        ("train_00009.jpg 8", "line 3: label 8; the basic set has 1 to 7"),
        ("train_00009.jpg 0", "line 3: label 0"),
        ("train_00001.jpg 2", "line 3: train_00001 stands there twice"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(BadInputError, match=rf"list_patition_label\.txt: {said}"):
        reader("rafdb").read(write(tmp_path, LINES[0], "", line))


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"basic/EmoLabel/list_patition_label\.txt"):
        reader("rafdb").read(tmp_path)
