"""Adapted slots: an adapter of each, trained on an experiment's own folds, its layer in the slot's place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError
from feature_repo.slot_requests import asked_views
from trainers.config import TrainingConfig, resolve
from trainers.embed import embed
from trainers.experiments.experiment import Experiment
from trainers.models import model_config
from trainers.train import Progress, train

if TYPE_CHECKING:
    from feature_repo.store import Store

# Stage 1 has adapted the text already (papers/000 III-B1c).
_LEFT = "text"


def with_adapted_slots(
    store: Store,
    experiment: Experiment,
    adapter: str,
    *,
    device: str = "cpu",
    on_training: Callable[[str, TrainingConfig], Progress | None] | None = None,
) -> Experiment:
    """The experiment over adapted vectors: stage 2 of papers/000 III-B2, here on the experiment's own rows and folds.

    An adapter is fitted on each fold's training rows and never on what that fold selects or scores on; naming the view
    of one fold names them all (:mod:`trainers.runs.fold_views`). It has the adapter's own settings and the experiment's
    first seed. A sequence's adapter is trained on the pooled view of the same modality and applied to each step.
    Finished runs and stored rows are found again.

    Args:
        store: the store.
        experiment: whose slots are adapted; text stays as it is.
        adapter: a model that reads vectors: ``mlp`` or ``kan``.
        device: where the models are.
        on_training: told ``(what, settings)`` before each adapter is trained; may give the training's callbacks.

    Raises:
        UnknownNameError: a slot that does not exist, or no pooled view of a sequence's modality.
        BadInputError: there is nothing but text, a pooled view of another width, or nothing was embedded.
    """
    views = asked_views(store, experiment.slots, experiment.profile)
    recipes = {name: store.recipe(view) for name, view in views.items()}
    if all(recipe.modality == _LEFT for recipe in recipes.values()):
        raise BadInputError(
            f"{', '.join(experiment.slots)}: nothing to adapt, as text is left as it is; allowed: one slot or more of"
            " another modality"
        )
    config = resolve(model_config(adapter))
    slots = []
    for name, view in views.items():
        recipe = recipes[name]
        if recipe.modality == _LEFT:
            slots.append(f"{name}={view}")
            continue
        over = view if recipe.layout == "steps" else None
        source = view if over is None else store.resolve(recipe.modality, experiment.profile)
        done = train(
            store,
            [source],
            config=config,
            protocol=experiment.protocol,
            folds=experiment.folds,
            only_folds=experiment.only_folds,
            seeds=experiment.seeds[:1],
            corpora=experiment.corpora,
            labels=experiment.labels,
            verdict=experiment.verdict,
            device=device,
            progress=on_training(f"{adapter} over {name}", config) if on_training else None,
        )
        made = []
        for run in done.runs:
            embedded, report = embed(store, run, over=over, corpora=experiment.corpora or None, device=device)
            if report.everything_failed:
                reason = next(iter(report.faults_by_reason), "no reason is known")
                raise BadInputError(f"slot {name!r}: no row of run {run.key} could be adapted: {reason}")
            made.append(embedded.view)
        slots.append(f"{name}={made[0]}")
    return dataclasses.replace(experiment, slots=tuple(slots))
