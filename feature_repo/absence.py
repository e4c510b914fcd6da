"""Why an utterance has no value in a view, in words: what a person is told who asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.coverage import utterance_states

if TYPE_CHECKING:
    from feature_repo.recipe import Recipe
    from feature_repo.store import Store

_READS = {
    "text": "it has no text",
    "media": "it has no media file",
    "id": "the imported file is about other corpora",
}
_STATES = {
    "nothing": "there is nothing",
    "missing": "not computed yet",
    "stale": "what is stored is of an older content",
}


def absences(store: Store, view: str, ids: Sequence[str]) -> dict[str, str]:
    """The reason of each of these utterances that has no value in the view, or whose value is of an older content.

    A fault is told by its message. Where an input of a derived or learned view lacks a value, that is the reason.

    Args:
        store: the store.
        view: its name; a view about utterances.
        ids: utterances that a manifest has.

    Raises:
        UnknownNameError: no such view.
    """
    recipe = store.recipe(view)
    manifest = store.manifest().filter(pl.col("utterance_id").is_in(list(ids)))
    faults = store.faults.entries(view).select("utterance_id", "content_key", "message")
    states = utterance_states(store, view, manifest).filter(pl.col("state") != "present")
    states = states.join(faults, on=["utterance_id", "content_key"], how="left", maintain_order="left")
    inputs = _of_inputs(store, recipe, states["utterance_id"].to_list())
    languages = dict(manifest.select("utterance_id", "language").iter_rows())
    told = {}
    for row in states.iter_rows(named=True):
        utterance_id, state = row["utterance_id"], row["state"]
        language = languages[utterance_id]
        if utterance_id in inputs:
            why = inputs[utterance_id]
        elif state == "inapplicable" and recipe.languages and language not in (None, *recipe.languages):
            why = f"its language is {language}, the model knows {', '.join(recipe.languages)}"
        elif state == "inapplicable":
            why = _READS.get(recipe.reads, "it is not asked for")
        else:
            why = row["message"] if state == "faulted" else row["note"] or _STATES[state]
        told[utterance_id] = why
    return told


def _of_inputs(store: Store, recipe: Recipe, ids: Sequence[str]) -> dict[str, str]:
    """What the first input that these utterances must have and lack says of it."""
    told: dict[str, str] = {}
    for fingerprint, view in store.inputs_of(recipe).items():
        rest = [utterance_id for utterance_id in ids if utterance_id not in told]
        must = fingerprint not in recipe.settings.get("optional_inputs", ())
        if rest and must and store.recipe(view).entity == "utterance":
            told |= absences(store, view, rest)
    return told
