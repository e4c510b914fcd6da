"""The formats there are, by name; a new one is a new file in this package."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.exchange.format import Format

_REGISTERED: dict[str, type[Format]] = {}


def register_format(kind: type[Format]) -> type[Format]:
    """Decorator that makes a class the format of its name.

    Raises:
        ValueError: another class has the name.
    """
    known = _REGISTERED.get(kind.name)
    if known is not None and known.__module__ != kind.__module__:
        raise ValueError(f"two formats are named {kind.name!r}")
    _REGISTERED[kind.name] = kind
    return kind


@cache
def _discover() -> None:
    package = importlib.import_module("feature_repo.exchange")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.endswith("_format"):
            importlib.import_module(f"feature_repo.exchange.{module.name}")


def format_names(*, exports: bool = False) -> list[str]:
    """Names of all formats, or of those that can be written, sorted."""
    _discover()
    return sorted(name for name, kind in _REGISTERED.items() if kind.exports or not exports)


def format_named(name: str) -> Format:
    """The format of this name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in format_names():
        raise UnknownNameError("exchange format", name, format_names())
    return _REGISTERED[name]()


def format_to_write(path: Path, name: str | None = None) -> Format:
    """The format that is named, else the one that the path's ending belongs to.

    Raises:
        UnknownNameError: there is none of that name.
        BadInputError: the format is only read, or the ending tells none.
    """
    if name is None:
        fitting = [each for each in format_names(exports=True) if path.suffix in format_named(each).suffixes]
        if len(fitting) != 1:
            raise BadInputError(
                f"{path.name!r} does not tell a format: name one of {', '.join(format_names(exports=True))} "
                "with --format"
            )
        name = fitting[0]
    found = format_named(name)
    if not found.exports:
        raise UnknownNameError("format that can be written", name, format_names(exports=True))
    return found


def format_to_read(path: Path, name: str | None = None) -> Format:
    """The format that is named, else the one that recognises the file.

    Raises:
        UnknownNameError: there is none of that name.
        BadInputError: no such file, or no format recognises it.
    """
    if not path.exists():
        raise BadInputError(f"{path}: no such file or folder")
    if name is not None:
        return format_named(name)
    fitting = [each for each in format_names() if format_named(each).recognises(path)]
    if not fitting:
        raise BadInputError(
            f"{path} is of no known format; name one of {', '.join(format_names())} with --format"
        )
    if len(fitting) > 1:
        raise BadInputError(f"{path} could be {' or '.join(fitting)}: name one with --format")
    return format_named(fitting[0])
