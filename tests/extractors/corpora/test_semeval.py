"""SemEval-2018 Task 1 on generated files: nothing of the corpus may be redistributed."""

from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

INTENSITY = "ID\tTweet\tAffect Dimension\tIntensity Score"
# Column order of the E-c files.
ELEVEN = [
    "anger",
    "anticipation",
    "disgust",
    "fear",
    "joy",
    "love",
    "optimism",
    "pessimism",
    "sadness",
    "surprise",
    "trust",
]


def write_intensities(folder: Path) -> Path:
    """The names of the official archive: a prefix of its own in each split."""
    for place, name in (
        ("training", "EI-reg-En-{}-train.txt"),
        ("development", "2018-EI-reg-En-{}-dev.txt"),
        ("test-gold", "2018-EI-reg-En-{}-test-gold.txt"),
        ("test", "2018-EI-reg-En-{}-test.txt"),
    ):
        (folder / place).mkdir(parents=True, exist_ok=True)
        for number, emotion in enumerate(("anger", "fear", "joy", "sadness")):
            score = "NONE" if place == "test" else f"0.{4 + number}00"
            lines = [
                INTENSITY,
                f'2018-En-0{number}\tsaid "so\\n#{emotion} &amp;\t{emotion}\t{score}',
                f"2018-En-99\tin every file\t{emotion}\t{'NONE' if place == 'test' else score}",
            ]
            (folder / place / name.format(emotion)).write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "test-gold" / "2018-EI-reg-Ar-joy-test-gold.txt").write_text("another language")
    (folder / "readme.txt").write_text("terms")
    return folder


def write_emotions(folder: Path, *rows: str, split: str = "train") -> Path:
    header = "\t".join(("ID", "Tweet", *ELEVEN))
    (folder / f"2018-E-c-En-{split}.txt").write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return folder


def marked(name: str, *emotions: str) -> str:
    return "\t".join((name, "a tweet", *("1" if label in emotions else "0" for label in ELEVEN)))


def test_intensities_count_from_the_threshold_on(tmp_path: Path) -> None:
    found = conform(reader("semeval").read(write_intensities(tmp_path)), "semeval")
    assert found.group_by("split").len().sort("split").rows() == [("dev", 8), ("test", 8), ("train", 8)]
    row = found.filter(utterance_id="semeval/train/fear/2018-En-01").row(0, named=True)
    assert row["label_raw"] == "fear=0.500"
    assert row["emotion"] == "fear"
    assert row["label_note"] == "intensity 0.500 at least policy intensity=0.5"
    assert row["text"] == 'said "so #fear &amp;', "lone quotes stay, written line breaks go"
    below = found.filter(pl.col("label_raw") == "anger=0.400")
    assert below["emotion"].null_count() == below.height == 6
    assert set(found["emotion"].drop_nulls()) == {"fear", "joy", "sadness"}
    lower = reader("semeval").read(tmp_path, intensity="0.4")
    assert lower["emotion"].null_count() == 0
    higher = reader("semeval").read(tmp_path, intensity=0.71)
    assert higher["emotion"].null_count() == 24
    with pytest.raises(BadInputError, match="intensity"):
        reader("semeval").read(tmp_path, intensity="1.5")


def test_a_tweet_in_several_dimensions_keeps_or_loses_them_all(tmp_path: Path) -> None:
    folder = write_intensities(tmp_path)
    kept = reader("semeval").read(folder).filter(pl.col("utterance_id").str.ends_with("/2018-En-99"))
    assert kept.filter(split="train")["emotion"].to_list() == [None, "fear", "joy", "sadness"]
    dropped = reader("semeval").read(folder, shared="drop")
    shared = dropped.filter(pl.col("utterance_id").str.ends_with("/2018-En-99"), split="train")
    assert shared["emotion"].null_count() == 4
    assert shared["label_note"].to_list() == [
        "intensity 0.400 below policy intensity=0.5, dropped",
        *["several groups (fear, joy, sadness), dropped by policy shared=drop"] * 3,
    ]
    alone = dropped.filter(pl.col("utterance_id").str.ends_with("/2018-En-02"), split="train")
    assert alone["emotion"].to_list() == ["joy"]


def test_withheld_labels_are_none_and_the_gold_file_goes_first(tmp_path: Path) -> None:
    folder = write_intensities(tmp_path)
    assert reader("semeval").read(folder).filter(split="test")["label_raw"].null_count() == 0
    for path in (folder / "test-gold").glob("2018-EI-reg-En-*"):
        path.unlink()
    test = reader("semeval").read(folder).filter(split="test")
    assert test.height == 8
    assert test["emotion"].null_count() == test["label_raw"].null_count() == 8
    assert set(test["label_note"]) == {"unlabelled"}


def test_rows_with_exactly_one_of_our_classes_count(tmp_path: Path) -> None:
    folder = write_emotions(
        tmp_path,
        marked("1", "joy", "love", "optimism"),
        marked("2", "anger", "disgust"),
        marked("3", "surprise"),
        marked("4", "trust"),
        marked("5"),
    )
    write_emotions(folder, "\t".join(("6", "a tweet", *["NONE"] * 11)), split="test")
    write_emotions(folder, marked("7", "sadness", "pessimism"), split="dev")
    found = conform(reader("semeval").read(folder, task="E-c"), "semeval")
    assert found["utterance_id"].to_list() == [
        "semeval/dev/7",
        "semeval/test/6",
        *(f"semeval/train/{number}" for number in range(1, 6)),
    ]
    assert found["emotion"].to_list() == ["sadness", None, "joy", None, "surprise", None, None]
    assert found["label_raw"].to_list() == [
        *("pessimism,sadness", None),
        *("joy,love,optimism", "anger,disgust", "surprise", "trust", ""),
    ]
    assert found["split"].to_list() == ["dev", "test", *["train"] * 5]


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"EI-reg-En-anger-train\.txt"):
        reader("semeval").read(tmp_path)
    with pytest.raises(BadInputError, match=r"E-c-En-train\.txt"):
        reader("semeval").read(write_intensities(tmp_path), task="E-c")
    path = tmp_path / "training" / "EI-reg-En-joy-train.txt"
    for line, told in (
        ("1\ta\tfear\t0.5", "line 2: Affect Dimension 'fear' in a file of 'joy'"),
        ("1\ta\tjoy\t1.5", "line 2: Intensity Score '1.5'"),
        ("1\ta\tjoy\tmuch", "line 2: Intensity Score 'much'"),
        ("1\ta\tjoy", "line 2: 3 fields"),
    ):
        path.write_text(f"{INTENSITY}\n{line}\n")
        with pytest.raises(BadInputError, match=told):
            reader("semeval").read(tmp_path)
    path.write_text("ID\tTweet\tAffect Dimension\tIntensity Class\n1\ta\tjoy\t2: moderate\n")
    with pytest.raises(UnknownNameError, match="'Intensity Score'"):
        reader("semeval").read(tmp_path)
    path.write_text(f"{INTENSITY}\n1\ta\tjoy\t0.5\n")
    (tmp_path / "2018-EI-reg-En-joy-train.txt").write_text(path.read_text())
    with pytest.raises(BadInputError, match="are both the train file"):
        reader("semeval").read(tmp_path)


def test_marks_are_zero_or_one(tmp_path: Path) -> None:
    folder = write_emotions(tmp_path, marked("1", "joy").replace("1\t0", "2\t0", 1))
    with pytest.raises(BadInputError, match="line 2: '2' where an emotion has 0 or 1"):
        reader("semeval").read(folder, task="E-c")
