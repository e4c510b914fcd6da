"""A format: how a bundle is written and read, and how tables of others are found in its files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    import polars as pl

    from feature_repo.exchange.bundle import Bundle
    from feature_repo.exchange.foreign import ForeignRequest, ForeignTable


class Format(ABC):
    """One kind of file that is given to other programs or taken from them; a subclass is registered under its name.

    Attributes:
        name: what ``--format`` calls it.
        summary: one line for tables.
        suffixes: endings of its files, the first one its own.
        folder: whether it is a folder.
        exports: whether a bundle can be written.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    folder: ClassVar[bool] = False
    exports: ClassVar[bool] = True

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether an existing file or folder is of this format, by its first bytes or its files."""

    def write(self, bundle: Bundle, path: Path, on_rows: Callable[[int], None]) -> None:
        """Write the bundle to a new path.

        Args:
            bundle: what is written.
            path: where; nothing is there.
            on_rows: told how many rows of a slot were written.
        """
        raise BadInputError(f"format {self.name!r} is read and never written")

    def remarks(self, bundle: Bundle) -> list[str]:
        """What the user should know of the bundle in this format before it is written."""
        return []

    def read(self, path: Path) -> Bundle | None:
        """The bundle in a file that :meth:`write` wrote; None in one of somebody else.

        Raises:
            BadInputError: the file is damaged.
        """
        return None

    @abstractmethod
    def tables(self, path: Path, asked: ForeignRequest, manifest: pl.DataFrame) -> list[ForeignTable]:
        """The tables in a file of somebody else.

        Args:
            path: the file or folder.
            asked: which arrays, and where the ids are.
            manifest: what the store knows, for formats that name utterances by what they say.

        Raises:
            UnknownNameError: an array that is not in the file.
            BadInputError: the file is damaged, or nothing in it is clearly a table.
        """
