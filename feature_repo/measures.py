"""The measures of quality control as one frame: what a verdict is judged from, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.coverage import utterance_states
from feature_repo.errors import UnknownNameError
from feature_repo.quality_config import space_name
from feature_repo.records import current_rows, live_rows

if TYPE_CHECKING:
    from feature_repo.store import Store

MANIFEST_COLUMNS = (
    "utterance_id",
    "corpus",
    "split",
    "speaker_id",
    "speaker_raw",
    "emotion",
    "text",
)
# Slots whose records are read, in the order they are made; a derived one follows its inputs.
RECORDS = ("level", "transcript", "match", "offsetmatch", "alignment")
_TOLD = ("faces_steps", "offsets_steps", "reference", "face")  # their views are named, none of them is read
_DERIVED = ("match", "offsetmatch", "alignment")
# A derived measure that was made of outdated rows, or can't be made for lack of them, waits for them.
_WAITING = ("missing", "stale")


@dataclass(frozen=True)
class Measures:
    """Everything that a verdict is judged from.

    Attributes:
        frame: one row per utterance, in the manifest's order: the columns of ``MANIFEST_COLUMNS``, ``review`` (a
            person's word on the utterance: ``offscreen``, ``misaligned``, or null), then for each slot of ``RECORDS``
            that the profile has ``<slot>_state`` (of ``coverage.STATES``; a derived measure whose inputs are missing,
            stale or faulted is so too), ``<slot>_note`` (why there is nothing, or the fault), and the record's columns
            as ``<slot>_<column>``, null where the state is neither ``present`` nor ``nothing``; ``faces_whole`` is 1
            where every frame was taken for a face as it is.
        views: slot to view, of those that the profile has; ``faces_steps``, ``reference`` and ``face`` too.
        embedder: the space of ``match_similarity``; None without such a slot.
        encoder: the space of ``alignment_cosine``; None without such a slot.
        profile: the profile that was asked for.
    """

    frame: pl.DataFrame
    views: Mapping[str, str]
    embedder: str | None = None
    encoder: str | None = None
    profile: str | None = None


def read_measures(store: Store, profile: str | None = None, corpora: Sequence[str] | None = None) -> Measures:
    """Read what is stored of the utterances; computes nothing, and no face or other vector is read.

    Args:
        store: the store.
        profile: where slots are looked up; see ``Store.resolve``.
        corpora: only these corpora; all by default.

    Raises:
        UnknownNameError: no such profile or corpus.
        AmbiguousViewError: a slot that means different views.
    """
    if profile is not None:
        store.catalog.slots(profile)
    manifest = store.manifest(corpora)
    views = {slot: view for slot in (*RECORDS, *_TOLD) if (view := _view(store, slot, profile))}
    reviews = store.reviews.read().filter(
        pl.col("view").is_null() & pl.col("decision").is_in(["offscreen", "misaligned"])
    )
    frame = manifest.select(MANIFEST_COLUMNS).join(
        reviews.select("utterance_id", review="decision"),
        on="utterance_id",
        how="left",
        maintain_order="left",
    )
    of_inputs: dict[str, pl.DataFrame] = {}
    for slot in RECORDS:
        if slot not in views:
            continue
        rows = _with_faults(store, views[slot], current_rows(store, views[slot], manifest))
        if slot in _DERIVED:
            for view in _utterance_inputs(store, views[slot]):
                if view not in of_inputs:
                    states = utterance_states(store, view, manifest).select("utterance_id", "state", "note")
                    of_inputs[view] = _with_faults(store, view, states)
                rows = _following(rows, of_inputs[view])
        named = {name: f"{slot}_{name}" for name in rows.columns}
        # Both are in the manifest's order, a row each.
        frame = frame.hstack(rows.rename(named).drop(f"{slot}_utterance_id"))
    faces = views.get("faces_steps")
    if faces is not None and "whole" in store.recipe(faces).columns:
        whole = live_rows(store, faces, columns=["whole"]).select("utterance_id", faces_whole="whole")
        frame = frame.join(whole, on="utterance_id", how="left", maintain_order="left")
    return Measures(
        frame,
        views,
        embedder=space_name(store, views["match"]) if "match" in views else None,
        encoder=space_name(store, views["alignment"]) if "alignment" in views else None,
        profile=profile,
    )


def _view(store: Store, slot: str, profile: str | None) -> str | None:
    try:
        return store.catalog.resolve(slot, profile)
    except UnknownNameError:
        return None  # which checks can do without it is the verdict's question


def _utterance_inputs(store: Store, view: str) -> list[str]:
    """Views that hold a row of each utterance for the derived view to read; a reference is its speaker's."""
    recipe = store.recipe(view)
    optional = recipe.settings.get("optional_inputs", ())
    inputs = {key: name for key, name in store.inputs_of(recipe).items() if key not in optional}
    return [name for name in inputs.values() if store.recipe(name).entity == "utterance"]


def _with_faults(store: Store, view: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose ``note`` tells the newest fault where the state is ``faulted``."""
    if not (rows["state"] == "faulted").any():
        return rows
    faults = store.faults.entries(view).sort("time", descending=True)
    newest = faults.unique("utterance_id", keep="first", maintain_order=True)
    told = rows.join(
        newest.select("utterance_id", fault="message"), on="utterance_id", how="left", maintain_order="left"
    )
    failed = pl.col("state") == "faulted"
    return told.with_columns(note=pl.when(failed).then("fault").otherwise("note")).drop("fault")


def _following(rows: pl.DataFrame, inputs: pl.DataFrame) -> pl.DataFrame:
    """The derived rows, each as far as its input goes: columns of what is made of outdated rows become null."""
    waits = inputs["state"].is_in(_WAITING)
    fails = inputs["state"] == "faulted"
    held = waits | fails
    if not held.any():
        return rows
    rows = rows.with_columns(
        state=pl.when(held).then(inputs["state"]).otherwise("state"),
        note=pl.when(held).then(inputs["note"]).otherwise("note"),
    )
    measured = [name for name in rows.columns if name not in ("utterance_id", "state", "note")]
    return rows.with_columns(pl.when(~held).then(pl.col(name)).alias(name) for name in measured)
