"""Pooling against NumPy over the states that are there."""

import numpy as np
import pytest
import torch

from extractors.encoders.hidden_states import pool, pooled_width, steps_of

COUNTS = (5, 1, 3)


@pytest.fixture
def batch():
    states = torch.from_numpy(np.random.default_rng(0).normal(2, 3, (3, 5, 4)).astype(np.float32))
    mask = torch.arange(5)[None] < torch.tensor(COUNTS)[:, None]
    return states, mask


@pytest.mark.parametrize("pooling", ["mean", "mean-std", "cls"])
def test_only_what_the_mask_shows_counts(batch, pooling):
    states, mask = batch
    found = pool(states, mask, pooling).numpy()
    for row, count in enumerate(COUNTS):
        there = states[row, :count].numpy().astype(np.float64)
        wanted = {
            "mean": there.mean(0),
            "mean-std": np.concatenate([there.mean(0), there.std(0)]),
            "cls": there[0],
        }[pooling]
        np.testing.assert_allclose(found[row], wanted, rtol=1e-5, atol=1e-6)
    assert found.shape == (3, pooled_width(pooling, 4))
    hidden = states.masked_fill(~mask[..., None], 1e4)
    np.testing.assert_allclose(pool(hidden, mask, pooling).numpy(), found, rtol=1e-6)


def test_a_single_state_has_no_deviation_and_a_finite_gradient():
    states = torch.ones(2, 3, 4, requires_grad=True)
    pooled = pool(states, torch.tensor([[True, False, False], [True, True, True]]), "mean-std")
    assert torch.equal(pooled[:, 4:], torch.zeros(2, 4))
    pooled.sum().backward()
    assert torch.isfinite(states.grad).all()


def test_the_gradient_is_that_of_finite_differences(batch):
    states, mask = batch

    def pooled(values):
        return pool(values.float(), mask, "mean-std").double()

    weights = torch.randn(3, 8, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    wide = states.double().requires_grad_()
    (pooled(wide) * weights).sum().backward()
    step = torch.zeros_like(states).double()
    step[0, 2, 1] = 0.05
    with torch.no_grad():
        slope = ((pooled(wide + step) - pooled(wide - step)) * weights).sum() / 0.1
    assert float(wide.grad[0, 2, 1]) == pytest.approx(float(slope), rel=1e-2)
    assert torch.equal(wide.grad[~mask], torch.zeros_like(wide.grad[~mask]))


def test_half_precision_states_are_pooled_in_single(batch):
    states, mask = batch
    pooled = pool((1000 * states).half(), mask, "mean-std")
    assert pooled.dtype == torch.float32
    assert torch.isfinite(pooled).all(), "squares above 65504 are no half precision number"


def test_steps_are_those_that_are_there(batch):
    states, mask = batch
    steps = steps_of(states, mask)
    assert [each.shape for each in steps] == [(count, 4) for count in COUNTS]
    for row, each in enumerate(steps):
        np.testing.assert_array_equal(each, states[row, : COUNTS[row]].half().numpy())


@pytest.mark.parametrize("hidden", [float("nan"), float("inf")])
def test_what_the_mask_hides_does_not_count_even_if_it_is_no_number(hidden):
    states = torch.tensor([[[1.0], [3.0], [hidden]]], requires_grad=True)
    pooled = pool(states, torch.tensor([[True, True, False]]), "mean-std")
    assert pooled.tolist() == [[2.0, 1.0]]
    pooled.sum().backward()
    # Of the mean 1/2 each, of the deviation -1/2 and 1/2.
    assert states.grad.flatten().tolist() == [0.0, 1.0, 0.0]
