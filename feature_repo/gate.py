"""The commit gate: what may enter a feature table (DESIGN section 5)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from feature_repo.outcome import Fault, Features, Outcome, storable
from feature_repo.recipe import ColumnType, Recipe

_LISTS: tuple[ColumnType, ...] = ("floats", "texts", "step")


class _RefusedError(Exception):
    """Why features may not enter; the message is the fault's."""


def gated(recipe: Recipe, outcome: Outcome) -> Outcome:
    """The outcome as it may be stored: features in the recipe's dtype, or a fault of stage ``gate`` that says why not.

    NaN, infinities, a pooled vector of zero norm and a wrong shape never enter a table. An empty sequence becomes a
    legitimate nothing. Further columns are exactly the recipe's and of its types; a number or text among them may be
    None, a list may not; a nothing may have some of them. What is returned is the gate's own copy, lists of numbers as
    float32 ``[n]``: an extractor may use its buffer again.
    """
    if isinstance(outcome, Fault):
        return outcome
    try:
        return _features(recipe, outcome)
    except _RefusedError as refused:
        return Fault("gate", "RefusedFeatures", str(refused))


def _features(recipe: Recipe, found: Features) -> Features:
    if recipe.layout == "record":
        if found.value is not None:
            raise _RefusedError("a record has columns, and no value")
        if found.note:
            return _nothing(recipe, found.note, found.columns)
        return Features(None, columns=_columns(recipe, found.columns))
    if found.value is None:
        if not found.note:
            raise _RefusedError("nothing was found and no reason was given")
        return _nothing(recipe, found.note, found.columns)
    value = _value(recipe, found.value)
    if recipe.layout == "steps" and len(value) == 0:
        return _nothing(recipe, found.note or "an empty sequence", found.columns)
    steps = len(value) if recipe.layout == "steps" else None
    return Features(
        value, columns=_columns(recipe, found.columns, steps)
    )  # a note means a nothing, everywhere


def _nothing(recipe: Recipe, note: str, columns: Mapping[str, Any]) -> Features:
    # It has no steps, whatever else is known of it.
    empty = {name: () for name, kind in recipe.columns.items() if kind == "step"}
    partly = {name: kind for name, kind in recipe.columns.items() if name in columns or name in empty}
    _check_names(recipe, columns)
    return Features(None, storable(note), _converted(partly, {**empty, **columns}, 0))


def _value(recipe: Recipe, raw: object) -> np.ndarray[Any, Any]:
    value = np.asarray(raw)
    expected = f"[{recipe.width}]" if recipe.layout == "pooled" else f"[n, {recipe.width}]"
    if value.ndim != (1 if recipe.layout == "pooled" else 2) or value.shape[-1] != recipe.width:
        raise _RefusedError(f"shape {list(value.shape)} where the recipe says {expected}")
    integral = recipe.dtype == "int16"
    if value.dtype.kind != ("i" if integral else "f"):
        raise _RefusedError(f"numbers of type {value.dtype} where the recipe says {recipe.dtype}")
    if integral and value.dtype != np.int16:
        raise _RefusedError(f"integers of type {value.dtype} where the recipe says int16")
    if not np.isfinite(value).all():
        raise _RefusedError(f"{int((~np.isfinite(value)).sum())} of {value.size} numbers are NaN or infinite")
    with np.errstate(over="ignore"):
        stored = np.array(value, dtype=np.dtype(recipe.dtype).newbyteorder("<"), order="C", copy=True)
    if not np.isfinite(stored).all():
        raise _RefusedError(f"numbers up to {np.abs(value).max():.3g} do not fit into {recipe.dtype}")
    if recipe.layout == "pooled" and not stored.any():
        raise _RefusedError("the vector is zero")
    return stored


def _columns(recipe: Recipe, columns: Mapping[str, Any], steps: int | None = None) -> dict[str, Any]:
    _check_names(recipe, columns)
    lacking = sorted(set(recipe.columns) - set(columns))
    if lacking:
        raise _RefusedError(f"column {lacking[0]!r} is missing")
    return _converted(recipe.columns, columns, steps)


def _check_names(recipe: Recipe, columns: Mapping[str, Any]) -> None:
    unknown = sorted(set(columns) - set(recipe.columns))
    if unknown:
        allowed = ", ".join(recipe.columns) or "none"
        raise _RefusedError(f"column {unknown[0]!r} is not the recipe's; allowed: {allowed}")


def _converted(
    kinds: Mapping[str, ColumnType], columns: Mapping[str, Any], steps: int | None
) -> dict[str, Any]:
    found = {name: _entry(name, kind, columns[name]) for name, kind in kinds.items()}
    for name, kind in kinds.items():
        if kind == "step" and len(found[name]) != steps:
            raise _RefusedError(f"column {name!r} has {len(found[name])} entries for {steps} steps")
    return found


def _entry(name: str, kind: ColumnType, raw: Any) -> Any:
    if kind in _LISTS:
        if isinstance(raw, np.ndarray) and raw.ndim != 1:
            raise _RefusedError(f"column {name!r} has shape {list(raw.shape)} where the recipe says [n]")
        if not isinstance(raw, list | tuple | np.ndarray):
            raise _RefusedError(f"column {name!r} is {_told(raw)} where the recipe says a list")
        if kind == "texts":
            return [_text(name, entry) for entry in raw]
        if isinstance(raw, np.ndarray) and raw.dtype.kind in "fiu":
            return _floats(name, raw)
        return _floats(name, np.array([_number(name, entry) for entry in raw], np.float64))
    if raw is None:
        return None
    if kind == "text":
        return _text(name, raw)
    if kind == "float":
        return float(_floats(name, np.array([_number(name, raw)], np.float64))[0])
    if isinstance(raw, bool | np.bool_) or not isinstance(raw, int | np.integer):
        raise _RefusedError(f"column {name!r} is {_told(raw)} where the recipe says an integer")
    if not -(2**63) <= int(raw) < 2**63:
        raise _RefusedError(f"column {name!r}: {raw} does not fit into 64 bits")
    return int(raw)


def _floats(name: str, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if not np.isfinite(numbers).all():
        raise _RefusedError(f"column {name!r} has a number that is NaN or infinite")
    with np.errstate(over="ignore"):
        stored = np.array(numbers, np.float32)
    if not np.isfinite(stored).all():
        raise _RefusedError(f"column {name!r}: {np.abs(numbers).max():.3g} does not fit into float32")
    return stored


def _number(name: str, raw: Any) -> float:
    if isinstance(raw, bool | np.bool_) or not isinstance(raw, int | float | np.integer | np.floating):
        raise _RefusedError(f"column {name!r} is {_told(raw)} where the recipe says a number")
    try:
        return float(raw)
    except OverflowError:  # an integer of any length
        raise _RefusedError(f"column {name!r} has an integer that no float holds") from None


def _text(name: str, raw: Any) -> str:
    if not isinstance(raw, str):
        raise _RefusedError(f"column {name!r} is {_told(raw)} where the recipe says text")
    return storable(str(raw))


def _told(raw: object) -> str:
    return f"{raw!r:.40} of type {type(raw).__name__}"
