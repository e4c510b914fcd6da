"""Lineage: what learned features were trained on, and the refusal to evaluate on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.recipe import Recipe
from trainers.protocols.plan import LeakageError
from trainers.runs.learned_weights import runs_of_weights
from trainers.runs.run import Run, finished_run, ids_digest

if TYPE_CHECKING:
    from feature_repo.store import Store

# A part of the run that made the features -> the parts of the new run that it must not meet. What a run selected on
# shaped its features less than what it fitted, and selecting on the same rows again is one selection: only scores
# must be free of it.
_MUST_NOT_MEET = {"train": ("validation", "test"), "validation": ("test",)}


def upstream_runs(store: Store, views: Sequence[str], weights: Iterable[str] = ()) -> list[Run]:
    """The runs that any of these views was learned in, directly or through the views that it reads.

    A view knows its run by its recipe, or by the digest of the weights that a run ended with.

    Args:
        store: the store.
        views: names of views.
        weights: digests of further weights that a model begins with, such as those of its encoders.

    Raises:
        BadInputError: a run's folder is gone or its training ids are not those that the recipe names, so that nobody
            can tell what the features have seen.
    """
    found: dict[str, str] = {}  # key of a run -> what was learned in it

    def follow(recipe: Recipe) -> None:
        if "run" in recipe.settings:
            run = _run(store, str(recipe.settings["run"]), recipe.view)
            if ids_digest(_ids(run, "train")) != recipe.settings.get("training_ids"):
                raise BadInputError(
                    f"view {recipe.view}: run {run.key} was not trained on the ids that its recipe names"
                )
            found.setdefault(run.key, recipe.view)
        if recipe.weights:
            for key in runs_of_weights(store.files, recipe.weights):
                found.setdefault(key, recipe.view)
        for fingerprint in recipe.inputs:
            try:
                view = store.view_of(fingerprint)
            except UnknownNameError:
                continue  # dropped since; a learned view's run names the runs above it itself
            follow(store.recipe(view))

    for view in views:
        follow(store.recipe(view))
    for digest in weights:
        for key in runs_of_weights(store.files, digest):
            found.setdefault(key, f"an encoder of weights {digest[:12]}")
    return runs_above(store, found)


def runs_above(store: Store, keys: Iterable[str] | Mapping[str, str]) -> list[Run]:
    """These runs and those that they learned from in turn, by key.

    Args:
        store: the store.
        keys: keys of runs, or keys to what was learned in each, for the message.

    Raises:
        BadInputError: a run's folder is gone.
    """
    found: dict[str, Run] = {}

    def add(key: str, reader: str) -> None:
        if key not in found:
            found[key] = _run(store, key, reader)
            for above in found[key].record["upstream"]:
                add(above, f"run {key}")

    for key in keys:
        add(key, keys[key] if isinstance(keys, Mapping) else "a model")
    return [found[key] for key in sorted(found)]


def check_lineage(runs: Iterable[Run], parts: pl.DataFrame, *, by_speaker: bool) -> None:
    """Refuse features, and weights to start from, of rows which are selected or scored on now.

    Args:
        runs: what the features were learned in, as :func:`upstream_runs` gives.
        parts: rows of the new run: ``utterance_id, speaker_id, part``.
        by_speaker: whether the protocol promises speakers apart; then they must be so from the features' too.

    Raises:
        LeakageError: names the run, the parts and a shared utterance or speaker.
    """
    for run in runs:
        seen = run.parts()
        for theirs, ours in _MUST_NOT_MEET.items():
            for column in ("utterance_id", "speaker_id") if by_speaker else ("utterance_id",):
                evaluated = parts.filter(pl.col("part").is_in(ours))[column].drop_nulls().unique()
                learned = seen.filter(pl.col("part") == theirs)[column].drop_nulls().unique()
                shared = evaluated.filter(evaluated.is_in(learned.implode())).sort()
                if len(shared):
                    what = column.removesuffix("_id")
                    raise LeakageError(
                        f"the features or weights of run {run.key} were learned from {len(shared)} {what}(s) of"
                        f" this run's {' and '.join(ours)} rows, such as {shared[0]!r} ({theirs} rows there); allowed:"
                        f" those of a run whose {theirs} rows are apart from them, such as the same protocol and fold"
                    )


def _ids(run: Run, part: str) -> pl.Series:
    return run.parts().filter(pl.col("part") == part)["utterance_id"]


def _run(store: Store, key: str, reader: str) -> Run:
    run = finished_run(store.files, key)
    if run is None:
        raise BadInputError(
            f"{reader} was learned in run {key}, whose folder is gone: what it has seen can't be shown"
        )
    return run
