"""What each key of an experiment's file takes."""

from __future__ import annotations

from typing import Any

_TEXT = ("a text", lambda value: isinstance(value, str) and bool(value.strip()))
_MAYBE = ("a text, or null", lambda value: value is None or _TEXT[1](value))
_NAMES = (
    "a list of texts, such as [a, b]",
    lambda value: isinstance(value, list) and all(_TEXT[1](item) for item in value),
)
_NUMBERS = (
    "a list of different whole numbers from 0, such as [0, 1]",
    lambda value: (
        isinstance(value, list)
        and all(type(item) is int and item >= 0 for item in value)
        and len(set(value)) == len(value)
    ),
)
_SOME_NUMBERS = (_NUMBERS[0], lambda value: bool(value) and _NUMBERS[1](value))
_COUNT = ("a whole number from 1", lambda value: type(value) is int and value >= 1)
_MAPPING = ("a mapping of settings to values", lambda value: isinstance(value, dict))

# Key to what it takes, in words and as a question.
KINDS: dict[str, tuple[str, Any]] = {
    "title": _TEXT,
    "model": _TEXT,
    "slots": _NAMES,
    "paper": ("a text", lambda value: isinstance(value, str)),
    "corpora": _NAMES,
    "protocol": _TEXT,
    "folds": _COUNT,
    "only_folds": _NUMBERS,
    "labels": _TEXT,
    "seeds": _SOME_NUMBERS,
    "verdict": _MAYBE,
    "join": _MAYBE,
    "profile": _MAYBE,
    "settings": _MAPPING,
    "reference": _NAMES,
    "train_corpora": _NAMES,
    "train_on": _MAYBE,
    "start": _MAYBE,
    "starts_from": _MAYBE,
    "report": _NAMES,
    "row_weights": _MAYBE,
    "assumed": (
        "a mapping of settings or other keys to reasons",
        lambda value: isinstance(value, dict) and all(map(_TEXT[1], value.values())),
    ),
}
