"""A reader: what turns a corpus's folder into manifest rows, with its options and its licence."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, get_origin, get_type_hints

import polars as pl

from extractors.settings import parse_settings
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import MANIFEST_SCHEMA
from feature_repo.terms import Terms

# A corpus's name is the start of its ids and the name of a file.
_CORPUS_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


class ReadFolder(Protocol):
    """The function behind a reader."""

    def __call__(self, folder: Path, corpus: str, options: Any, /) -> pl.DataFrame:
        """Manifest rows, with the manifest columns that the corpus knows and absolute media URIs.

        Args:
            folder: where the corpus lies (for some readers a single file).
            corpus: what the utterance ids start with.
            options: an instance of the reader's options dataclass.
        """
        ...


@dataclass(frozen=True)
class ReaderOption:
    """One option as the command line shows it."""

    name: str
    allowed: str
    default: str
    help: str


@dataclass(frozen=True)
class Reader:
    """A registered corpus reader.

    Attributes:
        name: the corpus's name, also the default start of its utterance ids.
        layout: the files that it reads, in one line.
        licence: terms of the corpus, in a few words.
        options: a frozen dataclass; its fields are the options, ``metadata["help"]`` their help line.
        function: reads the folder.
        renamed: whether the user must name the corpus (a table of their own has no name).
        redistributable: whether the terms let anybody pass on the corpus or what was derived from it; None where
            they don't say.
    """

    name: str
    layout: str
    licence: str
    options: type[Any]
    function: ReadFolder
    renamed: bool = False
    redistributable: bool | None = None

    @property
    def terms(self) -> Terms:
        """The corpus's terms as a manifest keeps them."""
        return Terms(self.licence, self.redistributable)

    def read(self, folder: Path | str, *, name: str | None = None, **options: Any) -> pl.DataFrame:
        """The corpus's manifest rows.

        Args:
            folder: where the corpus lies.
            name: another name for the corpus, so that the utterance ids start with it.
            options: the reader's options; texts are parsed as the command line's are.

        Returns:
            Rows with a subset of the manifest's columns; ``media_uri`` is absolute and may point to a missing file.

        Raises:
            UnknownNameError: an option, choice or label that does not exist.
            BadInputError: files that are missing or can't be used; the message names file and line.
        """
        if self.renamed and not name:
            raise BadInputError(f"reader {self.name!r} needs a name for the corpus: --name NAME")
        corpus = name or self.name
        if not _CORPUS_NAME.fullmatch(corpus):
            raise BadInputError(f"corpus name {corpus!r}: lower-case letters, digits, '-', '_' and '.' only")
        parsed = self._parse(options)
        folder = Path(folder).expanduser().absolute()
        if not folder.exists():
            raise BadInputError(f"corpus {corpus!r}: {folder} does not exist; expected {self.layout}")
        rows = self.function(folder, corpus, parsed)
        if rows.is_empty():
            raise BadInputError(f"corpus {corpus!r}: no utterance found in {folder}; expected {self.layout}")
        return rows.select([column for column in MANIFEST_SCHEMA if column in rows.columns])

    def describe_options(self) -> list[ReaderOption]:
        """The reader's options with their choices, defaults and help lines."""
        hints = get_type_hints(self.options)
        return [
            ReaderOption(
                item.name, _allowed(hints[item.name]), _shown(item.default), item.metadata.get("help", "")
            )
            for item in dataclasses.fields(self.options)
        ]

    def _parse(self, options: dict[str, Any]) -> Any:
        names = [item.name for item in dataclasses.fields(self.options)]
        for option in options:
            if option not in names:
                raise UnknownNameError(f"option of corpus {self.name!r}", option, names)
        hints = get_type_hints(self.options)
        texts = {key: value for key, value in options.items() if isinstance(value, str)}
        for key in texts:
            if get_origin(hints[key]) is Mapping:
                raise BadInputError(f"option {key!r} of corpus {self.name!r} takes pairs: --{key} KEY=VALUE")
        parsed = parse_settings(self.options, texts, self.name)
        return dataclasses.replace(
            parsed, **{key: value for key, value in options.items() if key not in texts}
        )


def option(default: Any, text: str) -> Any:
    """A field of a reader's options dataclass, with its help line."""
    return dataclasses.field(default=default, metadata={"help": text})


def no_files(what: str, looked: list[Path]) -> BadInputError:
    """The error of a reader that found none of the files it can start from."""
    return BadInputError(f"{what}: none of {', '.join(str(path) for path in looked)} exists")


def _allowed(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "|".join(str(value) for value in get_args(hint))
    names: dict[Any, str] = {bool: "yes|no", str: "TEXT", int: "NUMBER", float: "NUMBER"}
    if hint in names:
        return names[hint]
    return "TEXT,TEXT" if get_origin(hint) is tuple else "KEY=VALUE"


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return ",".join(str(value) for value in default)
    return "" if default in (None, dataclasses.MISSING) else str(default)


Register = Callable[[ReadFolder], ReadFolder]
