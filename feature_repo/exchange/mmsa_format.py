"""MMSA's feature pickle: by split, padded arrays of text, audio and vision (thuiar/MMSA, README and data loader)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.exchange.bundle import (
    FACTS,
    ROWS,
    Bundle,
    ExportedSlot,
    bundle_from,
    facts_from_text,
    rows_from_bytes,
    rows_to_bytes,
)
from feature_repo.exchange.exporting import licences_text
from feature_repo.exchange.foreign import ForeignRequest, ForeignTable, as_name, named_table
from feature_repo.exchange.format import Format
from feature_repo.exchange.pickle_kind import outermost
from feature_repo.exchange.portable_pickler import write_pickle
from feature_repo.exchange.registry import register_format
from feature_repo.exchange.restricted_unpickler import read_pickle
from feature_repo.labels import scheme

Array = npt.NDArray[Any]

MODALITIES = ("text", "audio", "vision")
# MMSA's name of a split -> the manifest's.
SPLITS = {"train": "train", "valid": "dev", "test": "test"}
REST = "rest"  # utterances of no split, or without a sentiment: MMSA's loader never looks there
# What a modality of the store is in MMSA's eyes, where the user did not name a slot after one of the three.
_OF = {"text": "text", "speech": "audio", "speaker": "audio", "audio": "audio", "face": "vision"}
_IMPORTED_AS = {"text": "text", "audio": "speech", "vision": "face"}
# README: "Negative(< 0), Neutral(0), Positive(> 0)"; classes are numbered in this order.
_POLARITY = ("negative", "neutral", "positive")
_LARGEST = (
    16 * 2**30
)  # bytes of padded arrays that are built, which are in memory twice while they are written


@register_format
class MmsaFormat(Format):
    """A dictionary of train, valid and test; in each arrays ``[n, steps, width]`` with lengths, texts, ids, labels."""

    name: ClassVar[str] = "mmsa"
    summary: ClassVar[str] = "MMSA's feature pickle: train, valid, test with padded text, audio and vision"
    suffixes: ClassVar[tuple[str, ...]] = (".pkl",)

    def __init__(self) -> None:
        self._loaded: dict[Path, Any] = {}

    def recognises(self, path: Path) -> bool:
        """By a pickle whose first object is a dictionary."""
        return outermost(path) == "dict"

    def remarks(self, bundle: Bundle) -> list[str]:
        """Which modalities MMSA will find empty, and what its loader will not see."""
        slots = mmsa_slots(bundle)
        told = [
            f"mmsa wants three modalities and {name} has no slot: it is written as zeros of width 1"
            for name in MODALITIES
            if name not in slots
        ]
        rest = int((_parts(bundle) == REST).sum())
        if rest:
            told.append(
                f"{rest:,} utterances are in no published split or have no sentiment; they are kept under {REST!r}, "
                "where MMSA does not look"
            )
        return told

    def write(self, bundle: Bundle, path: Path, on_rows: Callable[[int], None]) -> None:
        """Padded arrays, each split to its own longest; what MMSA does not read lies beside under other keys."""
        slots = mmsa_slots(bundle)
        parts = _parts(bundle)
        rows = {part: np.flatnonzero(parts == part) for part in (*SPLITS, REST)}
        size = sum(
            len(of_part) * _longest(slot, of_part) * slot.recipe.width * slot.values.dtype.itemsize
            for slot in bundle.slots.values()
            for of_part in rows.values()
        )
        if size > _LARGEST:
            raise BadInputError(
                f"padded to the longest, the arrays take {size / 2**30:,.0f} GiB: MMSA wants them whole in memory; "
                "export fewer utterances or pooled slots"
            )
        data: dict[str, Any] = {}
        for part, of_part in rows.items():
            if part != REST or len(of_part):
                data[part] = _part(bundle, slots, of_part)
                on_rows(len(of_part) * len(bundle.slots))
        data[FACTS] = json.dumps(
            {**bundle.facts(), "mmsa": {slot: name for name, slot in slots.items()}}, sort_keys=True
        )
        data[ROWS] = rows_to_bytes(bundle.rows())
        data["licences"] = licences_text(bundle.licences)
        with path.open("wb") as sink:
            write_pickle(data, sink)

    def read(self, path: Path) -> Bundle | None:
        """The bundle, its rows put back into their order."""
        data = self._load(path)
        if FACTS not in data or ROWS not in data:
            return None
        facts = facts_from_text(data[FACTS])
        rows = rows_from_bytes(data[ROWS])
        try:
            order = {utterance_id: index for index, utterance_id in enumerate(rows["utterance_id"])}
            values = {
                slot: _unpadded(
                    data, key, order, rows[f"{slot}/n"].to_numpy(), facts["slots"][slot]["recipe"]
                )
                for slot, key in dict(facts["mmsa"]).items()
            }
        except (KeyError, TypeError, ValueError, IndexError, pl.exceptions.PolarsError) as error:
            raise BadInputError(f"{path} is a damaged export: {error}") from error
        return bundle_from(facts, rows, values)

    def tables(self, path: Path, asked: ForeignRequest, manifest: pl.DataFrame) -> list[ForeignTable]:
        """The modalities, all three by default, over all splits; ids as the file has them."""
        data = self._load(path)
        parts = [part for part in SPLITS if isinstance(data.get(part), Mapping) and "id" in data[part]]
        if not parts:
            raise BadInputError(
                f"{path} has the keys {', '.join(map(repr, list(data)[:10]))}; MMSA's have {', '.join(SPLITS)}, each "
                "with 'id' and arrays"
            )
        there = [name for name in MODALITIES if all(_is_array(data[part].get(name)) for part in parts)]
        for name in asked.arrays:
            if name not in there:
                raise UnknownNameError(f"modality of {path}", name, there)
        tables = [_table(data, parts, name) for name in asked.arrays or there]
        if not tables:
            raise BadInputError(f"{path} has none of {', '.join(MODALITIES)} as an array")
        return tables

    def _load(self, path: Path) -> dict[str, Any]:
        if path not in self._loaded:
            data = read_pickle(path)
            if not isinstance(data, dict):
                raise BadInputError(f"{path} holds a {type(data).__name__}; MMSA's pickle is a dictionary")
            self._loaded[path] = data
        found: dict[str, Any] = self._loaded[path]
        return found


def mmsa_slots(bundle: Bundle) -> dict[str, str]:
    """Modality of MMSA to the slot that is it.

    Raises:
        BadInputError: two slots are the same modality there, or none is any.
    """
    found: dict[str, str] = {}
    for name, slot in bundle.slots.items():
        modality = name if name in MODALITIES else _OF.get(slot.recipe.modality, "")
        if not modality:
            raise BadInputError(
                f"{name!r} is none of MMSA's modalities; name it one, such as audio={slot.recipe.view}"
            )
        if modality in found:
            raise BadInputError(
                f"{found[modality]!r} and {name!r} are both {modality} for MMSA; leave one out, or name one of them "
                f"another: vision={slot.recipe.view}"
            )
        found[modality] = name
    return found


def _parts(bundle: Bundle) -> npt.NDArray[np.object_]:
    """The key of each row: MMSA's name of its split, or ``rest``."""
    theirs = {ours: name for name, ours in SPLITS.items()}
    sentiment = scheme("sentiment3").map(bundle.manifest)
    return np.array(
        [
            REST if label is None else theirs.get(split, REST)
            for split, label in zip(bundle.manifest["split"], sentiment, strict=True)
        ],
        object,
    )


