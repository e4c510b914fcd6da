"""The nearest of many vectors by cosine, exactly: a matrix product in float32 proposes, float64 decides.

A product in float32 is as fast as memory, but its last digits depend on how the rows were blocked, so that equal
vectors get unequal scores. Its error has a bound, though. Whatever may be among the nearest within that bound, a
handful of rows, is scored again in float64, each row by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.row_gather import gather_rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_UNIT = 2.0**-24  # unit roundoff of float32
_TAME = (1e-15, 1e15)  # norms between which a product in float32 neither overflows nor loses its digits
_SCORES = 2**24  # held at once, 64 MiB: of so many queries that this is enough
_QUERIES = 256  # at most, multiplied at once
_NUMBERS = 2**21  # of vectors converted to float64 at once, 16 MiB
_WHOLE = 4  # a matrix of which fewer than one row in four is wanted is gathered first


@dataclass(frozen=True)
class Vectors:
    """Vectors of one part.

    Attributes:
        values: float32 ``[rows, width]``, C-contiguous.
        norms: float64 ``[rows]``, their Euclidean norms; see :func:`euclidean_norms`.
    """

    values: npt.NDArray[np.float32]
    norms: Floats


@dataclass(frozen=True)
class Nearest:
    """What one query found.

    Attributes:
        places: int64 ``[m]``: candidates, the nearest first.
        similarity: float32 ``[m]``: their cosines.
    """

    places: Ints
    similarity: npt.NDArray[np.float32]


def euclidean_norms(values: npt.NDArray[Any]) -> Floats:
    """Norms of the rows of ``[rows, width]``, computed in float64: squares of float32 may overflow."""
    norms = np.empty(len(values))
    for chunk in _chunks(len(values), values.shape[1]):
        wide = values[chunk].astype(np.float64)
        norms[chunk] = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    return norms


def nearest(
    sources: Mapping[int, Vectors],
    source: npt.NDArray[np.int32],
    row: Ints,
    ids: pl.Series,
    queries: npt.ArrayLike,
    k: int,
    *,
    barred: Callable[[int], Ints] | None = None,
) -> Iterator[Nearest]:
    """The candidates of greatest cosine to each query, in the order of the queries.

    Candidate ``i`` is ``sources[source[i]].values[row[i]]``. Similarities are cosines in float64, rounded to float32;
    where these are equal the smaller id comes first. It is as exact as comparing every pair in float64.

    Args:
        sources: vectors by number, all of one width.
        source: ``[n]``, keys of ``sources``.
        row: ``[n]``, rows of them.
        ids: String ``[n]``, the candidates' ids.
        queries: ``[q, width]``, finite and not zero, of any length.
        k: how many; fewer where there are fewer candidates.
        barred: called with a query's number, gives the candidates that it must not find.

    Yields:
        One result per query.
    """
    asked = np.asarray(queries, np.float64)
    # Halved by their greatest number first: squares of numbers beyond 1e154 would overflow.
    asked = asked / np.abs(asked).max(axis=1, keepdims=True, initial=0)
    asked = asked / np.linalg.norm(asked, axis=1, keepdims=True)
    places = {number: np.flatnonzero(source == number) for number in sources}
    together = int(np.clip(_SCORES // max(len(row), 1), 1, _QUERIES))
    for first in range(0, len(asked), together):
        block = asked[first : first + together]
        scores = np.full((len(block), len(row)), -np.inf, np.float32)
        for number, vectors in sources.items():
            if len(places[number]):
                _score(vectors, row[places[number]], block, scores, places[number])
        for at, query in enumerate(block):
            out = np.empty(0, np.int64) if barred is None else barred(first + at)
            yield _decided(sources, source, row, ids, query, k, scores[at], out)


def _score(vectors: Vectors, rows: Ints, queries: Floats, scores: Any, places: Ints) -> None:
    """Put the cosines of the rows to ``scores[:, places]``, within the bound of :func:`_decided`."""
    values, norms = vectors.values, vectors.norms
    if len(rows) * _WHOLE < len(values):
        for chunk in _chunks(len(rows), values.shape[1]):
            taken = rows[chunk]
            scores[:, places[chunk]] = _cosines(values[taken], norms[taken], queries)
    else:
        scores[:, places] = _cosines(values, norms, queries)[:, rows]


def _cosines(values: npt.NDArray[np.float32], norms: Floats, queries: Floats) -> npt.NDArray[Any]:
    there = norms > 0
    inverse = np.divide(1, norms, out=np.zeros_like(norms), where=there)
    if not there.any() or (norms[there].min() >= _TAME[0] and norms[there].max() <= _TAME[1]):
        small = queries.astype(np.float32)
        products = (values @ small[0])[None] if len(small) == 1 else (values @ small.T).T
        products *= inverse.astype(np.float32)
        return products
    cosines = np.empty((len(queries), len(values)))
    for chunk in _chunks(len(values), values.shape[1]):
        cosines[:, chunk] = queries @ (values[chunk] * inverse[chunk, None]).T
    return cosines


def _decided(
    sources: Mapping[int, Vectors],
    source: npt.NDArray[np.int32],
    row: Ints,
    ids: pl.Series,
    query: Floats,
    k: int,
    scores: npt.NDArray[np.float32],
    barred: Ints,
) -> Nearest:
    scores[barred] = -np.inf
    left = len(scores) - len(np.unique(barred))
    wanted = min(k, left)
    if wanted < 1:
        return Nearest(np.empty(0, np.int64), np.empty(0, np.float32))
    # A sum of `width` products, in any order, is off by at most width units of |x| |q| (Higham, Accuracy and Stability
    # of Numerical Algorithms, section 3.1); rounding the query, the norm and the result adds a few. Two scores are
    # compared, so twice.
    bound = 2 * (len(query) + 8) * _UNIT
    last = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
    close = np.flatnonzero(scores >= last - np.float32(bound))
    similarity = np.empty(len(close), np.float32)
    for chunk in _chunks(len(close), len(query)):
        values = {number: vectors.values for number, vectors in sources.items()}
        wide = gather_rows(values, source[close[chunk]], row[close[chunk]]).astype(np.float64)
        # Row by row and not by a product, which rounds equal rows unequally.
        lengths = np.sqrt(np.add.reduce(wide * wide, axis=1))
        lengths[lengths == 0] = 1
        similarity[chunk] = np.clip(np.add.reduce(wide * query, axis=1) / lengths, -1, 1)
    order = (
        pl.DataFrame({"similarity": similarity, "id": ids.gather(close), "place": close})
        .sort("similarity", "id", descending=[True, False])
        .head(wanted)
    )
    return Nearest(order["place"].to_numpy(), order["similarity"].to_numpy())


def _chunks(rows: int, width: int) -> Iterator[slice]:
    step = max(1, _NUMBERS // max(width, 1))
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))
