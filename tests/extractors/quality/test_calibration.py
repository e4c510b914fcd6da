"""Thresholds of distributions whose error rates can be counted by hand, and of normal ones whose rates are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from extractors.quality.calibration import Pairs, calibrated, histogram
from feature_repo.errors import BadInputError


def test_distributions_that_part() -> None:
    found = calibrated(Pairs(np.array([0.8, 0.9, 0.7]), np.array([0.1, 0.3, 0.2])))
    assert (found.eer, found.eer_threshold, found.recommended) == (0.0, 0.5, 0.5)
    threshold, refused = found.at_far[0.01]
    assert 0.3 < threshold < 0.3001
    assert refused == 0.0


def test_rates_counted_by_hand() -> None:
    # Of ten genuine pairs two lie at or below the impostors' highest two of ten.
    genuine = np.array([0.25, 0.45, 0.6, 0.62, 0.64, 0.66, 0.68, 0.7, 0.72, 0.74])
    impostor = np.array([0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.3, 0.5])
    found = calibrated(Pairs(genuine, impostor))
    assert found.eer == pytest.approx(0.1), "at 0.45 one of each is on the wrong side"
    assert found.eer_threshold == 0.45
    threshold, refused = found.at_far[0.01]
    assert threshold == pytest.approx(0.5)
    assert threshold > 0.5, "ten impostors allow none at 1 %"
    assert refused == 0.2
    assert found.recommended == 0.501


def test_where_they_overlap_the_rate_that_is_asked_for_decides() -> None:
    rng = np.random.default_rng(1)
    pairs = Pairs(rng.normal(0.5, 0.2, 5000), rng.normal(0.2, 0.1, 5000))
    for rate in (0.01, 0.001):
        found = calibrated(pairs, rate)
        assert found.at_far[rate][0] <= found.recommended < found.at_far[rate][0] + 0.001
        assert (pairs.impostor >= found.recommended).mean() <= rate
    assert calibrated(pairs, 0.001).recommended > calibrated(pairs, 0.01).recommended


def test_normal_distributions_have_their_known_equal_error_rate() -> None:
    rng = np.random.default_rng(0)
    found = calibrated(Pairs(rng.normal(0.6, 0.1, 200_000), rng.normal(0.2, 0.1, 200_000)))
    # Halfway, two standard deviations from each mean: the normal tail beyond 2 is 0.02275.
    assert found.eer == pytest.approx(0.02275, abs=0.001)
    assert found.eer_threshold == pytest.approx(0.4, abs=0.005)
    threshold, refused = found.at_far[0.01]
    assert threshold == pytest.approx(0.2 + 0.1 * 2.3263, abs=0.003)
    assert refused == pytest.approx(0.0472, abs=0.003)  # the tail beyond 4 - 2.3263
    assert found.at_far[0.001][0] == pytest.approx(0.2 + 0.1 * 3.0902, abs=0.01)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(1, 300))
def test_no_more_impostors_pass_than_the_rate_says_and_the_rates_are_scikit_learns(
    seed: int, genuine: int, impostor: int
) -> None:
    rng = np.random.default_rng(seed)
    pairs = Pairs(rng.normal(0.5, 0.2, genuine).round(2), rng.normal(0.3, 0.2, impostor).round(2))
    found = calibrated(pairs)
    for rate, (threshold, refused) in found.at_far.items():
        assert (pairs.impostor >= threshold).mean() <= rate
        assert refused == (pairs.genuine < threshold).mean()
    scores = np.concatenate([pairs.genuine, pairs.impostor])
    labels = np.r_[np.ones(genuine), np.zeros(impostor)]
    accepted, passed, _ = roc_curve(labels, scores, drop_intermediate=False)
    crossing = np.abs(accepted - (1 - passed)).min()
    cut = found.eer_threshold
    ours = abs((pairs.impostor >= cut).mean() - (pairs.genuine < cut).mean())
    assert ours <= crossing + 1e-9
    assert found.eer == pytest.approx(
        ((pairs.impostor >= cut).mean() + (pairs.genuine < cut).mean()) / 2, abs=1e-9
    )


def test_nothing_to_read_off() -> None:
    with pytest.raises(BadInputError, match="no pairs that belong together.*: everyone was alone"):
        calibrated(Pairs(np.empty(0), np.array([0.1]), "everyone was alone"))
    with pytest.raises(BadInputError, match="no pairs that do not belong together"):
        calibrated(Pairs(np.array([0.1]), np.empty(0)))


def test_the_histogram_counts_every_pair_and_marks_the_threshold() -> None:
    lines = histogram(Pairs(np.array([0.9] * 10), np.array([0.1] * 5 + [0.3])), 0.5, rows=8, width=10)
    assert len(lines) == 9
    assert sum("<- threshold" in line for line in lines) == 1
    marked = next(line for line in lines if "<- threshold" in line)
    assert "█" not in marked
    assert lines[1].count("█") == 10, "the fullest bin of each side has the full width"
    assert lines[-1].count("█") == 10
    assert sum(line.count("█") for line in lines) == 22, "and one of five a fifth of it"
