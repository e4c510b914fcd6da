import numpy as np
import pytest

from feature_repo.errors import BadInputError
from feature_repo.steps import Steps

LENGTHS = [3, 0, 5, 1, 2]


def sequence(row: int, width: int = 2) -> np.ndarray:
    """Row's numbers: step i is [100 * row + 10 * i, ... + 1]."""
    return np.array([[100 * row + 10 * i + j for j in range(width)] for i in range(LENGTHS[row])]).reshape(
        -1, width
    )


@pytest.fixture(params=["float16", "int16", "float32"])
def steps(request) -> Steps:
    """Rows 0, 3 lie in one segment, 2, 4 in another, each not at its beginning; row 1 has nothing."""
    dtype = np.dtype(request.param)
    pad = np.full((2, 2), -1)
    one = np.concatenate([pad, sequence(3), sequence(0)]).astype(dtype)
    two = np.concatenate([pad, sequence(4), pad, sequence(2)]).astype(dtype)
    segment = np.array([0, 0, 1, 0, 1], np.int32)
    return Steps(2, dtype, np.array(LENGTHS, np.int32), (one, two), segment, np.array([3, 0, 6, 2, 2]))


@pytest.mark.parametrize("max_steps", [None, 1, 2, 4, 99])
@pytest.mark.parametrize("index", [[2, 1, 0, 2], [1], [], [-1, 4], [3]])
def test_a_batch_is_what_padding_one_by_one_gives(steps, index, max_steps):
    values, mask = steps.gather(index, max_steps)
    rows = [sequence(row % 5)[:max_steps] for row in index]
    longest = max([len(row) for row in rows], default=0)
    assert values.shape == (len(index), longest, 2)
    assert values.dtype == steps.dtype
    for place, row in enumerate(rows):
        np.testing.assert_array_equal(values[place, : len(row)], row)
        assert not values[place, len(row) :].any()
        assert mask[place].tolist() == [True] * len(row) + [False] * (longest - len(row))


def test_tensors_are_the_same_numbers(steps):
    import torch

    values, mask = steps.gather([2, 0], device="cpu")
    assert values.dtype == getattr(torch, steps.dtype.name)
    expected, expected_mask = steps.gather([2, 0])
    np.testing.assert_array_equal(values.numpy(), expected)
    np.testing.assert_array_equal(mask.numpy(), expected_mask)


def test_flat_take_and_row(steps):
    values, offsets = steps.flat([4, 1, 0])
    np.testing.assert_array_equal(values, np.concatenate([sequence(4), sequence(0)]))
    assert offsets.tolist() == [0, 2, 2, 5]
    values, offsets = steps.flat()
    np.testing.assert_array_equal(values, np.concatenate([sequence(row) for row in range(5)]))
    taken = steps.take([4, 2])
    assert taken.lengths.tolist() == [2, 5]
    np.testing.assert_array_equal(taken.row(1), sequence(2))
    assert steps.row(1).shape == (0, 2)
    assert len(steps) == 5


def test_a_boolean_mask_chooses_rows(steps):
    values, _ = steps.gather(np.array([False, False, False, True, True]))
    np.testing.assert_array_equal(values[1], sequence(4))


def test_what_is_not_there_is_refused(steps):
    for index in ([5], [0, -6]):
        with pytest.raises(IndexError, match="of 5"):
            steps.gather(index)
    with pytest.raises(IndexError, match="mask of 4"):
        steps.gather(np.ones(4, bool))
    with pytest.raises(BadInputError, match="max_steps 0"):
        steps.gather([0], 0)
