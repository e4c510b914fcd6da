"""The corpus's own splits."""

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError
from tests.trainers.protocols.manifests import manifest_of
from trainers.protocols.plan import LeakageError
from trainers.protocols.registry import plan_splits


def test_official_takes_the_corpus_splits() -> None:
    splits = ["train", "dev", "test", "train", "all", "test"]
    plan = plan_splits("official", manifest_of(["a"] * 6, splits), np.array([0, 1, 0, -1, 1, 1]))
    (split,) = plan.splits
    assert {part: rows.tolist() for part, rows in split.parts().items()} == {
        "train": [0],
        "validation": [1],
        "test": [2, 5],
    }
    assert plan.left_out == {"no label in the scheme": 1, "no official split": 1}
    assert not plan.by_speaker


@pytest.mark.parametrize(("lacking", "told"), [("train", "train"), ("dev", "dev"), ("test", "test")])
def test_official_without_a_split_names_it_and_the_other_protocol(lacking: str, told: str) -> None:
    splits = ["all" if split == lacking else split for split in ("train", "dev", "test")]
    with pytest.raises(BadInputError, match=f"split '{told}' in c; allowed .* speaker-folds"):
        plan_splits("official", manifest_of(["a"] * 3, splits), np.zeros(3, np.int64))


def test_duplicate_utterances_across_splits_are_refused() -> None:
    manifest = manifest_of(["a"] * 3, ["train", "dev", "test"]).with_columns(utterance_id=pl.lit("c/0"))
    with pytest.raises(LeakageError, match="utterance"):
        plan_splits("official", manifest, np.zeros(3, np.int64))
