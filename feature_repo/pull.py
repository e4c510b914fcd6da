"""Pull: aligned features of any combination of slots, for any choice of utterances (DESIGN section 9).

Nothing is computed and no model, torch or Feast is imported. A stored row counts only if it was computed from what
the manifest says now; what each slot lacks is told in the coverage.
"""

from __future__ import annotations

import hashlib
import io
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.conversations import Dialogues, dialogues_of
from feature_repo.coverage import STATES
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.labels import LabelScheme, scheme
from feature_repo.manifest import MANIFEST_SCHEMA, read_rows
from feature_repo.manifest_store import MANIFEST
from feature_repo.mirror import Mirror, mirror_of
from feature_repo.named_verdicts import warn_outdated
from feature_repo.recipe import Recipe
from feature_repo.resolution import Resolution, resolve_view
from feature_repo.row_gather import gather_rows
from feature_repo.segment import Segment, stored_dtype
from feature_repo.selection import Selection
from feature_repo.slot_requests import Slots, asked_views
from feature_repo.steps import Steps
from feature_repo.training_set import AppliedVerdict, Coverage, Pooled, TrainingSet

if TYPE_CHECKING:
    from feature_repo.store import Store

__all__ = ["Coverage", "Dialogues", "Selection", "Steps", "TrainingSet", "pull"]

By = Literal["utterance", "dialogue"]

_PRESENT = STATES.index("present")
_SHOWN = 3  # ids named in an error


class PullOptions(TypedDict, total=False):
    """What :func:`pull` takes beside the slots and ``by``."""

    ids: Sequence[str] | None
    where: Selection | None
    join: Literal["inner", "outer"]
    labels: str
    profile: str | None
    verdict: str | None


@overload
def pull(
    store: Store, slots: Slots, *, by: Literal["utterance"] = "utterance", **options: Unpack[PullOptions]
) -> TrainingSet: ...


@overload
def pull(
    store: Store, slots: Slots, *, by: Literal["dialogue"], **options: Unpack[PullOptions]
) -> Dialogues: ...


@overload
def pull(
    store: Store, slots: Slots, *, by: By, **options: Unpack[PullOptions]
) -> TrainingSet | Dialogues: ...


def pull(
    store: Store,
    slots: Slots,
    *,
    ids: Sequence[str] | None = None,
    where: Selection | None = None,
    join: Literal["inner", "outer"] = "inner",
    labels: str = "seven",
    profile: str | None = None,
    verdict: str | None = None,
    by: By = "utterance",
) -> TrainingSet | Dialogues:
    """Aligned features of the slots for the chosen utterances.

    Args:
        store: the store.
        slots: slots (``text``, ``text_steps``) or names of views. Two views of one slot need an alias:
            ``["text", "raw=text_sentence_1a2b3c4d"]``, or a mapping of alias to slot or view. The alias is what the
            training set calls it.
        ids: utterances, whose order is kept; by default all, in the manifest's order.
        where: only the utterances that match.
        join: ``inner`` leaves out utterances that lack a slot, ``outer`` keeps them with zeros and a presence mask.
        labels: name of the label scheme.
        profile: where slots are looked up; see ``Store.resolve``.
        verdict: name of a verdict of ``Store.verdicts``: only the utterances that passed it. One that was judged from
            other rows than the store holds now is used as it is, and a :class:`StaleVerdictWarning` tells of it.
        by: ``dialogue`` gives :class:`Dialogues` over the training set; what the verdict removed then stays in it, as
            context and not as targets.

    Raises:
        UnknownNameError: a slot, view, profile, label scheme, join, ``by``, verdict or selected name that does not
            exist.
        AmbiguousViewError: a slot that means different views.
        BadInputError: no slots, two views of one slot without an alias, a view of records or speakers, ids that are
            unknown or repeated, dialogues of unknown order.
        StoreWriteError: the cache folder can't be written.
    """
    if join not in ("inner", "outer"):
        raise UnknownNameError("join", join, ("inner", "outer"))
    if by not in ("utterance", "dialogue"):
        raise UnknownNameError("by", by, ("utterance", "dialogue"))
    chosen = scheme(labels)
    views = asked_views(store, slots, profile)
    manifest, manifest_digest = _manifest(store)
    rows = _asked(manifest, ids, where)
    applied, verified = None, rows
    if verdict is not None:
        verified, applied = _verified(store, verdict, manifest, rows)
        if by == "utterance":
            rows = verified
    mirror = mirror_of(store)
    for attempt in (1, 2):
        try:
            resolved = {
                slot: resolve_view(store, mirror, view, manifest, manifest_digest)
                for slot, view in views.items()
            }
            found = _joined(store, mirror, resolved, manifest, rows, join, chosen)
            break
        except FileNotFoundError:
            if attempt == 2:  # once is a part that was merged away or damaged; the second listing knows of it
                raise
    found = replace(found, verdict=applied)
    if by == "utterance":
        return found
    passed = manifest["utterance_id"].gather(verified)
    return dialogues_of(found, found.manifest["utterance_id"].is_in(passed.implode()).to_numpy())


