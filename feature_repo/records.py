"""Rows of a view as a frame: what a verdict reads of records, and a derivation of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from feature_repo.coverage import utterance_states
from feature_repo.errors import UnknownNameError
from feature_repo.feature_table import FeatureTable
from feature_repo.part import TOMBSTONE, further_columns, part_schema
from feature_repo.segment import stored_dtype

if TYPE_CHECKING:
    from feature_repo.store import Store

_ATTEMPTS = 5  # a part that was merged away or damaged since the listing is looked for in a new one


def live_rows(
    store: Store, view: str, ids: Sequence[str] | None = None, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The live rows of a view, whatever the manifest says now.

    Args:
        store: the store.
        view: its name; pooled views and sequences have further columns too.
        ids: only these utterances, or speakers of a speaker's table.
        columns: names of further columns; all by default.

    Returns:
        ``utterance_id`` (a speaker's id in a speaker's table), ``content_key``, ``note``, ``n`` (steps, or 1 where
        there is something), then the further columns under the recipe's names; sorted by id.

    Raises:
        UnknownNameError: no such view or column.
    """
    table = store.table(view)
    wanted = _named(table, columns)
    for attempt in range(_ATTEMPTS):
        try:
            live = table.index().filter(pl.col("content_key") != TOMBSTONE)
            if ids is not None:
                live = live.filter(pl.col("utterance_id").is_in(list(ids)))
            rows = _with_columns(table, live, wanted).sort("utterance_id")
            return rows.select("utterance_id", "content_key", "note", "n", *wanted)
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def live_values(store: Store, view: str, ids: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The live values of these utterances, or speakers: ``[width]`` of a pooled view, ``[n, width]`` of a sequence.

    Whole parts are read and nothing is kept: for many rows ask in batches of ids that lie together, or ``pull``. Who
    has no live row, or one that says that there is nothing, is left out.

    Raises:
        UnknownNameError: no such view, or one of records, which have no values.
    """
    table = store.table(view)
    recipe = table.recipe
    if recipe.layout == "record":
        known = [name for name in store.views() if store.recipe(name).layout != "record"]
        raise UnknownNameError("view with values", view, known)
    dtype = stored_dtype(recipe)
    for attempt in range(_ATTEMPTS):
        try:
            live = table.index().filter((pl.col("n") > 0) & pl.col("utterance_id").is_in(list(ids)))
            found: dict[str, npt.NDArray[Any]] = {}
            for (part,), rows in live.group_by("part"):
                column = table.read_part(str(part), [recipe.slot])[recipe.slot]
                taken = pl.Series(pl.from_arrow(column.take(pa.array(rows["row"].to_numpy()))))
                for name, value in zip(rows["utterance_id"], taken, strict=True):
                    if recipe.layout == "steps":
                        found[name] = np.frombuffer(value, dtype).reshape(-1, recipe.width)
                    else:
                        found[name] = value.to_numpy()
            return found
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def current_rows(store: Store, view: str, manifest: pl.DataFrame) -> pl.DataFrame:
    """What a view says of each of the manifest's utterances now, or of each of their speakers.

    Args:
        store: the store.
        view: its name.
        manifest: rows with the manifest's columns.

    Returns:
        ``utterance_id`` (a speaker's id in a speaker's table), ``state`` (of ``coverage.STATES``), ``note``, then the
        recipe's further columns; note and columns are null where the state is neither ``present`` nor ``nothing``. In
        the manifest's order.

    Raises:
        UnknownNameError: no such view.
    """
    table = store.table(view)
    wanted = _named(table, None)
    for attempt in range(_ATTEMPTS):
        try:
            states = utterance_states(store, view, manifest)
            stored = pl.col("state").is_in(["present", "nothing"])
            states = states.with_columns(
                pl.when(stored).then(pl.col(name)).alias(name) for name in ("note", "part", "row")
            )
            return _with_columns(table, states, wanted).select("utterance_id", "state", "note", *wanted)
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _named(table: FeatureTable, columns: Sequence[str] | None) -> dict[str, str]:
    """Name of each wanted column to the name that it is stored under."""
    known = further_columns(table.recipe)
    if columns is None:
        return known
    for name in columns:
        if name not in known:
            raise UnknownNameError(f"column of {table.view}", name, known)
    return {name: known[name] for name in columns}


def _with_columns(table: FeatureTable, rows: pl.DataFrame, wanted: dict[str, str]) -> pl.DataFrame:
    """The rows, in their order, with the wanted columns of the row of a part that ``part`` and ``row`` name, if any."""
    if not wanted:
        return rows
    schema = part_schema(table.recipe)
    empty = pa.schema([schema.field(stored) for stored in wanted.values()]).empty_table()
    frames = [_frame(empty, wanted).with_columns(part=pl.lit("", pl.String), row=pl.lit(0, pl.Int64))]
    for name in rows["part"].drop_nulls().unique():
        frame = _frame(table.read_part(name, list(wanted.values())), wanted)
        frames.append(frame.with_columns(part=pl.lit(name), row=pl.int_range(pl.len(), dtype=pl.Int64)))
    return rows.join(pl.concat(frames), on=["part", "row"], how="left", maintain_order="left")


def _frame(stored: pa.Table, wanted: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(stored)).select(pl.col(old).alias(new) for new, old in wanted.items())
