"""Pull: aligned features of any combination of slots, for any choice of utterances (DESIGN section 9).

Nothing is computed and no model, torch or Feast is imported. A stored row counts only if it was computed from what
the manifest says now; what each slot lacks is told in the coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.asked_rows import asked_rows, current_manifest
from feature_repo.conversations import Dialogues, dialogues_of
from feature_repo.coverage import STATES
from feature_repo.errors import UnknownNameError
from feature_repo.labels import LabelScheme, scheme
from feature_repo.mirror import Mirror, mirror_of
from feature_repo.recipe import Recipe
from feature_repo.resolution import ATTEMPTS, Resolution, resolve_view
from feature_repo.row_gather import gather_rows
from feature_repo.segment import Segment, stored_dtype
from feature_repo.selection import Selection
from feature_repo.slot_requests import Slots, asked_views
from feature_repo.steps import Steps
from feature_repo.training_set import Coverage, Pooled, TrainingSet
from feature_repo.verified_rows import verified_rows

if TYPE_CHECKING:
    from feature_repo.store import Store

__all__ = ["Coverage", "Dialogues", "Selection", "Steps", "TrainingSet", "pull"]

By = Literal["utterance", "dialogue"]

_PRESENT = STATES.index("present")


class PullOptions(TypedDict, total=False):
    """What :func:`pull` takes beside the slots and ``by``."""

    ids: Sequence[str] | None
    where: Selection | str | None
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
    where: Selection | str | None = None,
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
        where: only the utterances that match: a :class:`Selection`, the name of a saved selection, or a part of a saved
            split such as ``audio-text/test``. By dialogue the others are no context either.
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
    manifest, manifest_digest = current_manifest(store)
    rows = asked_rows(store, manifest, ids, where)
    applied, verified = None, rows
    if verdict is not None:
        verified, applied = verified_rows(store, verdict, manifest, manifest_digest, rows)
        if by == "utterance":
            rows = verified
    mirror = mirror_of(store)
    for attempt in range(ATTEMPTS):
        try:
            resolved = {
                slot: resolve_view(store, mirror, view, manifest, manifest_digest)
                for slot, view in views.items()
            }
            found = _joined(store, mirror, resolved, manifest, rows, join, chosen)
            break
        except FileNotFoundError:
            if attempt == ATTEMPTS - 1:
                raise
    found = replace(found, verdict=applied)
    if by == "utterance":
        return found
    passed = manifest["utterance_id"].gather(verified)
    return dialogues_of(found, found.manifest["utterance_id"].is_in(passed.implode()).to_numpy())


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