def _part(bundle: Bundle, slots: Mapping[str, str], rows: npt.NDArray[np.int64]) -> dict[str, Any]:
    manifest = bundle.manifest[rows]
    sentiment = scheme("sentiment3").map(manifest)
    polarity = np.array([-1 if each is None else _POLARITY.index(each) for each in sentiment], np.int64)
    part: dict[str, Any] = {
        "id": manifest["utterance_id"].to_list(),
        "raw_text": manifest["text"].fill_null("").to_list(),
        "annotations": ["" if each is None else each.capitalize() for each in sentiment],
        "classification_labels": polarity,
        "regression_labels": np.where(polarity < 0, np.nan, polarity - 1.0).astype(np.float32),
        "emotion_labels": bundle.labels[rows],
    }
    for modality in MODALITIES:
        if modality in slots:
            part[modality], lengths = _padded(bundle.slots[slots[modality]], rows)
        else:
            part[modality], lengths = np.zeros((len(rows), 1, 1), np.float32), np.ones(len(rows), np.int64)
        # A model that packs sequences wants a step of each: what lacks is one step of zeros.
        part[f"{modality}_lengths"] = np.maximum(lengths, 1).tolist()
    return part


def _longest(slot: ExportedSlot, rows: npt.NDArray[np.int64]) -> int:
    return max(1, int(slot.lengths()[rows].max(initial=0)))


