from hypothesis import given
from hypothesis import strategies as st

from extractors.batching import by_cost


def test_largest_first_and_like_with_like():
    batches = list(by_cost([3, 9, 1, 7, 2, 8], float, 2))
    assert batches == [[9, 8], [7, 3], [2, 1]]


def test_a_batch_costs_its_largest_times_its_length():
    assert list(by_cost([5, 5, 5, 2, 2, 2, 2], float, 10, max_cost=10)) == [[5, 5], [5, 2], [2, 2, 2]]
    assert list(by_cost([50, 1], float, 10, max_cost=10)) == [[50], [1]]


def test_nothing_gives_no_batch():
    assert list(by_cost([], float, 4)) == []


@given(st.lists(st.floats(0, 100)), st.integers(1, 5), st.floats(1, 300))
def test_each_item_comes_once_within_the_limits(costs, max_items, max_cost):
    items = list(enumerate(costs))
    batches = list(by_cost(items, lambda item: item[1], max_items, max_cost))
    assert sorted(item for batch in batches for item in batch) == items
    for batch in batches:
        assert len(batch) <= max_items
        assert len(batch) == 1 or max(cost for _, cost in batch) * len(batch) <= max_cost
