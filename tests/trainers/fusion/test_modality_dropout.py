"""How often modalities are dropped, and that never all of them are."""

from itertools import product

import pytest
import torch

from trainers.fusion.modality_dropout import drop_modalities

ROWS = 100_000


@pytest.mark.parametrize(("rate", "count"), list(product([0.2, 0.7], [1, 2, 3])))
def test_each_is_dropped_as_often_as_it_should_and_never_all(rate: float, count: int) -> None:
    torch.manual_seed(0)
    present = torch.zeros(ROWS, 4, dtype=torch.bool)
    present[:, 4 - count :] = True
    kept = drop_modalities(present, rate)
    assert kept.any(1).all()
    assert not (kept & ~present).any()
    # Counted out: of all outcomes of `count` draws, the one that drops all spares each with chance 1 / count.
    outcomes = list(product([True, False], repeat=count))
    chance = {drop: rate ** sum(drop) * (1 - rate) ** (count - sum(drop)) for drop in outcomes}
    expected = sum(p for drop, p in chance.items() if drop[0]) - chance[(True,) * count] / count
    dropped = 1 - kept[:, 4 - count :].float().mean(0)
    # Five standard errors of a share of 100,000.
    torch.testing.assert_close(dropped, torch.full((count,), expected), atol=5 * 0.5 / ROWS**0.5, rtol=0)


def test_draws_follow_the_seed_and_a_rate_of_zero_drops_nothing() -> None:
    present = torch.rand(50, 3) < 0.8
    torch.manual_seed(3)
    one = drop_modalities(present, 0.5)
    torch.manual_seed(3)
    assert torch.equal(one, drop_modalities(present, 0.5))
    assert torch.equal(drop_modalities(present, 0.0), present)


def test_a_row_without_any_stays_without_any() -> None:
    assert not drop_modalities(torch.zeros(4, 3, dtype=torch.bool), 0.5).any()
