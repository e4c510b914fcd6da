"""Training on some corpora, or on a saved list, while the same rows are tested."""

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.named_ids import NamedIds
from trainers.protocols.plan import Plan, Split
from trainers.protocols.restriction import check_rows, of_corpora, of_ids, training_corpora

CORPORA = ["meld", "ravdess", "cremad-standin", "goemotions"]
# Rows 0 to 3 train, 4 to 7 select, 8 to 11 are tested; a corpus each in every part.
MANIFEST = pl.DataFrame({"utterance_id": [f"u{row}" for row in range(12)], "corpus": CORPORA * 3})
PLAN = Plan(
    "official",
    (Split(0, np.arange(4), np.arange(4, 8), np.arange(8, 12)),),
    by_speaker=False,
    left_out={"no label in the scheme": 3},
    identity={"split": "x"},
)


def _named(*ids: str) -> NamedIds:
    return NamedIds("mine", pl.Series(ids, dtype=pl.String), "d")


def test_corpora_train_and_select_and_all_are_tested() -> None:
    plan = of_corpora(PLAN, MANIFEST, ["meld", "goemotions"])
    (split,) = plan.splits
    assert {part: rows.tolist() for part, rows in split.parts().items()} == {
        "train": [0, 3],
        "validation": [4, 7],
        "test": [8, 9, 10, 11],
    }
    assert plan.left_out == {"no label in the scheme": 3, "not of a training corpus": 4}
    assert plan.identity == {"split": "x", "train_corpora": ["goemotions", "meld"]}


def test_a_domain_stands_for_its_corpora_stand_ins_too() -> None:
    assert training_corpora(["acted"], CORPORA) == ["cremad-standin", "ravdess"]
    assert training_corpora(["conversational", "ravdess"], CORPORA) == ["meld", "ravdess"]


def test_the_order_of_names_is_no_other_run() -> None:
    one, other = (of_corpora(PLAN, MANIFEST, names) for names in (["meld", "acted"], ["acted", "meld"]))
    assert one.identity == other.identity


@pytest.mark.parametrize("name", ["mead", "face"])
def test_what_names_no_corpus_here_is_told(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"'{name}'; allowed: acted, conversational, cremad-standin"):
        of_corpora(PLAN, MANIFEST, [name])


def test_a_list_trains_and_the_rest_stays() -> None:
    plan = of_ids(PLAN, MANIFEST, _named("u1", "u2", "u8", "u99"))
    (split,) = plan.splits
    assert {part: rows.tolist() for part, rows in split.parts().items()} == {
        "train": [1, 2],
        "validation": [4, 5, 6, 7],
        "test": [8, 9, 10, 11],
    }
    assert plan.left_out["training rows that are not in mine"] == 2
    assert plan.identity == {"split": "x", "train_on": {"name": "mine", "ids": "d"}}


def test_a_row_that_another_fold_uses_is_not_left_out() -> None:
    turned = Split(1, np.arange(8, 12), np.arange(4, 8), np.arange(4))
    two = Plan("folds", (*PLAN.splits, turned), by_speaker=False)
    plan = of_ids(two, MANIFEST, _named("u0", "u8"))
    assert [split.train.tolist() for split in plan.splits] == [[0], [8]]
    assert plan.left_out == {}


def test_nothing_left_to_train_on_is_told() -> None:
    (nothing,) = of_ids(PLAN, MANIFEST, _named("u8")).splits
    with pytest.raises(BadInputError, match="fold 0: no labelled train row is in mine; allowed"):
        check_rows(nothing, (), "mine")
    with pytest.raises(BadInputError, match="no labelled train row is of meld, esd and in mine"):
        check_rows(nothing, ("meld", "esd"), "mine")
    check_rows(PLAN.splits[0], (), None)
