"""The extractors there are, by name; a new one is a new file in one of the packages below."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from extractors.protocol import Extractor
from extractors.settings import parse_settings
from feature_repo.errors import UnknownNameError

PACKAGES = ("text", "speaker", "speech", "audio", "face", "asr")
_REGISTERED: dict[str, type[Extractor]] = {}
E = TypeVar("E", bound=type[Extractor])


def register(extractor: E) -> E:
    """Class decorator that makes an extractor known under its name.

    Raises:
        ValueError: another class has the name.
    """
    known = _REGISTERED.get(extractor.name)
    if known is not None and known.__qualname__ != extractor.__qualname__:
        raise ValueError(f"two extractors are named {extractor.name!r}: {known} and {extractor}")
    _REGISTERED[extractor.name] = extractor
    return extractor


@cache
def _discover() -> None:
    for package in PACKAGES:
        try:
            found = importlib.import_module(f"extractors.{package}")
        except ModuleNotFoundError as error:
            if error.name != f"extractors.{package}":
                raise
            continue
        for module in pkgutil.iter_modules(found.__path__):
            importlib.import_module(f"extractors.{package}.{module.name}")


def extractor_names() -> list[str]:
    """Names of all extractors, sorted."""
    _discover()
    return sorted(_REGISTERED)


def extractor_class(name: str) -> type[Extractor]:
    """The class registered under the name.

    Raises:
        UnknownNameError: there is none.
    """
    _discover()
    if name not in _REGISTERED:
        raise UnknownNameError("extractor", name, _REGISTERED)
    return _REGISTERED[name]


def create(name: str, settings: Mapping[str, str] | None = None) -> Extractor:
    """An extractor with the settings, its model not loaded.

    Args:
        name: registered name.
        settings: setting to text, as a command line gives them; the rest stay at their defaults.

    Raises:
        UnknownNameError: an extractor, setting or choice that does not exist.
        BadInputError: a value that the setting refuses.
    """
    kind = extractor_class(name)
    return kind(parse_settings(kind.Settings, settings or {}, name))
