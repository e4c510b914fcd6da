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
