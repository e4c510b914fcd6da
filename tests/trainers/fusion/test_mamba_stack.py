"""Mamba blocks stacked, and read backwards."""

import pytest
import torch

from feature_repo.errors import BadInputError
from trainers.fusion.mamba_stack import MambaStack, reversed_steps


def test_each_rows_steps_are_reversed_and_its_padding_stays() -> None:
    x = torch.arange(12.0).view(3, 4, 1)
    made = reversed_steps(x, torch.tensor([4, 2, 0])).flatten(1)
    assert made.tolist() == [[3, 2, 1, 0], [5, 4, 6, 7], [8, 9, 10, 11]]


def test_two_plain_blocks_follow_each_other() -> None:
    stack = MambaStack(8, 2, d_state=4)
    x = torch.randn(2, 5, 8)
    first, second = stack.forwards
    torch.testing.assert_close(stack(x, torch.tensor([5, 5])), second(first(x)))


def test_a_residual_block_in_both_directions() -> None:
    torch.manual_seed(0)
    stack = MambaStack(8, 1, d_state=4, residual=True, both_directions=True)
    x = torch.randn(1, 5, 8)
    # RMSNorm with its weights of 1 is a division by the root mean square.
    read = x / (x.square().mean(2, keepdim=True) + torch.finfo(torch.float32).eps).sqrt()
    (forwards,), (backwards,) = stack.forwards, stack.backwards
    made = x + forwards(read) + backwards(read.flip(1)).flip(1)
    expected = made / (made.square().mean(2, keepdim=True) + torch.finfo(torch.float32).eps).sqrt()
    torch.testing.assert_close(stack(x, torch.tensor([5])), expected)


@pytest.mark.parametrize("both", [False, True])
def test_a_later_step_is_seen_in_both_directions_alone(both: bool) -> None:
    torch.manual_seed(0)
    stack = MambaStack(8, 2, d_state=4, residual=True, both_directions=both)
    x, lengths = torch.randn(1, 6, 8), torch.tensor([6])
    later = x.clone()
    later[:, 4:] += 1.0
    moved = (stack(later, lengths) - stack(x, lengths)).abs().amax((0, 2)) > 1e-6
    assert moved.tolist() == ([True] * 6 if both else [False] * 4 + [True] * 2)


def mamba2_parameters(d_model: int, d_state: int) -> int:
    """Counted from the Mamba-2 paper's block of one group, expand 2, convolution over 4, heads of 64."""
    inner, heads = 2 * d_model, 2 * d_model // 64
    convolved = inner + 2 * d_state
    projections = d_model * (inner + convolved + heads) + inner * d_model
    return projections + (convolved * 4 + convolved) + 3 * heads + inner


def test_the_second_version_pads_and_counts_as_it_should() -> None:
    torch.manual_seed(0)
    stack = MambaStack(64, 2, d_state=16, version=2, both_directions=True)
    assert sum(parameter.numel() for parameter in stack.parameters()) == 4 * mamba2_parameters(64, 16)
    x = torch.randn(2, 6, 64)
    together = stack(x, torch.tensor([6, 3]))
    torch.testing.assert_close(together[:1], stack(x[:1], torch.tensor([6])), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together[1:, :3], stack(x[1:, :3], torch.tensor([3])), rtol=1e-4, atol=1e-5)
    with pytest.raises(BadInputError, match="no whole number of heads"):
        MambaStack(26, version=2)
