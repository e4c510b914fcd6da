"""Frames to tokens, against numpy.array_split in a plain loop."""

import numpy as np
import pytest
import torch

from trainers.fusion.alignment import align, split_index, split_weights


def _by_loop(frames: np.ndarray, tokens: int) -> np.ndarray:
    """Each token's frame, or the mean of its frames."""
    if len(frames) <= tokens:
        groups = np.array_split(np.arange(tokens), len(frames))
        return np.concatenate(
            [np.repeat(frame[None], len(g), 0) for frame, g in zip(frames, groups, strict=True)]
        )
    return np.stack([part.mean(0) for part in np.array_split(frames, tokens)])


def test_the_papers_example() -> None:
    # papers/000 III-B3c: of 15 tokens the first 4 meet frame 1, then 4, 4, and the last 3 meet frame 4.
    frames = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]])
    aligned = align(frames, torch.tensor([4]), torch.tensor([15]), 15)
    assert aligned.flatten().tolist() == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 3


def test_a_padded_batch_of_every_pair_of_lengths_is_as_the_loop_does_it() -> None:
    longest, random = 13, np.random.default_rng(0)
    pairs = [(tokens, frames) for tokens in range(1, longest + 1) for frames in range(1, longest + 1)]
    token_counts, frame_counts = torch.tensor(pairs).unbind(1)
    values = random.normal(size=(len(pairs), longest, 3))  # what is behind a row's frames is padding
    aligned = align(torch.from_numpy(values), frame_counts, token_counts, longest + 2).numpy()
    for row, (tokens, frames) in enumerate(pairs):
        np.testing.assert_allclose(aligned[row, :tokens], _by_loop(values[row, :frames], tokens), rtol=1e-12)
        assert not aligned[row, tokens:].any()


@pytest.mark.parametrize(("items", "groups"), [(15, 4), (4, 4), (7, 1), (20, 6), (3, 2)])
def test_groups_are_those_of_array_split(items: int, groups: int) -> None:
    position = torch.arange(items)
    sizes = [len(part) for part in np.array_split(np.arange(items), groups)]
    expected = np.repeat(np.arange(groups), sizes)
    np.testing.assert_array_equal(split_index(torch.tensor(items), torch.tensor(groups), position), expected)


def test_a_row_without_frames_is_masked_and_so_is_one_without_tokens() -> None:
    weights = split_weights(torch.tensor([3, 0, 2]), torch.tensor([0, 2, 2]), 3, 2)
    assert weights.tolist() == [[[0, 0]] * 3, [[0, 0]] * 3, [[1, 0], [0, 1], [0, 0]]]


@pytest.mark.parametrize("tokens", [2, 5])
def test_gradients(tokens: int) -> None:
    counts = torch.tensor([3, 2, 0]), torch.tensor([tokens, 1, 2])
    frames = torch.randn(3, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: align(x, *counts, 6), frames)