def _manifest(store: Store) -> tuple[pl.DataFrame, str]:
    """All manifest rows, and a digest of their files; parsed again only when the files changed."""
    files = [store.files.read(f"{MANIFEST}/{corpus}.parquet") for corpus in store.corpora()]
    state = hashlib.blake2b()
    for data in files:
        state.update(b"%d:" % len(data))
        state.update(data)
    known = _manifests.get(store)
    if known is None or known[1] != state.hexdigest():
        frames = [read_rows(pl.read_parquet(io.BytesIO(data))) for data in files]
        rows = pl.concat(frames) if frames else pl.DataFrame(schema=MANIFEST_SCHEMA)
        known = _manifests[store] = rows, state.hexdigest()
    return known


_manifests: weakref.WeakKeyDictionary[Store, tuple[pl.DataFrame, str]] = weakref.WeakKeyDictionary()


def _asked(
    manifest: pl.DataFrame, ids: Sequence[str] | None, where: Selection | None
) -> npt.NDArray[np.int64]:
    """Manifest rows that are asked for, in the order of the ids."""
    selected = None if where is None else where.rows(manifest).to_numpy().astype(np.int64)
    if ids is None:
        return np.arange(manifest.height) if selected is None else selected
    asked = pl.DataFrame({"utterance_id": pl.Series(ids, dtype=pl.String)})
    known = manifest.select("utterance_id", row=pl.int_range(pl.len(), dtype=pl.Int64))
    found = asked.join(known, on="utterance_id", how="left", maintain_order="left")
    if found["row"].null_count():
        raise BadInputError(f"ids that no manifest has: {_shown(found.filter(pl.col('row').is_null()))}")
    rows = found["row"].to_numpy()
    if np.bincount(rows, minlength=1).max() > 1:
        repeated = found.filter(pl.col("row").is_duplicated()).unique("row", maintain_order=True)
        raise BadInputError(f"ids asked for more than once: {_shown(repeated)}")
    return rows if selected is None else rows[np.isin(rows, selected)]


def _shown(frame: pl.DataFrame) -> str:
    named = ", ".join(repr(value) for value in frame["utterance_id"].head(_SHOWN))
    return named + (f" and {frame.height - _SHOWN} more" if frame.height > _SHOWN else "")


def _verified(
    store: Store, name: str, manifest: pl.DataFrame, asked: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], AppliedVerdict]:
    """Those of the asked manifest rows that passed the named verdict, in their order, and what it did."""
    verdict = store.verdicts.load(name)
    warn_outdated(store, verdict, stacklevel=5)
    rows = (
        manifest[asked]
        .select("utterance_id")
        .join(verdict.rows, on="utterance_id", how="left", maintain_order="left")
    )
    passed = rows["passed"].fill_null(False)
    reasons = rows.filter(~passed)["reason"].fill_null("not_judged")
    counts = reasons.value_counts().sort(["count", "reason"], descending=[True, False])
    removed = {str(reason): int(count) for reason, count in counts.iter_rows()}
    identity = verdict.identity()
    applied = AppliedVerdict(
        name, identity["thresholds"], identity["checks"], identity["ids"], int(passed.sum()), removed
    )
    return asked[passed.to_numpy()], applied


