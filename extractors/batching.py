"""Batches by cost: items of like length together, largest first (DESIGN section 7)."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def by_cost(
    items: Sequence[T], cost: Callable[[T], float], max_items: int, max_cost: float = float("inf")
) -> Iterator[list[T]]:
    """The items in batches, costliest first, so that padding is small and memory runs out at once or not at all.

    Args:
        items: in any order; equal costs keep theirs.
        cost: of one item: characters, seconds, frames.
        max_items: items per batch, at most.
        max_cost: what a batch may cost padded, that is its largest item times its length; a single item may cost more.
    """
    costs = [cost(item) for item in items]
    order = sorted(range(len(items)), key=lambda index: -costs[index])
    batch: list[T] = []
    largest = 0.0
    for index in order:
        if batch and (len(batch) >= max_items or largest * (len(batch) + 1) > max_cost):
            yield batch
            batch = []
        if not batch:
            largest = costs[index]
        batch.append(items[index])
    if batch:
        yield batch
