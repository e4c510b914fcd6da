"""Whether a run on stored features is stage 1 of these encoders: whether it learned from what they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.runs.run import Run

if TYPE_CHECKING:
    from feature_repo.store import Store
    from trainers.end_to_end.config import EndToEndConfig

_LAST = -1
_DIGITS = 12  # of a digest, in a message


def check_stage_one(store: Store, start: Run, encoders: Mapping[str, str], config: EndToEndConfig) -> None:
    """Refuse a fusion that was trained on other vectors than the encoders give: it would fit by its shapes alone.

    A run with tuned encoders brings them along, so whatever weights they had it goes on with.

    Args:
        store: where the run's views are.
        start: the run to begin with.
        encoders: digests of the weights by slot.
        config: how their states are pooled.

    Raises:
        BadInputError: the run's vectors are of other weights, or pooled in another way.
    """
    theirs = dict(start.record.get("encoders", {}))
    poolings = {"speech": config.speech_pooling, "text": config.text_pooling}
    for slot in theirs:
        _check_pooling(
            start, slot, "its encoder", start.record["settings"][f"{slot}_pooling"], poolings[slot]
        )
    if start.record.get("tuned"):
        return
    for slot, view in () if theirs else start.record["views"].items():
        try:
            recipe = store.recipe(view)
        except UnknownNameError:
            continue  # dropped since: nobody can tell
        theirs[slot] = recipe.weights
        pooling = recipe.settings.get("pooling", poolings.get(slot))
        if (layer := recipe.settings.get("layer", _LAST)) != _LAST:
            raise BadInputError(
                f"run {start.key} is no stage 1 of this model: it learned from {view}, whose vectors are of layer"
                f" {layer}; allowed: of the last"
            )
        if slot in poolings:
            _check_pooling(start, slot, view, pooling, poolings[slot])
    for slot, digest in encoders.items():
        if theirs.get(slot, digest) != digest:
            found = theirs[slot][:_DIGITS] or "none"
            raise BadInputError(
                f"run {start.key} is no stage 1 of this model: the weights behind its slot {slot!r} are {found},"
                f" those of {slot}_model are {digest[:_DIGITS]}; allowed: a run on vectors of the same encoders"
            )


def _check_pooling(start: Run, slot: str, source: str, pooling: str, wanted: str) -> None:
    if pooling != wanted:
        raise BadInputError(
            f"run {start.key} is no stage 1 of this model: it learned from {source}, pooled by {pooling!r}; allowed:"
            f" {wanted!r}, or --set {slot}_pooling={pooling}"
        )
