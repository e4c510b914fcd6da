"""Named selections: lists of utterances kept under a name, such as TestA and TestB (papers/003 section 1.5)."""

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

SELECTIONS_FOLDER = "selections"
_SCHEMA: dict[str, type[pl.DataType]] = {"utterance_id": pl.String}


@dataclass(frozen=True)
class NamedSelection:
    """A list of utterances.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``.``.
        ids: utterance ids, sorted, each once.
        made: how: what was asked for, in the words of the command.
        created: when, UTC.
    """

    name: str
    ids: list[str]
    made: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the ids; neither name nor time is in it."""
        return digest(sorted(self.ids))


class NamedSelections:
    """The selections below ``selections/``.

    Args:
        files: the store's file layer.
        forgotten: gives the ids of forgotten utterances, which none is kept of.
    """

    def __init__(self, files: FileLayer, forgotten: Callable[[], Sequence[str]]) -> None:
        self._tables = NamedTables(files, "selection", SELECTIONS_FOLDER, _SCHEMA, forgotten)

    def names(self) -> list[str]:
        """Names of all selections, sorted."""
        return self._tables.names()

    def load(self, name: str) -> NamedSelection:
        """The selection of this name.

        Raises:
            UnknownNameError: there is none.
            BadInputError: its file is damaged.
        """
        rows, told = self._tables.read(name)
        try:
            return NamedSelection(**{**told, "name": name, "ids": rows["utterance_id"].to_list()})
        except TypeError as error:
            raise self._tables.damaged(name, error) from error

    def save(self, selection: NamedSelection) -> None:
        """Keep the selection, replacing one of the same name.

        Raises:
            BadInputError: a name that no file can have, or an utterance twice.
            StoreWriteError: the write failed; an older selection of that name is as it was.
        """
        rows = pl.DataFrame({"utterance_id": selection.ids}, _SCHEMA)
        twice = rows.filter(pl.col("utterance_id").is_duplicated())
        if twice.height:
            raise BadInputError(
                f"selection {selection.name!r}: {twice['utterance_id'].min()!s} is in it twice; allowed: once"
            )
        self._tables.save(selection.name, rows, {"made": dict(selection.made), "created": selection.created})

    def remove(self, name: str) -> None:
        """Remove a selection.

        Raises:
            UnknownNameError: there is none of this name.
        """
        self._tables.remove(name)

    def erase(self, utterance_ids: Sequence[str]) -> None:
        """Take these utterances out of every selection."""
        self._tables.erase(utterance_ids)
