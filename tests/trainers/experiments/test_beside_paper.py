"""A paper's cell beside ours: by hand from a small confusion, and the words that keep them apart."""

import dataclasses

import numpy as np
import pytest

from trainers.experiments.beside_paper import Beside, beside, beside_tables, caveats, value_of
from trainers.experiments.experiment import Experiment, load_experiment
from trainers.experiments.reference import Cell
from trainers.metrics import Scores

CLASSES = ("neutral", "fear", "anger", "joy")
# Rows are true: 10 neutral of which 8 are found, 4 fear of which 1 is found and 2 are taken for anger, no joy.
FIRST = Scores(np.array([[8, 1, 1, 0], [1, 1, 2, 0], [0, 0, 6, 0], [0, 0, 0, 0]]), CLASSES)
SECOND = Scores(np.array([[6, 2, 2, 0], [0, 3, 1, 0], [0, 0, 6, 0], [0, 0, 0, 0]]), CLASSES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 15 / 20),
        ("uar", (8 / 10 + 1 / 4 + 1) / 3),
        ("recall.fear", 1 / 4),
        ("confusion.fear.anger", 2 / 4),
        ("confusion.neutral.fear", 1 / 10),
        ("recall.joy", None),  # no test row
        ("recall.disgust", None),  # no such class
        ("train.accuracy", None),  # another part
        ("loss", None),
    ],
)
def test_scores_by_their_names_in_the_reference(name: str, value: float | None) -> None:
    assert value_of(FIRST, name) == (None if value is None else pytest.approx(value))


def test_means_and_deviations_over_seeds_beside_the_papers() -> None:
    cell = Cell(
        "x", "papers/000 x", "rows", "percent", {"accuracy": 0.7, "recall.fear": 0.3, "recall.joy": 0.1}
    )
    assert beside(cell, {0: FIRST, 1: SECOND}) == [
        Beside("accuracy", pytest.approx(0.75), pytest.approx(0.0), 0.7),
        # 0.25 and 0.75: deviation of two values half a unit apart is 0.5 / sqrt(2).
        Beside("recall.fear", pytest.approx(0.5), pytest.approx(0.35355339), 0.3),
    ]
    (one, _) = beside(cell, {3: FIRST})
    assert one.deviation is None
    assert one.difference == pytest.approx(0.05)


def test_scores_on_selections_by_the_end_of_their_names() -> None:
    values = {"testa.accuracy": 0.5, "testb.uar": 0.2, "testc.uar": 0.1, "uar": 0.4}
    cell = Cell("x", "papers/003 x", "rows", "share", values)
    found = beside(cell, {0: FIRST}, {"audio-text-testa": {0: SECOND}, "testb": {0: FIRST}})
    assert {each.score: each.ours for each in found} == {
        "testa.accuracy": pytest.approx(15 / 20),
        "testb.uar": pytest.approx((8 / 10 + 1 / 4 + 1) / 3),
        "uar": pytest.approx((8 / 10 + 1 / 4 + 1) / 3),
    }


def test_what_is_not_like_for_like_is_said() -> None:
    file = load_experiment("meld-t")
    assert caveats(file, file, 1966) == []
    same = dataclasses.replace(file, seeds=(5,), profile="mine")
    assert caveats(same, file, 1966) == []
    other = dataclasses.replace(file, verdict=None, slots=("text",))
    assert caveats(other, file, 2610) == [
        "ours has another slots, verdict than meld-t",
        "ours is on all 2610 test rows, the paper's is not: not like for like",
    ]


def test_the_table_says_which_subset_each_is_on(capsys: pytest.CaptureFixture[str]) -> None:
    file = load_experiment("meld-t-v-a")
    beside_tables(file, {0: FIRST, 1: SECOND}, file)
    told = " ".join(capsys.readouterr().out.split())
    assert "Beside papers/000 Table II (in percent)" in told
    assert "accuracy 75.0 ± 0.0 64.8 +10.2" in told
    assert "recall fear 50.0 ± 35.4 16.7 +33.3" in told
    assert (
        "the paper's is on the paper's verified subset; ours on 20 test rows that passed verdict 'verified'"
        in told
    )
    assert "disgust" not in told


def test_without_a_reference_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    beside_tables(Experiment("mine", "a", "mlp", ("text",)), {0: FIRST})
    assert capsys.readouterr().out == ""
