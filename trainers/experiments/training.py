"""Train what an experiment asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from feature_repo.errors import BadInputError
from feature_repo.named_ids import named_ids
from trainers.experiments.experiment import Experiment
from trainers.runs.run import Run
from trainers.start import started_runs
from trainers.train import Progress, Trained, train
from trainers.training_data import Join

if TYPE_CHECKING:
    from feature_repo.store import Store


def train_experiment(
    store: Store,
    asked: Experiment,
    *,
    start: Sequence[Run] | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Trained:
    """The experiment's runs; see :func:`trainers.train.train`.

    Args:
        store: the store.
        asked: what to train.
        start: finished runs to begin with; by default those of the group that its ``start`` names.
        device: where the model is.
        progress: callbacks.

    Raises:
        UnknownNameError, BadInputError, LeakageError: as ``train``; a selection to report that does not exist; an
            experiment that begins with the runs of another, without any.
    """
    for name in asked.report:  # not after an hour of training
        named_ids(store, name)
    if start is None:
        start = () if asked.start is None else started_runs(store.files, asked.start)
    if asked.starts_from and not start:
        raise BadInputError(
            f"experiment {asked.name} begins with the runs of {asked.starts_from}: train that, then name its group, or"
            " one of its runs, by --start; `affectstore runs` lists them"
        )
    return train(
        store,
        asked.slots,
        config=asked.config(),
        protocol=asked.protocol,
        folds=asked.folds,
        only_folds=asked.only_folds,
        seeds=asked.seeds,
        corpora=asked.corpora,
        labels=asked.labels,
        profile=asked.profile,
        verdict=asked.verdict,
        join=cast("Join | None", asked.join),
        start=start,
        train_corpora=asked.train_corpora,
        train_on=asked.train_on,
        row_weights=asked.row_weights,
        device=device,
        progress=progress,
    )
