"""A view resolved against the manifest: what each utterance's row is worth, and where its value lies.

Working this out parses every part's keys and hashes every utterance's content. Both depend only on files that never
change under their names and on the manifest's bytes, so the result is kept in the mirror under a digest of those.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from feature_repo.content import subjects
from feature_repo.coverage import STATES, utterance_states
from feature_repo.errors import StoreWriteError
from feature_repo.faults import FAULTS
from feature_repo.feature_table import FEATURES
from feature_repo.mirror import Mirror
from feature_repo.recipe import digest

if TYPE_CHECKING:
    from feature_repo.store import Store

# Of reading what was resolved: a part that was merged away or damaged meanwhile is known to the next listing. Who
# merges again and again can outrun a reader once, hardly twice.
ATTEMPTS = 3
_PREFIX = "resolved-"
_KEPT = 4  # files per view; a store whose parts change leaves outdated ones behind
_LAYOUT = 1  # raised when the columns or their meaning change


@dataclass(frozen=True)
class Resolution:
    """One view, row by row of the manifest that it was resolved against; a speaker's, speaker by speaker.

    Attributes:
        view: the view.
        state: uint8 ``[rows]``, index into ``STATES``.
        content_key: String ``[rows]``: the key of the stored row, null where the state is neither present nor nothing.
        parts: names of parts.
        part: int32 ``[rows]``: index into ``parts``, -1 where there is no value.
        row: int64 ``[rows]``: row of the part, -1 where there is no value.
    """

    view: str
    state: npt.NDArray[np.uint8]
    content_key: pl.Series
    parts: tuple[str, ...]
    part: npt.NDArray[np.int32]
    row: npt.NDArray[np.int64]


def resolve_view(
    store: Store, mirror: Mirror, view: str, manifest: pl.DataFrame, manifest_digest: str
) -> Resolution:
    """Resolve the view against the manifest, from the mirror where that was done before.

    Args:
        store: the store.
        mirror: its mirror.
        view: a view that exists.
        manifest: rows with the manifest's columns.
        manifest_digest: changes whenever the rows do.

    Raises:
        FileNotFoundError: a part went away meanwhile; try again.
    """
    folder = mirror.view_folder(view)
    key = _key(store, view, manifest_digest)
    path = folder / f"{_PREFIX}{key}.arrow"
    found = _read(path, view, subjects(store.recipe(view), manifest).height)
    if found is None:
        found = _resolved(store, view, manifest)
        if key == _key(store, view, manifest_digest):  # else it may be of the parts before or after a change
            _write(path, found)
            mirror.prune(view, store.table(view).parts())
    return found


def _resolved(store: Store, view: str, manifest: pl.DataFrame) -> Resolution:
    states = utterance_states(store, view, manifest)
    numbers = {name: number for number, name in enumerate(STATES)}
    stored = pl.col("state").is_in(["present", "nothing"])
    present = pl.col("state") == "present"
    frame = states.select(
        pl.col("state").replace_strict(numbers, return_dtype=pl.UInt8),
        pl.when(stored).then(pl.col("content_key")).alias("content_key"),
        pl.when(present).then(pl.col("part")).alias("part"),
        pl.when(present).then(pl.col("row")).cast(pl.Int64).fill_null(-1).alias("row"),
    )
    parts = frame["part"].drop_nulls().unique().sort()
    order = pl.arange(len(parts), eager=True)
    part = frame["part"].replace_strict(parts, order, default=-1, return_dtype=pl.Int32)
    return Resolution(
        view,
        frame["state"].to_numpy(),
        frame["content_key"],
        tuple(parts.to_list()),
        part.to_numpy(),
        frame["row"].to_numpy(),
    )


def _key(store: Store, view: str, manifest_digest: str) -> str:
    # Names and not parsed footers: a listing is cheap, and part and fault files never change under a name.
    recipe = store.recipe(view)
    read = [view, *store.inputs_of(recipe).values()]
    listed = [
        [f"{folder}/{name}", store.files.list_files(f"{folder}/{name}")]
        for folder in (FEATURES, FAULTS)
        for name in read
    ]
    # What a speaker's row is computed from depends on what people decided too.
    decided = [store.reviews.stamp()] if recipe.entity == "speaker" else []
    return digest([_LAYOUT, manifest_digest, *listed, *decided])[:32]


def _write(path: Path, found: Resolution) -> None:
    # Through Polars: Arrow's own way from NumPy imports pandas.
    columns = {"state": found.state, "content_key": found.content_key, "part": found.part, "row": found.row}
    table = pl.DataFrame(columns).to_arrow().replace_schema_metadata({"parts": json.dumps(found.parts)})
    staged = path.with_name(f".resolving-{uuid.uuid4().hex}")
    try:
        with staged.open("wb") as sink:
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            sink.flush()
            os.fsync(sink.fileno())
        staged.replace(path)
        outdated = sorted(path.parent.glob(f"{_PREFIX}*.arrow"), key=_modified, reverse=True)[_KEPT:]
    except FileNotFoundError:
        raise  # the cache was deleted this moment; the next try makes it anew
    except OSError as error:
        raise StoreWriteError(
            f"cannot write the cache {path}: {error.strerror or error}; AFFECTSTORE_CACHE names another folder"
        ) from error
    finally:
        staged.unlink(missing_ok=True)
    for old in outdated:
        old.unlink(missing_ok=True)


def _modified(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def _read(path: Path, view: str, rows: int) -> Resolution | None:
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        frame = pl.DataFrame(pl.from_arrow(table))
        parts = tuple(json.loads(table.schema.metadata[b"parts"]))
        state, part, row = (frame[name].to_numpy() for name in ("state", "part", "row"))
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return None  # absent, or not what this version writes
    return Resolution(view, state, frame["content_key"], parts, part, row) if len(state) == rows else None
