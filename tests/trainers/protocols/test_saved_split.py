"""A saved split as a protocol."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError
from feature_repo.splits import SavedSplit
from tests.trainers.protocols.manifests import manifest_of
from trainers.protocols.plan import LeakageError
from trainers.protocols.saved_split import saved_split


def _split(parts: list[str], **made: Any) -> SavedSplit:
    ids = [f"c/{row}" for row in range(len(parts))]
    rows = pl.DataFrame({"utterance_id": ids, "corpus": ["c"] * len(parts), "part": parts})
    return SavedSplit("mine", rows, made)


def test_rows_are_in_the_parts_that_the_split_names() -> None:
    split = _split(["test", "train", "validation", "train", "train"])
    plan = saved_split(split, manifest_of(["a"] * 6), np.array([0, 1, 1, -1, 0, 0]))
    (fold,) = plan.splits
    assert {part: rows.tolist() for part, rows in fold.parts().items()} == {
        "train": [1, 4],
        "validation": [2],
        "test": [0],
    }
    assert plan.protocol == "split:mine"
    assert plan.left_out == {"no label in the scheme": 1, "not in split mine": 1}
    assert plan.identity == {"split": split.digest}


def test_the_digest_tells_splits_apart_whatever_they_are_called() -> None:
    labels = np.zeros(3, np.int64)
    one, other = _split(["train", "validation", "test"]), _split(["test", "validation", "train"])
    assert (
        saved_split(one, manifest_of(["a"] * 3), labels).identity
        != saved_split(other, manifest_of(["a"] * 3), labels).identity
    )


@pytest.mark.parametrize("lacking", ["train", "validation", "test"])
def test_a_part_without_a_labelled_row_is_named(lacking: str) -> None:
    parts = ["train", "validation", "test"]
    labels = np.array([-1 if part == lacking else 0 for part in parts])
    with pytest.raises(BadInputError, match=f"'split:mine' finds no labelled {lacking} row in c"):
        saved_split(_split(parts), manifest_of(["a"] * 3), labels)


@pytest.mark.parametrize(
    ("rule", "by_speaker"), [("speaker", True), ("train", True), ("official", False), ("random", False)]
)
def test_speakers_are_apart_where_the_rule_says_so(rule: str, by_speaker: bool) -> None:
    split = _split(["train", "validation", "test"], rules={"c": rule})
    assert saved_split(split, manifest_of(["a", "b", "c"]), np.zeros(3, np.int64)).by_speaker is by_speaker


def test_speakers_who_are_together_since_are_leakage() -> None:
    split = _split(["train", "validation", "test"], rules={"c": "speaker"})
    with pytest.raises(LeakageError, match="speaker.* 'a' are in train and in test"):
        saved_split(split, manifest_of(["a", "b", "a"]), np.zeros(3, np.int64))
