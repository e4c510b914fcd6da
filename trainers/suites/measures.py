"""What a suite measures beside scores: the cost of a variant's model, and its scores with slots taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from feature_repo.conversations import Dialogues
from feature_repo.training_set import TrainingSet
from trainers.complexity import Complexity, complexity
from trainers.fusion.examples import DialogueExamples, UtteranceExamples
from trainers.models import model_reads, run_slots, trained_model
from trainers.prediction.robustness import run_data, scores_with_drop
from trainers.runs.run import Run
from trainers.suites.suite_results import SCORES

if TYPE_CHECKING:
    from feature_repo.store import Store

# Draws of what is dropped, for each rate and run: their spread is small beside that of seeds.
_DRAWS = (0, 1, 2)
_ROWS_TIMED = 32


def measured_cost(store: Store, run: Run, device: str) -> Complexity:
    """The cost of a run's model on examples evenly spaced over its data: the same for all that read the same slots."""
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


def scores_when_dropped(
    store: Store, rates: Sequence[float], runs: Sequence[Run], device: str
) -> pl.DataFrame:
    """``run, rate, draw`` and the scores of each run with slots taken away at test at each rate."""
    pulled: dict[tuple[str, ...], TrainingSet | Dialogues] = {}
    frames = []
    for run in runs:
        views = tuple(run.record["views"].values())  # a fold may read views of its own
        if views not in pulled:
            pulled[views] = run_data(store, run)
        frame = scores_with_drop(run, pulled[views], rates, _DRAWS, device=device)
        frames.append(
            frame.select(pl.lit(run.key).alias("run"), "rate", pl.col("seed").alias("draw"), *SCORES)
        )
    return pl.concat(frames)
