"""A bundle: slots of a store with everything that lets another store hold the very same views."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from feature_repo.errors import BadInputError
from feature_repo.manifest import read_rows
from feature_repo.recipe import Recipe
from feature_repo.steps import Steps
from feature_repo.terms import Terms

FORMAT = 1  # raised when an older version could misread a bundle
FACTS = "affectstore"  # what formats with names call the facts, and what follows from it the rows
ROWS = "affectstore_rows"

Array = npt.NDArray[Any]
Segment = tuple[int, Array]  # of so many rows, all steps one after another
Values = npt.NDArray[np.float32] | Steps


@dataclass(frozen=True)
class ExportedSlot:
    """One slot of a bundle, row by row of its manifest.

    Attributes:
        recipe: the view's recipe, whole.
        provenance: what was told of the view, such as the model's name.
        values: float32 ``[rows, width]``, zeros where absent, or the sequences.
        present: bool ``[rows]``.
        content_keys: String ``[rows]``, null where no row was joined.
        notes: String ``[rows]``: why there is nothing, null where there is something.
        columns: the recipe's further columns ``[rows]``, under its names.
    """

    recipe: Recipe
    provenance: Mapping[str, str]
    values: Values
    present: npt.NDArray[np.bool_]
    content_keys: pl.Series
    notes: pl.Series
    columns: pl.DataFrame

    def row(self, index: int) -> Array:
        """The value of a row: ``[width]``, or ``[n, width]`` of a sequence."""
        found: Array = (
            self.values.row(index) if isinstance(self.values, Steps) else np.asarray(self.values[index])
        )
        return found

    def lengths(self) -> npt.NDArray[np.int32]:
        """Steps of each row; of a pooled slot 1 where there is a value."""
        return self.values.lengths if isinstance(self.values, Steps) else self.present.astype(np.int32)

    def digest(self) -> str:
        """SHA-256 of all values that are present, in their order."""
        state = hashlib.sha256()
        for index in np.flatnonzero(self.present).tolist():
            state.update(np.ascontiguousarray(self.row(index)).data)
        return state.hexdigest()


@dataclass(frozen=True)
class Bundle:
    """What an export writes and an import reads, whatever the file's format.

    Attributes:
        manifest: rows with the manifest's columns; media are file names, texts null where they were left out.
        slots: by name.
        labels: int64 ``[rows]`` into ``classes``; -1 where the scheme has no place.
        classes: class names.
        scheme: name of the label scheme.
        licences: terms by corpus.
        snapshot: of the training set that was exported.
    """

    manifest: pl.DataFrame
    slots: Mapping[str, ExportedSlot]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    scheme: str
    licences: Mapping[str, Terms]
    snapshot: str

    def __len__(self) -> int:
        """Utterances."""
        return self.manifest.height

    def facts(self) -> dict[str, Any]:
        """Everything but rows and values, as plain JSON data; the values' digests take a look at each."""
        return {
            FACTS: FORMAT,
            "snapshot": self.snapshot,
            "labels": {"scheme": self.scheme, "classes": list(self.classes)},
            "licences": {corpus: terms.as_data() for corpus, terms in sorted(self.licences.items())},
            "slots": {
                name: {
                    "view": slot.recipe.view,
                    "fingerprint": slot.recipe.fingerprint,
                    "recipe": slot.recipe.identity(),
                    "provenance": dict(slot.provenance),
                    "values": slot.digest(),
                }
                for name, slot in self.slots.items()
            },
        }

    def rows(self) -> pl.DataFrame:
        """One row per utterance: the manifest's columns, ``label``, and of each slot what is no value.

        ``<slot>/present``, ``/n``, ``/content_key``, ``/note`` and ``/column/<name>``.
        """
        classes = pl.Series(self.classes, dtype=pl.String)
        known = pl.Series(self.labels).cast(pl.Int64)
        columns = [classes.gather(known.set(known < 0, None)).alias("label")]
        for name, slot in self.slots.items():
            columns += [
                pl.Series(f"{name}/present", slot.present),
                pl.Series(f"{name}/n", slot.lengths(), pl.Int32),
                slot.content_keys.alias(f"{name}/content_key"),
                slot.notes.alias(f"{name}/note"),
                *(slot.columns[column].alias(f"{name}/column/{column}") for column in slot.columns.columns),
            ]
        return self.manifest.with_columns(columns)


def rows_to_bytes(rows: pl.DataFrame) -> bytes:
    """The rows as an Arrow file, compressed."""
    sink = io.BytesIO()
    rows.write_ipc(sink, compression="zstd")
    return sink.getvalue()


