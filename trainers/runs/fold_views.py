"""Views that were learned fold by fold: in each fold of a later run stands what that fold's own run learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError
from feature_repo.recipe import Recipe
from trainers.runs.run import Run, finished_run, finished_runs

if TYPE_CHECKING:
    from feature_repo.store import Store


def views_of_fold(
    store: Store, views: Mapping[str, str], protocol: str, folds: int, fold: int
) -> dict[str, str]:
    """The views that a fold reads: for one that was learned in another fold of the same protocol, its sibling's.

    An adapter that was fitted on fold 0's training rows has seen rows that fold 1 is scored on. So a fusion over all
    folds needs an adapter per fold; naming the view of any of them names them all. A view that has no siblings is left
    as it is, and :func:`trainers.runs.lineage.check_lineage` refuses it where it has seen too much.

    Args:
        store: the store.
        views: name to view, as the caller named them.
        protocol: of the run that reads them.
        folds: its number of folds.
        fold: its fold.

    Raises:
        BadInputError: the fold's own run is finished, but its layer is not stored.
    """
    return {name: _of_fold(store, view, protocol, folds, fold) for name, view in views.items()}


def view_family(store: Store, view: str) -> str:
    """What a view is, whichever fold it was learned in: equal for siblings, its fingerprint for any other."""
    recipe = store.recipe(view)
    run = _run_of(store, recipe)
    if run is None or "family" not in run.record:
        return recipe.fingerprint
    inputs = [view_family(store, store.view_of(above)) for above in recipe.inputs]
    return ":".join([run.record["family"], recipe.layout, *inputs])


def _of_fold(store: Store, view: str, protocol: str, folds: int, fold: int) -> str:
    recipe = store.recipe(view)
    run = _run_of(store, recipe)
    if run is None or "family" not in run.record:
        return view
    record = run.record
    if (record["protocol"], record["folds"]) != (protocol, folds) or record["fold"] == fold:
        return view
    siblings = [
        other
        for other in finished_runs(store.files)
        if other.record.get("family") == record["family"] and other.record["fold"] == fold
    ]
    if not siblings:
        return view
    newest = siblings[-1]
    learned = {name: newest.record[name] for name in ("fold", "training_ids")} | {"run": newest.key}
    wanted = replace(
        recipe,
        settings={**recipe.settings, **learned},
        inputs=tuple(
            store.recipe(_of_fold(store, store.view_of(above), protocol, folds, fold)).fingerprint
            for above in recipe.inputs
        ),
    )
    if wanted.view not in store.views():
        raise BadInputError(
            f"view {view} was learned in fold {record['fold'] + 1}; fold {fold + 1} needs the layer of its own run"
            f" {newest.key}, which is not stored: affectstore embed {newest.key}"
        )
    return wanted.view


def _run_of(store: Store, recipe: Recipe) -> Run | None:
    if "run" not in recipe.settings:
        return None
    return finished_run(store.files, str(recipe.settings["run"]))
