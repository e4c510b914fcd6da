"""The commit gate: what may enter a feature table (DESIGN section 5)."""

import numpy as np

from feature_repo.outcome import Fault, Features, Outcome, storable
from feature_repo.recipe import Recipe


def gated(recipe: Recipe, outcome: Outcome) -> Outcome:
    """The outcome as it may be stored: features in the recipe's dtype, or a fault of stage ``gate`` that says why not.

    NaN, infinities, a pooled vector of zero norm and a wrong shape never enter a table. An empty sequence becomes a
    legitimate nothing. What is returned is the gate's own copy: an extractor may use its buffer again.
    """
    if isinstance(outcome, Fault):
        return outcome
    if outcome.value is None:
        if not outcome.note:
            return _fault("nothing was found and no reason was given")
        return Features(None, storable(outcome.note))
    value = np.asarray(outcome.value)
    expected = f"[{recipe.width}]" if recipe.layout == "pooled" else f"[n, {recipe.width}]"
    if value.ndim != (1 if recipe.layout == "pooled" else 2) or value.shape[-1] != recipe.width:
        return _fault(f"shape {list(value.shape)} where the recipe says {expected}")
    integral = recipe.dtype == "int16"
    if value.dtype.kind != ("i" if integral else "f"):
        return _fault(f"numbers of type {value.dtype} where the recipe says {recipe.dtype}")
    if integral and value.dtype != np.int16:
        return _fault(f"integers of type {value.dtype} where the recipe says int16")
    if not np.isfinite(value).all():
        return _fault(f"{int((~np.isfinite(value)).sum())} of {value.size} numbers are NaN or infinite")
    with np.errstate(over="ignore"):
        stored = np.array(value, dtype=np.dtype(recipe.dtype).newbyteorder("<"), order="C", copy=True)
    if not np.isfinite(stored).all():
        return _fault(f"numbers up to {np.abs(value).max():.3g} do not fit into {recipe.dtype}")
    if recipe.layout == "pooled" and not stored.any():
        return _fault("the vector is zero")
    if recipe.layout == "steps" and len(stored) == 0:
        return Features(None, storable(outcome.note) or "an empty sequence")
    return Features(stored)  # a note means a nothing, everywhere


def _fault(message: str) -> Fault:
    return Fault("gate", "RefusedFeatures", message)
