"""Leave one corpus out: every corpus is tested whole, the others train and select."""

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError
from trainers.protocols.registry import plan_splits

# (corpus, official split, speaker, label)
ROWS = [
    ("meld", "train", "m/a", 0),
    ("meld", "train", "m/b", 1),
    ("meld", "dev", "m/a", 0),
    ("meld", "test", "m/a", 1),
    ("acted", "all", "x", 0),
    ("acted", "all", "x", 1),
    ("acted", "all", "x", 0),
    ("acted", "all", "y", 0),
    ("acted", "all", "z", 0),
    ("acted", "all", "z", -1),
    ("tweets", "all", None, 0),
    ("tweets", "all", None, 0),
    ("tweets", "all", None, 1),
    ("tweets", "all", None, 1),
]


def _manifest() -> tuple[pl.DataFrame, np.ndarray]:
    manifest = pl.DataFrame(
        {
            "utterance_id": [f"{row[0]}/{place:02}" for place, row in enumerate(ROWS)],
            "corpus": [row[0] for row in ROWS],
            "split": [row[1] for row in ROWS],
            "speaker_id": [row[2] for row in ROWS],
        }
    )
    return manifest, np.array([row[3] for row in ROWS])


def test_a_fold_per_corpus_by_hand() -> None:
    manifest, labels = _manifest()
    plan = plan_splits("leave-corpus-out", manifest, labels, validation_share=0.5)
    assert [split.tested for split in plan.splits] == ["acted", "meld", "tweets"]
    acted, meld, tweets = (
        {part: rows.tolist() for part, rows in split.parts().items()} for split in plan.splits
    )
    # MELD's dev selects, its test rows take no part; every second tweet of a class in the order of ids selects.
    assert acted == {"train": [0, 1, 10, 12], "validation": [2, 11, 13], "test": [4, 5, 6, 7, 8]}
    # Of the three actors in two groups the first has x, the largest, the second y and z.
    assert meld == {"train": [4, 5, 6, 10, 12], "validation": [7, 8, 11, 13], "test": [0, 1, 2, 3]}
    assert tweets == {"train": [0, 1, 4, 5, 6], "validation": [2, 7, 8], "test": [10, 11, 12, 13]}
    assert plan.left_out == {"no label in the scheme": 1}
    assert not plan.by_speaker


def test_the_order_of_rows_changes_nothing() -> None:
    manifest, labels = _manifest()
    order = np.random.default_rng(3).permutation(len(labels))
    one = plan_splits("leave-corpus-out", manifest, labels)
    other = plan_splits("leave-corpus-out", manifest[order.tolist()], labels[order])
    for ours, theirs in zip(one.splits, other.splits, strict=True):
        for part, rows in ours.parts().items():
            assert sorted(order[theirs.parts()[part]]) == rows.tolist()


def test_one_corpus_is_not_enough() -> None:
    manifest, labels = _manifest()
    only = (manifest["corpus"] == "meld").to_numpy()
    with pytest.raises(BadInputError, match=r"1 corpus with labelled rows \(meld\); allowed: 2 or more"):
        plan_splits("leave-corpus-out", manifest.filter(pl.Series(only)), labels[only])


def test_others_that_have_nothing_to_select_on_are_told() -> None:
    manifest, labels = _manifest()
    two = manifest["corpus"].is_in(["meld", "acted"]).to_numpy() & (manifest["split"] != "dev").to_numpy()
    labels = np.where(manifest["corpus"].to_numpy() == "meld", labels, np.where(np.arange(14) == 4, 0, -1))
    with pytest.raises(
        BadInputError, match="without meld: the other corpora have no labelled validation row"
    ):
        plan_splits("leave-corpus-out", manifest.filter(pl.Series(two)), labels[two])
