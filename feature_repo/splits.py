"""Saved splits: which utterance trains, which selects and which is scored, kept under a name with how it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer
from feature_repo.named_tables import NamedTables
from feature_repo.recipe import digest

SPLITS_FOLDER = "splits"
PARTS = ("train", "validation", "test")
_SCHEMA: dict[str, type[pl.DataType]] = {"utterance_id": pl.String, "corpus": pl.String, "part": pl.String}


@dataclass(frozen=True)
class SavedSplit:
    """A split of some corpora into three parts.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``.``.
        rows: ``utterance_id, corpus, part``, sorted by id; every utterance once.
        made: how: ``shares`` (part to share), ``seed``, ``rules`` (corpus to rule), and what was assumed.
        created: when, UTC.
    """

    name: str
    rows: pl.DataFrame
    made: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of which utterance is in which part; neither name nor time is in it."""
        rows = self.rows.sort("utterance_id")
        return digest({part: rows.filter(pl.col("part") == part)["utterance_id"].to_list() for part in PARTS})

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora, sorted."""
        return self.rows["corpus"].unique().sort().to_list()

    def ids(self, part: str, corpora: Sequence[str] | None = None) -> list[str]:
        """Ids of one part, sorted; of all corpora by default."""
        rows = self.rows.filter(pl.col("part") == part)
        if corpora is not None:
            rows = rows.filter(pl.col("corpus").is_in(list(corpora)))
        return rows["utterance_id"].sort().to_list()

    def part_of(self, utterance_ids: pl.Series) -> pl.Series:
        """The part of each utterance, in their order; null where the split does not know it."""
        asked = pl.DataFrame({"utterance_id": utterance_ids})
        return asked.join(self.rows, on="utterance_id", how="left", maintain_order="left")["part"]


class SavedSplits:
    """The splits below ``splits/``.

    Args:
        files: the store's file layer.
        forgotten: gives the ids of forgotten utterances, which none is kept of.
    """

    def __init__(self, files: FileLayer, forgotten: Callable[[], Sequence[str]]) -> None:
        self._tables = NamedTables(files, "split", SPLITS_FOLDER, _SCHEMA, forgotten)

    def names(self) -> list[str]:
        """Names of all splits, sorted."""
        return self._tables.names()

    def load(self, name: str) -> SavedSplit:
        """The split of this name.

        Raises:
            UnknownNameError: there is none.
            BadInputError: its file is damaged.
        """
        rows, told = self._tables.read(name)
        try:
            return SavedSplit(**{**told, "name": name, "rows": rows})
        except TypeError as error:
            raise self._tables.damaged(name, error) from error

    def save(self, split: SavedSplit) -> None:
        """Keep the split, replacing one of the same name.

        Raises:
            BadInputError: a name that no file can have, an utterance twice, or a part that there is not.
            StoreWriteError: the write failed; an older split of that name is as it was.
        """
        twice = split.rows.filter(pl.col("utterance_id").is_duplicated())
        if twice.height:
            raise BadInputError(
                f"split {split.name!r}: {twice['utterance_id'].min()!s} is in it twice; allowed: once"
            )
        other = split.rows.filter(~pl.col("part").is_in(PARTS).fill_null(False))
        if other.height:
            utterance_id, _, part = other.select(list(_SCHEMA)).row(0)
            raise BadInputError(
                f"split {split.name!r}: {utterance_id} is in part {part!r}; allowed: {', '.join(PARTS)}"
            )
        self._tables.save(split.name, split.rows, {"made": dict(split.made), "created": split.created})

    def remove(self, name: str) -> None:
        """Remove a split.

        Raises:
            UnknownNameError: there is none of this name.
        """
        self._tables.remove(name)

    def erase(self, utterance_ids: Sequence[str]) -> None:
        """Take these utterances out of every split."""
        self._tables.erase(utterance_ids)
