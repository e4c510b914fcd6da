"""Linked rows against SciPy's connected components."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.linked_rows import linked_rows


@given(
    st.integers(0, 25).flatmap(
        lambda rows: st.lists(
            st.lists(st.one_of(st.none(), st.integers(0, 12)), min_size=rows, max_size=rows),
            min_size=1,
            max_size=3,
        )
    )
)
@settings(deadline=None)
def test_groups_are_the_connected_components(columns):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(columns[0])
    edges = [
        (one, other)
        for column in columns
        for one in range(count)
        for other in range(one)
        if column[one] is not None and column[one] == column[other]
    ]
    keys = pl.DataFrame({str(place): column for place, column in enumerate(columns)}, strict=False)
    found = linked_rows(keys.cast(pl.Int64))
    if not count:
        assert len(found) == 0
        return
    one, other = np.array(edges, int).reshape(-1, 2).T
    _, expected = connected_components(coo_array((np.ones(len(one)), (one, other)), (count, count)), False)
    firsts = {component: int(np.flatnonzero(expected == component)[0]) for component in set(expected)}
    assert found.tolist() == [firsts[component] for component in expected]


def test_a_chain_of_ten_thousand_is_one_group():
    chain = np.arange(10_000)
    keys = pl.DataFrame({"left": chain // 2, "right": (chain + 1) // 2 + 100_000})
    assert set(linked_rows(keys).tolist()) == {0}
