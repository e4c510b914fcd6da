"""The corpora there are readers for, by name; a new one is a new file in this package."""

import importlib
import pkgutil
from functools import cache
from typing import Any

from extractors.corpora.reader import Reader, ReadFolder, Register
from feature_repo.errors import UnknownNameError

_REGISTERED: dict[str, Reader] = {}


def register_reader(
    name: str,
    *,
    layout: str,
    licence: str,
    options: type[Any],
    renamed: bool = False,
    redistributable: bool | None = None,
) -> Register:
    """Decorator that makes a function the reader of a corpus; the arguments are :class:`Reader`'s.

    Raises:
        ValueError: another function has the name.
    """

    def keep(function: ReadFolder) -> ReadFolder:
        known = _REGISTERED.get(name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ValueError(f"two readers are named {name!r}")
        _REGISTERED[name] = Reader(name, layout, licence, options, function, renamed, redistributable)
        return function

    return keep


@cache
def _discover() -> None:
    package = importlib.import_module("extractors.corpora")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"extractors.corpora.{module.name}")


def reader_names() -> list[str]:
    """Names of all corpora that can be read, sorted."""
    _discover()
    return sorted(_REGISTERED)


def reader(name: str) -> Reader:
    """The reader of a corpus.

    Raises:
        UnknownNameError: there is none; the message lists those there are.
    """
    _discover()
    if name not in _REGISTERED:
        raise UnknownNameError("corpus", name, _REGISTERED)
    return _REGISTERED[name]
