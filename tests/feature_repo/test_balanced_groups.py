"""Groups of speakers with like rows per class."""

import numpy as np

from feature_repo.balanced_groups import balanced_groups


def test_groups_are_balanced_in_rows_and_in_classes() -> None:
    # Two speakers who are only angry, two who are only sad, and a loud neutral one against three quiet ones.
    counts = {
        "angry1": np.array([0, 10, 0]),
        "angry2": np.array([0, 10, 0]),
        "sad1": np.array([0, 0, 10]),
        "sad2": np.array([0, 0, 10]),
        "loud": np.array([90, 0, 0]),
        "quiet1": np.array([30, 0, 0]),
        "quiet2": np.array([30, 0, 0]),
        "quiet3": np.array([30, 0, 0]),
    }
    groups = balanced_groups(counts, 2)
    assert [np.sum([counts[name] for name in group], axis=0).tolist() for group in groups] == [
        [90, 10, 10],
        [90, 10, 10],
    ]


def test_groups_take_the_shares_that_are_asked_for() -> None:
    counts = {f"s{number:02}": np.array([10, 5]) for number in range(20)}
    groups = balanced_groups(counts, 3, shares=[0.7, 0.15, 0.15])
    assert [len(group) for group in groups] == [14, 3, 3]
    assert sorted(name for group in groups for name in group) == sorted(counts)


def test_no_group_stays_empty_however_small_its_share() -> None:
    counts = {name: np.array([100]) for name in "abcd"}
    groups = balanced_groups(counts, 3, shares=[0.98, 0.01, 0.01])
    assert [len(group) for group in groups] == [2, 1, 1]


def test_the_order_says_who_is_dealt_out_first() -> None:
    counts = {name: np.array([10]) for name in "abcdef"}
    first = balanced_groups(counts, 2, shares=[2, 1], order=list("abcdef"))
    other = balanced_groups(counts, 2, shares=[2, 1], order=list("bacdef"))
    assert [len(group) for group in first] == [len(group) for group in other] == [4, 2]
    assert first != other
