"""The utterances nearest to a query by the cosine of a view's vectors: exact, with filters, over the mirror."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.asked_rows import Rows, asked_rows, current_manifest, rows_of
from feature_repo.cosine_search import Vectors, nearest
from feature_repo.coverage import STATES
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.mirror import Mirror, mirror_of
from feature_repo.resolution import ATTEMPTS, Resolution, resolve_view
from feature_repo.row_gather import gather_rows
from feature_repo.selection import Selection
from feature_repo.verified_rows import verified_rows

if TYPE_CHECKING:
    from feature_repo.store import Store

Query = str | Sequence[str] | npt.ArrayLike

# What a query and what it must not find may have in common -> manifest column.
SHARED = {"dialogue": "dialogue_id", "speaker": "speaker_id", "corpus": "corpus", "text": "text"}
TOLD = ("text", "speaker_id", "emotion", "corpus", "split", "dialogue_id")  # of each neighbour
_PRESENT = STATES.index("present")


class SimilarOptions(TypedDict, total=False):
    """What :func:`similar` takes beside the view and the query."""

    k: int
    where: Selection | str | None
    verdict: str | None
    exclude: Sequence[str] | str
    include_self: bool
    at_least: float
    profile: str | None
    on_query: Callable[[], None] | None


def similar(
    store: Store,
    view: str,
    query: Query,
    *,
    k: int = 10,
    where: Selection | str | None = None,
    verdict: str | None = None,
    exclude: Sequence[str] | str = (),
    include_self: bool = False,
    at_least: float = -1.0,
    profile: str | None = None,
    on_query: Callable[[], None] | None = None,
) -> pl.DataFrame:
    """The ``k`` utterances nearest to each query by cosine.

    Every vector that is of what the manifest says now is compared; nothing is approximated. Similarities are cosines
    in float64, rounded to float32, and equal ones stand in the order of their ids.

    Args:
        store: the store.
        view: a slot (``text``) or the name of a view; pooled.
        query: an utterance id, several, or vectors of the view's space, ``[width]`` or ``[q, width]``, of any length.
        k: how many neighbours at most.
        where: search only there: a :class:`Selection`, the name of a saved selection, or a part of a saved split such
            as ``audio-text/test``. A query need not be among them.
        verdict: search only what passed this verdict.
        exclude: leave out what has this in common with the query: ``dialogue``, ``speaker``, ``corpus`` or ``text``,
            letter by letter. Nothing is left out for a query whose own is unknown.
        include_self: let an utterance find itself.
        at_least: leave out what is less similar.
        profile: where a slot is looked up; see ``Store.resolve``.
        on_query: called after each query.

    Returns:
        ``query`` (the id, or the vector's number), ``rank`` from 1, ``utterance_id``, ``similarity`` and what the
        manifest says: ``text, speaker_id, emotion, corpus, split, dialogue_id``. Queries in their order.

    Raises:
        UnknownNameError: a slot, view, profile, verdict, selected name or ``exclude`` that does not exist.
        AmbiguousViewError: a slot that means different views.
        BadInputError: a view of sequences, records or speakers; ids that are unknown, repeated, or without a vector;
            vectors of another width, zero or not finite; ``k`` below 1; ``exclude`` for vectors.
        StoreWriteError: the cache folder can't be written.
    """
    shared = [exclude] if isinstance(exclude, str) else list(exclude)
    for name in shared:
        if name not in SHARED:
            raise UnknownNameError("exclude", name, SHARED)
    if k < 1:
        raise BadInputError(f"k {k}: at least 1")
    chosen = pooled_view(store, view, profile)
    names, vectors = _parsed(query, store.recipe(chosen).width)
    if vectors is not None and shared:
        raise BadInputError(f"a vector has no {shared[0]} to exclude; give the query as an utterance id")
    manifest, manifest_digest = current_manifest(store)
    asked = None if names is None else rows_of(manifest, names)
    rows = asked_rows(store, manifest, None, where)
    if verdict is not None:
        rows, _ = verified_rows(store, verdict, manifest, manifest_digest, rows)
    mirror = mirror_of(store)
    for attempt in range(ATTEMPTS):
        try:
            resolved = resolve_view(store, mirror, chosen, manifest, manifest_digest)
            sources = _sources(store, mirror, resolved, rows, asked)
            break
        except FileNotFoundError:
            if attempt == ATTEMPTS - 1:
                raise
    if asked is not None:
        vectors = _stored(resolved, sources, manifest, asked)
    assert vectors is not None
    rows = rows[resolved.state[rows] == _PRESENT]
    ids = manifest["utterance_id"] if len(rows) == manifest.height else manifest["utterance_id"].gather(rows)
    found = nearest(
        sources,
        resolved.part[rows],
        resolved.row[rows],
        ids,
        vectors,
        k,
        barred=None if asked is None else _barred(manifest, rows, asked, shared, include_self),
    )
    place: list[Rows] = []
    score: list[npt.NDArray[np.float32]] = []
    for result in found:
        enough = result.similarity >= at_least
        place.append(rows[result.places[enough]])
        score.append(result.similarity[enough])
        if on_query is not None:
            on_query()
    return _told(manifest, names, place, score)


def pooled_view(store: Store, slot_or_view: str, profile: str | None = None) -> str:
    """The view that a slot means, which must have one vector for each utterance.

    Raises:
        UnknownNameError: no such slot, view or profile.
        AmbiguousViewError: a slot that means different views.
        BadInputError: it holds sequences, records or speakers; the error names views that would do.
    """
    view = store.resolve(slot_or_view, profile)
    recipe = store.recipe(view)
    if recipe.layout == "pooled" and recipe.entity == "utterance":
        return view
    holds = {"steps": "sequences", "record": "records"}.get(recipe.layout, "one row for each speaker")
    others = (store.recipe(name) for name in store.views())
    pooled = [
        other.view
        for other in others
        if other.modality == recipe.modality and other.layout == "pooled" and other.entity == "utterance"
    ]
    listed = ", ".join(pooled) if pooled else f"none of {recipe.modality} is stored"
    raise BadInputError(
        f"{slot_or_view!r} can't be searched: {view} holds {holds}, not one vector for each utterance; "
        f"allowed: {listed}"
    )


def _parsed(query: Query, width: int) -> tuple[list[str] | None, npt.NDArray[np.float64] | None]:
    """Ids, or vectors ``[q, width]``."""
    if isinstance(query, str):
        return [query], None
    if isinstance(query, pl.Series):
        query = query.to_list()
    if isinstance(query, Sequence) and all(isinstance(name, str) for name in query):
        return [str(name) for name in query], None
    try:
        array = np.asarray(query)
        if array.dtype.kind == "U":
            return [str(name) for name in array.reshape(-1)], None
        vectors = np.atleast_2d(array.astype(np.float64))
    except (TypeError, ValueError) as error:
        raise BadInputError(f"a query is utterance ids or vectors of numbers: {error}") from error
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise BadInputError(f"a query of shape {list(array.shape)}; allowed: [{width}] or [q, {width}]")
    if not np.isfinite(vectors).all():
        raise BadInputError("a query has numbers that are not finite")
    if not vectors.any(axis=1).all():
        raise BadInputError("a query is all zeros, which has no direction")
    return None, vectors


def _sources(
    store: Store, mirror: Mirror, resolved: Resolution, rows: Rows, asked: Rows | None
) -> dict[int, Vectors]:
    table = store.table(resolved.view)
    wanted = resolved.part[rows] if asked is None else np.append(resolved.part[rows], resolved.part[asked])
    used = np.flatnonzero(np.bincount(wanted + 1, minlength=len(resolved.parts) + 1)[1:])
    sources = {}
    for number in used.tolist():
        part = resolved.parts[number]
        sources[number] = Vectors(mirror.segment(table, part).values, mirror.norms(table, part))
    return sources


def _stored(
    resolved: Resolution, sources: dict[int, Vectors], manifest: pl.DataFrame, asked: Rows
) -> npt.NDArray[Any]:
    """The vectors of the queries."""
    absent = np.flatnonzero(resolved.state[asked] != _PRESENT)
    if len(absent):
        row = int(asked[absent[0]])
        more = f" (and {len(absent) - 1:,} more queries like it)" if len(absent) > 1 else ""
        raise BadInputError(
            f"{manifest['utterance_id'][row]!r} has no vector in {resolved.view} to compare with: it is "
            f"{STATES[resolved.state[row]]}{more}"
        )
    if not sources:
        return np.empty((0, 1))
    values = {number: vectors.values for number, vectors in sources.items()}
    return gather_rows(values, resolved.part[asked], resolved.row[asked])


def _barred(
    manifest: pl.DataFrame, rows: Rows, asked: Rows, shared: Sequence[str], include_self: bool
) -> Callable[[int], Rows]:
    """For a query's number, which of the rows it must not find."""
    columns = [manifest[SHARED[name]] for name in shared]
    gathered = [column.gather(rows) for column in columns]

    def barred(query: int) -> Rows:
        row = int(asked[query])
        out = rows == row
        # What a query has in common with others it has in common with itself.
        kept = out & include_self
        for column, values in zip(columns, gathered, strict=True):
            if (own := column[row]) is not None:
                out = out | (values == own).fill_null(False).to_numpy()
        return np.flatnonzero(out & ~kept)

    return barred


def _told(
    manifest: pl.DataFrame,
    names: list[str] | None,
    place: list[Rows],
    score: list[npt.NDArray[np.float32]],
) -> pl.DataFrame:
    counts = np.array([len(rows) for rows in place], np.int64)
    queries = (
        pl.Series(range(len(place)), dtype=pl.Int64) if names is None else pl.Series(names, dtype=pl.String)
    )
    rank = [np.arange(1, count + 1) for count in counts]
    found = manifest[np.concatenate([np.empty(0, np.int64), *place])]
    return pl.DataFrame(
        {
            "query": queries.gather(np.repeat(np.arange(len(place)), counts)),
            "rank": pl.Series(np.concatenate([np.empty(0, np.int64), *rank]), dtype=pl.Int64),
            "utterance_id": found["utterance_id"],
            "similarity": pl.Series(np.concatenate([np.empty(0, np.float32), *score]), dtype=pl.Float32),
        }
    ).hstack(found.select(TOLD))
