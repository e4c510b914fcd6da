"""Running a suite: variant after variant through ``train``, finished runs found again, results in one Parquet file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from feature_repo.conversations import Dialogues
from feature_repo.errors import BadInputError
from feature_repo.training_set import TrainingSet
from trainers.complexity import BATCH_SIZES, Complexity, complexity
from trainers.config import TrainingConfig
from trainers.experiments.experiment import Experiment
from trainers.experiments.training import train_experiment
from trainers.fusion.examples import DialogueExamples, UtteranceExamples
from trainers.models import model_reads, run_slots, trained_model
from trainers.prediction.robustness import run_data, scores_with_drop
from trainers.runs.comparison import Comparison, compare
from trainers.runs.predictions import predictions_of
from trainers.runs.run import Run
from trainers.suites.adapted_slots import with_adapted_slots
from trainers.suites.suite import Suite
from trainers.train import Progress, Trained

if TYPE_CHECKING:
    from feature_repo.store import Store

FOLDER = "suites"
SCORES = ("accuracy", "weighted_f1", "macro_f1", "uar")
# Draws of what is dropped, for each rate and run: their spread is small beside that of seeds.
_DRAWS = (0, 1, 2)
_ROWS_TIMED = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# (what is trained, its settings) -> the training's callbacks
OnTraining = Callable[[str, TrainingConfig], Progress | None]


@dataclass(frozen=True)
class VariantResult:
    """What a variant came to.

    Attributes:
        name: the variant's.
        experiment: what was trained, with adapted slots where the variant has them.
        trained: its runs, one per seed and fold.
        cost: of its model on 32 examples of the data; None where the suite measures none.
        dropped: ``run, rate, draw`` and scores with slots taken away at test; None where the suite drops none.
    """

    name: str
    experiment: Experiment
    trained: Trained
    cost: Complexity | None = None
    dropped: pl.DataFrame | None = None


@dataclass(frozen=True)
class SuiteResult:
    """What a suite came to.

    Attributes:
        suite: the suite.
        variants: results in its order.
        path: where in the store the results are.
    """

    suite: Suite
    variants: tuple[VariantResult, ...]
    path: str

    @property
    def selection(self) -> str:
        """The score that the variants are compared by: what the first one's training selects by."""
        return self.variants[0].experiment.config().selection

    def against_first(self) -> dict[str, Comparison | str]:
        """Every later variant compared with the first on the same test rows; why not, where that can't be done."""
        first, *others = self.variants
        told: dict[str, Comparison | str] = {}
        for other in others:
            try:
                told[other.name] = compare(
                    predictions_of(first.trained.runs, first.name),
                    predictions_of(other.trained.runs, other.name),
                )
            except BadInputError as error:
                told[other.name] = str(error)
        return told


def run_suite(
    store: Store,
    suite: Suite,
    *,
    name: str | None = None,
    device: str = "cpu",
    on_training: OnTraining | None = None,
) -> SuiteResult:
    """Train every variant for every seed, and write what there is below ``suites/`` after each variant.

    An interrupted suite goes on where it was: a finished run is not run again, a killed one is resumed.

    Args:
        store: the store.
        suite: the suite.
        name: of the results' file; the suite's if not given.
        device: where the models are.
        on_training: told ``(what, settings)`` before each training; may give its callbacks.

    Raises:
        UnknownNameError: a slot, corpus, verdict or profile that does not exist.
        BadInputError: data that a variant can't be trained on, or a name that no file can have.
    """
    if not _NAME.fullmatch(name or suite.name):
        raise BadInputError(
            f"results' name {name or suite.name!r}: letters, digits, '_', '-' and '.', a letter or digit first"
        )
    path = f"{FOLDER}/{name or suite.name}.parquet"
    results: list[VariantResult] = []
    experiments = suite.experiments()
    for variant in suite.variants:
        asked = experiments[variant.name]
        told = partial(_told, on_training, variant.name)
        if variant.adapt:
            asked = with_adapted_slots(store, asked, variant.adapt, device=device, on_training=told)
        results.append(_run_variant(store, suite, variant.name, asked, device, told("", asked.config())))
        buffer = io.BytesIO()
        results_frame(results).write_parquet(buffer)
        store.files.write(path, buffer.getvalue())
    return SuiteResult(suite, tuple(results), path)


