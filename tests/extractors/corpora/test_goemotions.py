"""GoEmotions: the official files against counts made another way, and broken copies."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.goemotions import LABELS
from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError
from feature_repo.manifest import conform


def write(folder: Path, *lines: str) -> Path:
    for split in ("train", "dev", "test"):
        own = [line.replace("@", split) for line in lines] or [f"hello\t27\t{split}1"]
        (folder / f"{split}.tsv").write_text("\n".join(own) + "\n", "utf-8")
    return folder


def test_official_files(samples: Path) -> None:
    rows = conform(reader("goemotions").read(samples / "data" / "goemotions"), "goemotions")
    assert Counter(rows["split"]) == {"train": 43410, "dev": 5426, "test": 5427}
    # Counted on the file itself: rows with no other numbers than 14 (fear) and 19 (nervousness).
    only_fear = 0
    for split in ("train", "dev", "test"):
        for line in (samples / "data" / "goemotions" / f"{split}.tsv").read_bytes().split(b"\n"):
            only_fear += bool(line) and set(line.split(b"\t")[1].split(b",")) <= {b"14", b"19"}
    assert Counter(rows["emotion"])["fear"] == only_fear
    left_out = rows.filter(pl.col("emotion").is_null())
    assert left_out["label_note"].str.starts_with("several groups").all()
    assert left_out["label_raw"].str.contains(",").all()


def test_label_order_is_the_official_one(samples: Path) -> None:
    assert (samples / "data" / "goemotions" / "labels.txt").read_text("utf-8").split() == list(LABELS)


def test_groups_neutral_and_lone_quotes(tmp_path: Path) -> None:
    rows = (
        reader("goemotions")
        .read(write(tmp_path, 'a "quote\t0,17\t@a', "b\t27\t@b", "c\t2,17\t@c", "d\t17,27\t@d"))
        .filter(split="dev")
    )
    assert rows["text"].to_list() == ['a "quote', "b", "c", "d"]
    assert rows["label_raw"].to_list() == ["admiration,joy", "neutral", "anger,joy", "joy,neutral"]
    assert rows["emotion"].to_list() == ["joy", "neutral", None, None]
    assert rows["utterance_id"][0] == "goemotions/deva"


def test_another_label_order_beside_the_files_is_followed_and_other_labels_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, "a\t0\t@a")
    (folder / "labels.txt").write_text("\n".join(sorted(LABELS, reverse=True)), "utf-8")
    assert reader("goemotions").read(folder)["label_raw"].to_list() == ["surprise"] * 3
    (folder / "labels.txt").write_text("\n".join((*LABELS[:-1], "glee")), "utf-8")
    with pytest.raises(BadInputError, match="glee, neutral"):
        reader("goemotions").read(folder)


@pytest.mark.parametrize("numbers", ["28", "-1", "joy", "", "3,"])
def test_a_label_number_that_does_not_exist_is_named(tmp_path: Path, numbers: str) -> None:
    with pytest.raises(BadInputError, match=r"train\.tsv: line 2: labels .*0 to 27"):
        reader("goemotions").read(write(tmp_path, "a\t1\t@a", f"b\t{numbers}\t@b"))


def test_broken_rows_and_encodings_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"train\.tsv: line 1: 2 fields"):
        reader("goemotions").read(write(tmp_path, "a\t1"))
    (write(tmp_path) / "dev.tsv").write_bytes(b"ok\t1\ta\nit\x92s\t1\tb\n")
    with pytest.raises(BadInputError, match=r"dev\.tsv: line 2: byte 0x92"):
        reader("goemotions").read(tmp_path)
    (tmp_path / "dev.tsv").unlink()
    with pytest.raises(BadInputError, match="'dev'"):
        reader("goemotions").read(tmp_path)