def rows_from_bytes(data: bytes) -> pl.DataFrame:
    """The rows that :func:`rows_to_bytes` gave.

    Raises:
        BadInputError: they are damaged.
    """
    try:
        return pl.read_ipc(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, ValueError) as error:
        raise BadInputError(f"the export's rows are damaged: {error}") from error


def facts_from_text(text: str) -> dict[str, Any]:
    """The facts of a bundle, checked for their format number.

    Raises:
        BadInputError: they are damaged or of a newer version.
    """
    try:
        facts = json.loads(text)
        number = int(facts[FACTS])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"the export's facts are damaged: {error}") from error
    if number > FORMAT:
        raise BadInputError(
            f"an export of format {number}, this version reads formats up to {FORMAT}: install a newer affectstore"
        )
    for key in ("slots", "licences", "labels"):
        if not isinstance(facts.get(key), dict):
            raise BadInputError(f"the export's facts are damaged: {key!r} is not what it was")
    return dict(facts)


def bundle_from(
    facts: Mapping[str, Any], rows: pl.DataFrame, values: Mapping[str, Array | Sequence[Segment]]
) -> Bundle:
    """A bundle as it was exported; values that were changed since are refused.

    Args:
        facts: :meth:`Bundle.facts`.
        rows: :meth:`Bundle.rows`.
        values: by slot, pooled ``[rows, width]``, or all steps one after another ``[sum of n, width]``, which may be
            in several segments.

    Raises:
        BadInputError: parts that do not fit together.
    """
    try:
        slots = {name: _slot(name, told, rows, values[name]) for name, told in dict(facts["slots"]).items()}
        classes = tuple(facts["labels"]["classes"])
        numbers = {name: number for number, name in enumerate(classes)}
        labels = rows["label"].replace_strict(numbers, default=-1, return_dtype=pl.Int64)
        return Bundle(
            manifest=read_rows(rows),
            slots=slots,
            labels=labels.to_numpy(writable=True),
            classes=classes,
            scheme=str(facts["labels"]["scheme"]),
            licences={corpus: Terms.from_data(terms) for corpus, terms in dict(facts["licences"]).items()},
            snapshot=str(facts["snapshot"]),
        )
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise BadInputError(f"the export is damaged: {error}") from error


def _slot(
    name: str, told: Mapping[str, Any], rows: pl.DataFrame, values: Array | Sequence[Segment]
) -> ExportedSlot:
    recipe = Recipe.from_identity(told["recipe"])
    if recipe.fingerprint != told["fingerprint"]:
        raise BadInputError(f"{name}: the recipe was changed since it was exported as {told['fingerprint']}")
    present = rows[f"{name}/present"].to_numpy(writable=True)
    lengths = rows[f"{name}/n"].to_numpy(writable=True)
    if recipe.layout == "steps":
        segments = [(rows.height, values)] if isinstance(values, np.ndarray) else list(values)
        held: Values = _steps(name, recipe, lengths, segments)
    else:
        held = np.asarray(values)
        _check(name, held, (rows.height, recipe.width), np.dtype(np.float32))
    slot = ExportedSlot(
        recipe,
        {str(key): str(value) for key, value in told["provenance"].items()},
        held,
        present,
        rows[f"{name}/content_key"],
        rows[f"{name}/note"],
        rows.select(pl.col(f"{name}/column/{column}").alias(column) for column in recipe.columns),
    )
    if slot.digest() != told["values"]:
        raise BadInputError(f"{name}: the values are damaged, or were changed since they were exported")
    return slot


def _steps(name: str, recipe: Recipe, lengths: npt.NDArray[np.int32], segments: Sequence[Segment]) -> Steps:
    counts = [count for count, _ in segments]
    if sum(counts) != len(lengths):
        raise BadInputError(f"{name}: values of {sum(counts):,} rows where there are {len(lengths):,}")
    dtype = np.dtype(recipe.dtype)
    start = np.zeros(len(lengths), np.int64)
    first = 0
    for count, values in segments:
        here = lengths[first : first + count].astype(np.int64)
        _check(name, values, (int(here.sum()), recipe.width), dtype)
        start[first : first + count] = np.cumsum(here) - here
        first += count
    which = np.repeat(np.arange(len(segments), dtype=np.int32), counts)
    return Steps(recipe.width, dtype, lengths, tuple(values for _, values in segments), which, start)


def _check(name: str, values: Array, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    if values.shape != shape or values.dtype != dtype:
        raise BadInputError(
            f"{name}: values {values.dtype} {list(values.shape)} where the recipe says {dtype} {list(shape)}"
        )