def _padded(slot: ExportedSlot, rows: npt.NDArray[np.int64]) -> tuple[Array, npt.NDArray[np.int64]]:
    lengths = slot.lengths()[rows].astype(np.int64)
    padded = np.zeros((len(rows), _longest(slot, rows), slot.recipe.width), slot.values.dtype)
    for place, row in enumerate(rows.tolist()):
        if lengths[place]:
            padded[place, : lengths[place]] = slot.row(row)
    return padded, lengths


def _unpadded(
    data: Mapping[str, Any],
    key: str,
    order: Mapping[str, int],
    lengths: npt.NDArray[np.int32],
    recipe: Mapping[str, Any],
) -> Array:
    steps = recipe["layout"] == "steps"
    dtype = np.dtype(recipe.get("dtype", "float32") if steps else "float32")
    counts = lengths.astype(np.int64) if steps else np.ones(len(lengths), np.int64)
    ends = np.cumsum(counts)
    whole = np.zeros((int(ends[-1]) if len(ends) else 0, int(recipe["width"])), dtype)
    for part in (*SPLITS, REST):
        for place, utterance_id in enumerate(data.get(part, {"id": ()})["id"]):
            row = order[utterance_id]
            begin = int(ends[row] - counts[row])
            whole[begin : int(ends[row])] = data[part][key][place][: counts[row]]
    return whole


def _is_array(found: object) -> bool:
    return isinstance(found, np.ndarray) and found.ndim in (2, 3) and found.dtype.kind in "fiu"


def _table(data: Mapping[str, Any], parts: Sequence[str], name: str) -> ForeignTable:
    """One modality over all splits, which may be padded differently."""
    tables = []
    for part in parts:
        arrays = {name: data[part][name]}
        lengths = data[part].get(f"{name}_lengths")
        if lengths is not None:
            arrays[f"{name}_lengths"] = np.asarray(lengths)
        ids = [as_name(each) for each in np.asarray(data[part]["id"], object).reshape(-1).tolist()]
        tables.append(named_table(arrays, name, ids, [SPLITS[part]] * len(ids)))
    first = tables[0]
    if len({(table.layout, table.width, table.dtype) for table in tables}) > 1:
        told = ", ".join(f"{part} {list(data[part][name].shape)}" for part in parts)
        raise BadInputError(f"{name!r} is not the same thing in every split: {told}")
    bounds = np.cumsum([0, *(len(table.ids) for table in tables)])

    def row(index: int) -> Any:
        which = int(np.searchsorted(bounds, index, side="right")) - 1
        return tables[which].row(index - int(bounds[which]))

    return ForeignTable(
        name,
        [each for table in tables for each in table.ids],
        first.layout,
        first.width,
        first.dtype,
        row,
        [each for table in tables for each in table.splits],
        _IMPORTED_AS[name],
    )
