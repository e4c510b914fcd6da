"""Pickles of dialogues: the published features of DialogueRNN, MMGCN, COGMEN, COSMIC, SDT and GraphSmile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.exchange.dialogue_layouts import DialogueLayout, layout_of
from feature_repo.exchange.dialogue_matching import match_by_texts, meld_id, same_words
from feature_repo.exchange.foreign import ForeignRequest, ForeignTable, as_name, features_of, stored_type
from feature_repo.exchange.format import Format
from feature_repo.exchange.pickle_kind import outermost
from feature_repo.exchange.registry import register_format
from feature_repo.exchange.restricted_unpickler import read_pickle
from feature_repo.outcome import Fault, Outcome

_AS = {"text": "text", "audio": "speech", "visual": "face"}
_SHOWN = 60  # letters of a text that a fault names


@register_format
class DialoguesFormat(Format):
    """A tuple of dictionaries by dialogue; read, never written."""

    name: ClassVar[str] = "dialogues"
    summary: ClassVar[str] = "pickles of dialogues: DialogueRNN, MMGCN, COGMEN, COSMIC, SDT, GraphSmile"
    suffixes: ClassVar[tuple[str, ...]] = (".pkl", ".pickle", ".p")
    exports: ClassVar[bool] = False

    def recognises(self, path: Path) -> bool:
        """By a pickle whose first object is a tuple or list."""
        return outermost(path) == "sequence"

    def tables(self, path: Path, asked: ForeignRequest, manifest: pl.DataFrame) -> list[ForeignTable]:
        """The asked vectors, by default text, audio and visual; every turn whose text differs here is a fault."""
        data = read_pickle(path)
        try:
            layout = layout_of(data, asked.layout)
        except BadInputError as error:
            raise BadInputError(f"{path}: {error}") from error
        entries = dict(zip(layout.entries, data, strict=True))
        there = layout.vectors()
        names = list(asked.arrays) or [name for name in there if name in _AS]
        if not names:
            raise BadInputError(f"{path} has {', '.join(there)}; name those that are wanted with --array")
        for name in names:
            if name not in there:
                raise UnknownNameError(f"array of layout {layout.name}", name, there)
        corpus = asked.corpus or layout.corpus
        rows = manifest.filter(pl.col("corpus") == corpus)
        turns = [(key, turn) for key, said in entries[names[0]].items() for turn in range(len(said))]
        ids = _ids(layout, entries, turns, corpus, rows)
        faults = _mismatches(ids, turns, entries["sentences"], rows)
        return [_table(name, entries[name], turns, ids, faults, layout, path) for name in names]


def _ids(
    layout: DialogueLayout,
    entries: Mapping[str, Any],
    turns: Sequence[tuple[Any, int]],
    corpus: str,
    rows: pl.DataFrame,
) -> list[str]:
    """Our id of each turn; of one that nobody here says, a name that no manifest has."""
    if layout.naming == "texts":
        found = match_by_texts(entries["sentences"], rows)
        return [found.get((key, turn), f"dialogue {as_name(key)}, turn {turn}") for key, turn in turns]
    named = []
    for key, turn in turns:
        try:
            name = as_name(entries["ids"][key][turn])
            named.append(
                f"{corpus}/{name}" if layout.naming == "names" else meld_id(corpus, int(key), int(name))
            )
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise BadInputError(
                f"layout {layout.name}: dialogue {key!r} has no usable name for turn {turn} ({error})"
            ) from error
    return named


def _mismatches(
    ids: Sequence[str],
    turns: Sequence[tuple[Any, int]],
    sentences: Mapping[Any, Sequence[str]],
    rows: pl.DataFrame,
) -> dict[int, Fault]:
    """The turns whose sentence is not what the utterance of their id says here."""
    texts = dict(rows.select("utterance_id", "text").iter_rows())
    found = {}
    for place, (name, (key, turn)) in enumerate(zip(ids, turns, strict=True)):
        here = texts.get(name)
        said = sentences.get(key, ())
        if here is None or turn >= len(said):
            continue
        there = as_name(said[turn])
        if same_words(there) != same_words(here):
            found[place] = Fault(
                "extract",
                "TextMismatch",
                f"{name} says {here[:_SHOWN]!r} here, and {there[:_SHOWN]!r} in dialogue {as_name(key)} of the file",
            )
    return found


def _table(
    name: str,
    vectors: Mapping[Any, Sequence[Any]],
    turns: Sequence[tuple[Any, int]],
    ids: Sequence[str],
    faults: Mapping[int, Fault],
    layout: DialogueLayout,
    path: Path,
) -> ForeignTable:
    key, turn = turns[0]
    first = np.asarray(vectors[key][turn])
    if first.ndim not in (1, 2) or first.dtype.kind not in "fiu":
        raise BadInputError(f"{path}: {name!r} holds {first.dtype} {list(first.shape)}, not vectors")
    kind = "pooled" if first.ndim == 1 else "steps"
    dtype = stored_type(first.dtype, kind)

    def row(index: int) -> Outcome:
        if index in faults:
            return faults[index]
        key, turn = turns[index]
        try:
            return features_of(
                np.asarray(vectors[key][turn], np.float64 if dtype != "int16" else None), dtype
            )
        except (KeyError, IndexError, ValueError, TypeError) as error:
            return Fault(
                "extract", "BadVector", f"{path.name}, {name}, dialogue {key!r}, turn {turn}: {error}"
            )

    return ForeignTable(
        name,
        list(ids),
        "pooled" if kind == "pooled" else "steps",
        first.shape[-1],
        dtype,
        row,
        modality=_AS.get(name, "text"),
        facts={"layout": layout.name},
    )
