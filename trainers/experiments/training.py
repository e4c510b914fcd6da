"""Train what an experiment asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from trainers.experiments.experiment import Experiment
from trainers.train import Progress, Trained, train
from trainers.training_data import Join

if TYPE_CHECKING:
    from feature_repo.store import Store


def train_experiment(
    store: Store, asked: Experiment, *, device: str = "cpu", progress: Progress | None = None
) -> Trained:
    """The experiment's runs; see :func:`trainers.train.train`.

    Raises:
        UnknownNameError, BadInputError, LeakageError: as ``train``.
    """
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
        device=device,
        progress=progress,
    )
