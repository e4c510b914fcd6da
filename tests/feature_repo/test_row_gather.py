import numpy as np
import pytest

from feature_repo.row_gather import gather_rows


@pytest.mark.parametrize("width", [1, 3, 768])
def test_rows_of_many_arrays_are_those_that_a_loop_takes(width):
    random = np.random.default_rng(0)
    # Kept apart in memory by arrays in between, in no order of their addresses.
    made = [random.standard_normal((random.integers(0, 40), width), dtype=np.float32) for _ in range(60)]
    sources = {number: made[number] for number in random.permutation(60)[::3].tolist()}
    filled = [number for number, array in sources.items() if len(array)]
    source = random.choice([*filled, -1], 500).astype(np.int32)
    row = np.array([random.integers(len(sources[s])) if s >= 0 else -1 for s in source])
    found = gather_rows(sources, source, row)
    expected = [sources[s][r] if s >= 0 else np.zeros(width) for s, r in zip(source, row, strict=True)]
    np.testing.assert_array_equal(found, expected)
    assert found.flags.owndata or found.base.flags.owndata
    assert found.flags.writeable


def test_a_row_that_is_not_there_is_refused():
    sources = {0: np.ones((2, 3), np.float32), 1: np.ones((5, 3), np.float32)}
    for source, row in ((0, 2), (1, 5), (1, -1), (2, 0)):
        with pytest.raises(IndexError):
            gather_rows(sources, np.array([0, source], np.int32), np.array([0, row]))


def test_nothing_but_absent_rows_are_zeros():
    sources = {0: np.ones((0, 3), np.float32)}
    found = gather_rows(sources, np.array([-1, -1], np.int32), np.array([-1, -1]))
    np.testing.assert_array_equal(found, np.zeros((2, 3)))
