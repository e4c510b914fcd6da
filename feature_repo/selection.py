"""A selection of utterances by what the manifest says of them, and by the lists that the store keeps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import SPLITS
from feature_repo.splits import PARTS

if TYPE_CHECKING:
    from feature_repo.store import Store

# Selection field -> manifest column.
_COLUMNS = {
    "corpora": "corpus",
    "splits": "split",
    "emotions": "emotion",
    "speakers": "speaker_id",
    "dialogues": "dialogue_id",
}
_LISTED = 20  # names; a corpus has thousands of dialogues, and nobody reads them in an error
_PART_MARK = "/"  # no split's name has it


@dataclass(frozen=True)
class Selection:
    """Which utterances are meant: those that match every field that is not empty.

    A field matches what any of its names means: ``Selection(corpora=("meld", "iemocap"), emotions=("joy",))`` is joy
    in either corpus.

    Attributes:
        corpora: names of corpora.
        splits: ``train``, ``dev``, ``test``, ``all``, as the corpus was published.
        emotions: values of the manifest's ``emotion`` column.
        speakers: speaker ids.
        dialogues: dialogue ids.
        selections: names of saved selections (``affectstore select``).
        parts: parts of saved splits (``affectstore split``), such as ``audio-text/test``.
    """

    corpora: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    dialogues: tuple[str, ...] = ()
    selections: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, where: Selection | str | None) -> Selection:
        """A selection as callers may write it: the name of a saved one, ``SPLIT/PART``, or nothing for everything."""
        if where is None:
            return cls()
        if isinstance(where, str):
            return cls(parts=(where,)) if _PART_MARK in where else cls(selections=(where,))
        return where

    @classmethod
    def of_options(
        cls,
        corpora: Sequence[str] | None,
        splits: Sequence[str] | None,
        emotions: Sequence[str] | None,
        speakers: Sequence[str] | None,
        selections: Sequence[str] | None,
        parts: Sequence[str] | None,
    ) -> Selection:
        """The selection of a command's options, None where one was not given."""
        return cls(
            corpora=tuple(corpora or ()),
            splits=tuple(splits or ()),
            emotions=tuple(emotions or ()),
            speakers=tuple(speakers or ()),
            selections=tuple(selections or ()),
            parts=tuple(parts or ()),
        )

    def rows(self, manifest: pl.DataFrame, store: Store | None = None) -> pl.Series:
        """Numbers of the manifest's rows that are meant, ascending, as UInt32.

        Args:
            manifest: rows with the manifest's columns.
            store: where saved selections and splits are looked up.

        Raises:
            UnknownNameError: a name that no row of the manifest has, the splits' own names excepted; a saved
                selection, split or part that does not exist.
            BadInputError: a part without its split, or saved names without a store.
        """
        # A column, not a literal: a literal has one row whatever the manifest has.
        chosen = pl.col("utterance_id").is_not_null()
        for field, column in _COLUMNS.items():
            if names := _names(getattr(self, field)):
                self._check(manifest, column, names)
                chosen = chosen & pl.col(column).is_in(list(names))
        for listed in self._listed(manifest, store):
            chosen = chosen & pl.col("utterance_id").is_in(listed.implode())
        return manifest.select(pl.arg_where(chosen)).to_series()

    def _listed(self, manifest: pl.DataFrame, store: Store | None) -> list[pl.Series]:
        """Ids of each field of saved names that is not empty."""
        selections, parts = _names(self.selections), _names(self.parts)
        if not selections and not parts:
            return []
        if store is None:
            raise BadInputError(f"{(*selections, *parts)[0]!r} is saved in a store, and none was given")
        found = []
        if selections:
            found.append(
                [_known(manifest, f"selection {n!r}", store.selections.load(n).ids) for n in selections]
            )
        if parts:
            found.append([_known(manifest, f"split {n!r}", _part_ids(store, n)) for n in parts])
        return [pl.concat(lists) for lists in found]

    @staticmethod
    def _check(manifest: pl.DataFrame, column: str, names: tuple[str, ...]) -> None:
        known = set(manifest[column].drop_nulls().unique())
        if column == "split":
            known.update(SPLITS)
        for name in names:
            if name not in known:
                listed = sorted(known)
                more = [f"... ({len(listed)} in all)"] if len(listed) > _LISTED else []
                raise UnknownNameError(column.removesuffix("_id"), name, listed[:_LISTED] + more)


def _names(names: tuple[str, ...] | str) -> tuple[str, ...]:
    # ("train") is a string; its letters are nobody's splits.
    return (names,) if isinstance(names, str) else names


def _part_ids(store: Store, named: str) -> list[str]:
    name, mark, part = named.rpartition(_PART_MARK)
    if not mark:
        raise BadInputError(f"part {named!r}: expected SPLIT/PART, such as {named}/test")
    if part not in PARTS:
        raise UnknownNameError("part", part, PARTS)
    return store.splits.load(name).ids(part)


def _known(manifest: pl.DataFrame, what: str, ids: list[str]) -> pl.Series:
    """The ids, after a warning where the manifest has not all of them any more."""
    listed = pl.Series(ids, dtype=pl.String)
    gone = int((~listed.is_in(manifest["utterance_id"].implode())).sum())
    if gone:
        warnings.warn(
            f"{what}: {gone:,} of its {len(ids):,} utterances are in no manifest any more", stacklevel=8
        )
    return listed
