"""Masks and means of padded sequences."""

import numpy as np
import torch

from trainers.fusion.masks import masked_mean, step_mask


def test_a_mask_is_true_up_to_the_length() -> None:
    assert step_mask(torch.tensor([0, 1, 3]), 3).tolist() == [[False] * 3, [True, False, False], [True] * 3]


def test_the_mean_is_of_the_steps_that_exist() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 2))
    padded = values.copy()
    padded[0, 2:] = np.nan
    padded[2] = np.inf
    made = masked_mean(torch.from_numpy(padded), torch.tensor([2, 4, 0]))
    np.testing.assert_allclose(made, [values[0, :2].mean(0), values[1].mean(0), [0, 0]], rtol=1e-12)
