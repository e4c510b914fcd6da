"""Cosine search against scikit-learn in float64, with ties, filters and norms that float32 can't square."""

import warnings

import numpy as np
import polars as pl
import pytest

from feature_repo import cosine_search
from feature_repo.cosine_search import Vectors, euclidean_norms, nearest


def reference(matrix, ids, queries, k, barred=None):
    """Every pair in float64 by scikit-learn, rounded to float32; equal ones by id."""
    from sklearn.metrics.pairwise import cosine_similarity

    scores = cosine_similarity(np.asarray(queries, np.float64), matrix.astype(np.float64)).astype(np.float32)
    found = []
    for at, row in enumerate(scores):
        out = set() if barred is None else set(barred(at).tolist())
        order = sorted(
            (place for place in range(len(ids)) if place not in out), key=lambda p: (-row[p], ids[p])
        )
        found.append([(place, float(row[place])) for place in order[:k]])
    return found


def scattered(matrix, parts, random):
    """The rows in so many parts, each in an order of its own and among rows that are nobody's."""
    source = random.integers(0, parts, len(matrix)).astype(np.int32)
    row = np.zeros(len(matrix), np.int64)
    sources = {}
    for number in range(parts):
        mine = np.flatnonzero(source == number)
        stale = int(random.integers(0, 5))
        places = random.permutation(len(mine) + stale)
        values = random.standard_normal((len(places), matrix.shape[1])).astype(np.float32)
        values[places[: len(mine)]] = matrix[mine]
        row[mine] = places[: len(mine)]
        sources[number] = Vectors(values, euclidean_norms(values))
    return sources, source, row


def searched(*arguments, **options):
    return [
        list(zip(found.places.tolist(), found.similarity.tolist(), strict=True))
        for found in nearest(*arguments, **options)
    ]


def names(count, random):
    return [f"u{number:05d}" for number in random.permutation(count)]


@pytest.mark.parametrize(
    ("rows", "width", "parts", "k"), [(1, 3, 1, 5), (40, 1, 2, 3), (400, 7, 5, 10), (900, 130, 3, 900)]
)
@pytest.mark.parametrize("count", [1, 6])
def test_finds_what_every_pair_in_float64_gives(rows, width, parts, k, count):
    random = np.random.default_rng(rows)
    matrix = random.standard_normal((rows, width)).astype(np.float32)
    queries = random.standard_normal((count, width))
    ids = names(rows, random)
    found = searched(*scattered(matrix, parts, random), pl.Series(ids), queries, k)
    expected = reference(matrix, ids, queries, k)
    assert [[place for place, _ in one] for one in found] == [[place for place, _ in one] for one in expected]
    assert found == expected


def test_equal_vectors_are_equally_near_wherever_they_lie_and_stand_by_id():
    # A product in float32 sums a matrix's last rows otherwise than its first ones.
    random = np.random.default_rng(0)
    kinds = random.standard_normal((5, 301)).astype(np.float32)
    kind = random.integers(0, 5, 777)
    ids = names(777, random)
    queries = [*kinds, *random.standard_normal((3, 301))]
    sources, source, row = scattered(kinds[kind], 4, random)
    for found, expected in zip(
        searched(sources, source, row, pl.Series(ids), queries, 40),
        reference(kinds[kind], ids, queries, 40),
        strict=True,
    ):
        assert found == expected
    first = searched(sources, source, row, pl.Series(ids), [kinds[2] * 7], 10)[0]
    assert [ids[place] for place, _ in first] == sorted(ids[p] for p in range(777) if kind[p] == 2)[:10]
    assert {score for _, score in first} == {1.0}


def test_neighbours_closer_together_than_float32_products_can_tell_are_told_apart():
    # Sixty vectors whose cosines to the query differ by some 1e-7: the order in float32 is chance.
    random = np.random.default_rng(1)
    query = random.standard_normal(512)
    query /= np.linalg.norm(query)
    aside = random.standard_normal((60, 512))
    aside -= np.outer(aside @ query, query)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    cosine = 0.8 + np.arange(60) * 1e-7
    matrix = (cosine[:, None] * query + np.sqrt(1 - cosine**2)[:, None] * aside).astype(np.float32)
    ids = names(60, random)
    found = searched(*scattered(matrix, 3, random), pl.Series(ids), [query], 25)
    assert found == reference(matrix, ids, [query], 25)


@pytest.mark.parametrize("size", [1e-40, 1e-25, 1e25, 3e38])
def test_vectors_whose_squares_float32_cannot_hold_are_compared_too(size):
    random = np.random.default_rng(2)
    matrix = random.uniform(-1, 1, (200, 9))
    matrix[::2] *= size
    matrix = matrix.astype(np.float32)
    ids = names(200, random)
    queries = random.standard_normal((3, 9)) * [[1e-200], [1.0], [1e200]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = searched(*scattered(matrix, 2, random), pl.Series(ids), queries, 20)
    # scikit-learn takes tiny vectors for zeros: each is brought to a size of about one for it.
    wide = matrix.astype(np.float64)
    tame = [rows / np.abs(rows).max(axis=1, keepdims=True) for rows in (wide, queries)]
    assert found == reference(tame[0], ids, tame[1], 20)


def test_what_is_barred_is_not_found_and_fewer_than_k_are_fine():
    random = np.random.default_rng(3)
    matrix = random.standard_normal((30, 4)).astype(np.float32)
    ids = names(30, random)
    queries = random.standard_normal((3, 4))
    out = [np.arange(0, 30, 2), np.arange(30), np.array([3, 3, 5])]
    placed = scattered(matrix, 3, random)
    found = searched(*placed, pl.Series(ids), queries, 20, barred=lambda at: out[at])
    assert [len(one) for one in found] == [15, 0, 20]
    assert found == reference(matrix, ids, queries, 20, barred=lambda at: out[at])
    empty = np.empty(0, np.int32), np.empty(0, np.int64), pl.Series([], dtype=pl.String)
    assert searched(placed[0], *empty, queries, 5) == [[], [], []]


def test_few_rows_of_a_large_part_and_small_blocks_give_the_same(monkeypatch):
    random = np.random.default_rng(4)
    matrix = random.integers(-2, 3, (500, 6)).astype(np.float32)
    matrix[~matrix.any(axis=1), 0] = 1
    ids = names(500, random)
    queries = random.integers(-2, 3, (9, 6)) + 0.5
    sources, source, row = scattered(matrix, 4, random)
    few = np.sort(random.choice(500, 60, replace=False))
    expected = reference(matrix[few], [ids[place] for place in few], queries, 12)
    arguments = sources, source[few], row[few], pl.Series(ids).gather(few), queries, 12
    assert searched(*arguments) == expected
    monkeypatch.setattr(cosine_search, "_NUMBERS", 30)
    monkeypatch.setattr(cosine_search, "_SCORES", 130)
    assert searched(*arguments) == expected


def test_norms_are_those_of_float64():
    values = np.array([[3, 4], [0, 0], [3e38, 3e38], [1e-40, 0]], np.float32)
    np.testing.assert_allclose(
        euclidean_norms(values), [5, 0, np.hypot(*values[2].astype(float)), values[3, 0]], rtol=1e-15
    )