def results_frame(variants: Sequence[VariantResult]) -> pl.DataFrame:
    """A row per variant, seed and fold, and one more per rate and draw where slots are dropped at test.

    ``variant, seed, fold, rate, draw`` (null where nothing was dropped), the four scores on ``rows`` test rows, what
    the model is and costs (``flops`` of a forward pass per example, ``latency_ms_<batch>``), and the ``run``.
    """
    rows: list[dict[str, Any]] = []
    for result in variants:
        cost = result.cost
        for run in result.trained.runs:
            record = run.record
            told = {
                "variant": result.name,
                "seed": record["seed"],
                "fold": record["fold"],
                "rate": None,
                "draw": None,
                **{score: record["scores"]["test"][score] for score in SCORES},
                "rows": record["rows"]["test"],
                "model": record["trainer"],
                "slots": ", ".join(record["slots"]),
                "corpora": ", ".join(record["corpora"]),
                "parameters": record["parameters"],
                "flops": cost.flops if cost else None,
                **{f"latency_ms_{size}": cost.latency_ms[size] if cost else None for size in BATCH_SIZES},
                "run": run.key,
            }
            rows.append(told)
            if result.dropped is not None:
                own = result.dropped.filter(pl.col("run") == run.key)
                rows += [{**told, **drawn} for drawn in own.iter_rows(named=True)]
    return pl.DataFrame(rows, schema_overrides=_SCHEMA, infer_schema_length=None)


_SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("rate", *SCORES, *(f"latency_ms_{size}" for size in BATCH_SIZES)), pl.Float64),
    **dict.fromkeys(("seed", "fold", "draw", "rows", "parameters", "flops"), pl.Int64),
}


def _told(on_training: OnTraining | None, variant: str, what: str, config: TrainingConfig) -> Progress | None:
    return on_training(f"{variant}, {what}" if what else variant, config) if on_training else None


def _run_variant(
    store: Store, suite: Suite, name: str, asked: Experiment, device: str, progress: Progress | None
) -> VariantResult:
    done = train_experiment(store, asked, device=device, progress=progress)
    cost = _cost(store, done.runs[0], device) if suite.cost else None
    dropped = _dropped(store, suite, done.runs, device) if suite.drop else None
    return VariantResult(name, asked, done, cost, dropped)


def _cost(store: Store, run: Run, device: str) -> Complexity:
    """Of a model on examples evenly spaced over its data: the same for every variant that reads the same slots."""
    data = run_data(store, run)
    model = trained_model(run, device)
    if model_reads(run.record["trainer"]) == "rows":
        width = int(run.record["width"])  # what the numbers are makes no difference
        return complexity(model, torch.zeros(_ROWS_TIMED, width, device=device))
    slots = run_slots(run)
    examples: DialogueExamples | UtteranceExamples
    if isinstance(data, Dialogues):
        examples = DialogueExamples(data, slots, device)
    else:
        examples = UtteranceExamples(data, slots, device)
    count = min(_ROWS_TIMED, len(examples))
    (batch,) = examples.arguments(torch.from_numpy(np.linspace(0, len(examples) - 1, count).astype(np.int64)))
    return complexity(model, batch)


def _dropped(store: Store, suite: Suite, runs: Sequence[Run], device: str) -> pl.DataFrame:
    pulled: dict[tuple[str, ...], TrainingSet | Dialogues] = {}
    frames = []
    for run in runs:
        views = tuple(run.record["views"].values())  # a fold may read views of its own
        if views not in pulled:
            pulled[views] = run_data(store, run)
        frame = scores_with_drop(run, pulled[views], suite.drop, _DRAWS, device=device)
        frames.append(
            frame.select(pl.lit(run.key).alias("run"), "rate", pl.col("seed").alias("draw"), *SCORES)
        )
    return pl.concat(frames)