def _joined(
    store: Store,
    mirror: Mirror,
    resolved: dict[str, Resolution],
    manifest: pl.DataFrame,
    asked: npt.NDArray[np.int64],
    join: str,
    labels: LabelScheme,
) -> TrainingSet:
    states = {slot: view.state[asked] for slot, view in resolved.items()}
    rows = asked
    if join == "inner":
        rows = asked[np.logical_and.reduce([state == _PRESENT for state in states.values()])]
    present = {slot: view.state[rows] == _PRESENT for slot, view in resolved.items()}
    features: dict[str, Pooled | Steps] = {}
    for slot, view in resolved.items():
        recipe = store.recipe(view.view)
        found = _segments(store, mirror, view, rows)
        take = _take_steps if recipe.layout == "steps" else _take_pooled
        features[slot] = take(recipe, found, view.part[rows], view.row[rows])
    kept = (
        manifest if len(rows) == manifest.height and (rows == np.arange(len(rows))).all() else manifest[rows]
    )
    return TrainingSet(
        ids=kept["utterance_id"].to_list(),
        features=features,
        present=present,
        labels=_labels(labels, kept),
        classes=labels.classes,
        manifest=kept,
        views={slot: view.view for slot, view in resolved.items()},
        fingerprints={slot: store.recipe(view.view).fingerprint for slot, view in resolved.items()},
        content_keys={slot: view.content_key.gather(rows) for slot, view in resolved.items()},
        coverage={slot: _coverage(state) for slot, state in states.items()},
    )


def _coverage(states: npt.NDArray[np.uint8]) -> Coverage:
    counts = np.bincount(states, minlength=len(STATES))
    return Coverage(asked=len(states), **{name: int(counts[number]) for number, name in enumerate(STATES)})


def _labels(labels: LabelScheme, manifest: pl.DataFrame) -> npt.NDArray[np.int64]:
    # A scheme looks at a handful of columns, and a corpus has few distinct values in them.
    columns = ["corpus", *(name for name in labels.reads if name != "corpus")]
    distinct = manifest.select(columns).unique()
    numbers = {name: number for number, name in enumerate(labels.classes)}
    distinct = distinct.with_columns(
        number=labels.map(distinct).replace_strict(numbers, default=-1, return_dtype=pl.Int64)
    )
    joined = manifest.select(columns).join(
        distinct, on=columns, how="left", nulls_equal=True, maintain_order="left"
    )
    return joined["number"].to_numpy(writable=True)


def _segments(
    store: Store, mirror: Mirror, view: Resolution, rows: npt.NDArray[np.int64]
) -> dict[int, Segment]:
    """The segments that the rows lie in, by part number."""
    table = store.table(view.view)
    used = np.flatnonzero(np.bincount(view.part[rows] + 1, minlength=len(view.parts) + 1)[1:])
    return {int(number): mirror.segment(table, view.parts[number]) for number in used}


def _take_pooled(
    recipe: Recipe, segments: dict[int, Segment], part: npt.NDArray[np.int32], row: npt.NDArray[np.int64]
) -> Pooled:
    if not segments:
        return np.zeros((len(row), recipe.width), np.float32)
    return gather_rows({number: segment.values for number, segment in segments.items()}, part, row)


def _take_steps(
    recipe: Recipe, segments: dict[int, Segment], part: npt.NDArray[np.int32], row: npt.NDArray[np.int64]
) -> Steps:
    lengths = np.zeros(len(row), np.int32)
    start = np.zeros(len(row), np.int64)
    which = np.zeros(len(row), np.int32)
    values: list[npt.NDArray[Any]] = []
    for number, segment in segments.items():
        assert segment.offsets is not None
        places = np.flatnonzero(part == number)
        first = segment.offsets[row[places]]
        start[places] = first
        lengths[places] = segment.offsets[row[places] + 1] - first
        which[places] = len(values)
        values.append(segment.values)
    return Steps(recipe.width, stored_dtype(recipe), lengths, tuple(values), which, start)
