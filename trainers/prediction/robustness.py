"""What a trained model is worth when modalities are missing at test: dropped at random, or all but some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor, nn

from feature_repo.conversations import Dialogues
from feature_repo.errors import BadInputError
from feature_repo.selection import Selection
from feature_repo.steps import Steps
from feature_repo.store import Store
from feature_repo.training_set import TrainingSet
from trainers.examples import Examples
from trainers.fusion.conversation import DialogueBatch
from trainers.fusion.examples import DialogueExamples, UtteranceExamples
from trainers.fusion.modality_dropout import drop_modalities
from trainers.metrics import score
from trainers.models import check_reads_vectors, model_reads, run_slots, trained_model
from trainers.runs.run import Run
from trainers.training_loop import forward, seeded

# The axis of DESIGN's and PAPERS' robustness curves.
RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)

Bools = npt.NDArray[np.bool_]


def scores_with_drop(
    run: Run,
    data: TrainingSet | Dialogues,
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    device: str = "cpu",
) -> pl.DataFrame:
    """Test scores with slots dropped at random as modality dropout drops them: of each row, but never all.

    A draw is of its seed alone, and drops at a higher rate what it drops at a lower one, but for the one slot that it
    leaves a row.

    Args:
        run: a finished run of a model over slots.
        data: the run's views, as :func:`run_data` pulls them.
        rates: chances from 0 to below 1.
        seeds: of the draws.
        device: where the model runs.

    Returns:
        A row per rate and seed: ``rate, seed, rows, dropped`` (share of the present slots of the tested rows), then
        ``accuracy, weighted_f1, macro_f1, uar``.

    Raises:
        BadInputError: a rate outside its range, an adapter, which needs all slots, or data of another run.
    """
    for rate in rates:
        if not 0 <= rate < 1:
            raise BadInputError(f"drop rate {rate}; allowed: from 0 to below 1")
    tested = _Tested(run, data, device)
    # In the order of the ids, so that a row's draw does not depend on where the pull has it.
    order = torch.from_numpy(np.argsort(np.array(tested.rows.ids), kind="stable"))
    present = torch.from_numpy(tested.present)
    found = []
    for rate in rates:
        for seed in seeds:
            with seeded(seed):
                kept = torch.zeros_like(present)
                kept[order] = drop_modalities(present[order], rate) if rate else present[order]
            here = tested.present[tested.wanted]
            dropped = 1 - float(kept.numpy()[tested.wanted].sum() / max(1, here.sum()))
            told = tested.scores(kept, tested.wanted)
            found.append({"rate": rate, "seed": seed, "rows": len(tested.wanted), "dropped": dropped, **told})
    return pl.DataFrame(found)


def scores_by_subset(run: Run, data: TrainingSet | Dialogues, *, device: str = "cpu") -> pl.DataFrame:
    """Test scores with nothing but a subset of the slots, for every non-empty subset, the whole last.

    Args:
        run: a finished run of a model over slots.
        data: the run's views, as :func:`run_data` pulls them.
        device: where the model runs.

    Returns:
        A row per subset: ``slots`` (joined by ``+``), ``rows``, ``without`` (tested rows that have none of them: left
        out, but for a conversation's turns, which are told by the turns around them), then ``accuracy, weighted_f1,
        macro_f1, uar``; scores are null where no row is left.

    Raises:
        BadInputError: an adapter, or data of another run.
    """
    tested = _Tested(run, data, device)
    found = []
    for size in range(1, len(tested.names) + 1):
        for subset in combinations(range(len(tested.names)), size):
            kept = np.zeros_like(tested.present)
            kept[:, subset] = tested.present[:, subset]
            has = kept[tested.wanted].any(1)
            wanted = tested.wanted if isinstance(data, Dialogues) else tested.wanted[has]
            told: dict[str, Any] = {
                "slots": "+".join(tested.names[index] for index in subset),
                "rows": len(wanted),
                "without": int((~has).sum()),
            }
            nothing = dict.fromkeys(("accuracy", "weighted_f1", "macro_f1", "uar"))
            found.append(told | (tested.scores(torch.from_numpy(kept), wanted) if len(wanted) else nothing))
    return pl.DataFrame(found, infer_schema_length=None)


def run_data(store: Store, run: Run) -> TrainingSet | Dialogues:
    """The run's views of its corpora, rows that lack some included; as dialogues for a conversation model.

    Raises:
        UnknownNameError: a view that the store no longer has.
    """
    record = run.record
    check_reads_vectors(run)
    where = Selection(corpora=tuple(record["corpora"]))
    if model_reads(record["trainer"]) == "dialogues":
        return store.pull(
            dict(record["views"]), where=where, join="outer", labels=record["labels"], by="dialogue"
        )
    return store.pull(dict(record["views"]), where=where, join="outer", labels=record["labels"])


class _Tested:
    """A run's model and test rows.

    Attributes:
        rows: what was pulled.
        names: the run's slots, in the model's order.
        present: bool ``[rows, slots]``.
        wanted: rows that the run was tested on, in the order of its predictions.
    """

    def __init__(self, run: Run, data: TrainingSet | Dialogues, device: str) -> None:
        trainer, dialogues = run.record["trainer"], isinstance(data, Dialogues)
        reads = model_reads(trainer)
        if reads == "rows":
            raise BadInputError(
                f"run {run.key} is of adapter {trainer!r}, which needs all of its slots; allowed: a model over slots"
            )
        if (reads == "dialogues") != dialogues:
            by = "dialogue" if reads == "dialogues" else "utterance"
            raise BadInputError(f"run {run.key} is a {trainer} model: pull its data by={by!r}")
        self.rows = data.training_set if isinstance(data, Dialogues) else data
        slots = run_slots(run)
        self.names = [slot.name for slot in slots]
        for name, fingerprint in run.record["fingerprints"].items():
            if self.rows.fingerprints.get(name) != fingerprint:
                has = self.rows.views.get(name, "not pulled")
                raise BadInputError(
                    f"slot {name!r} is {has}; allowed: {run.record['views'][name]}, as in run {run.key}"
                )
        self.present = np.stack([_present(self.rows, name) for name in self.names], axis=1)
        predictions = run.predictions()
        places = {name: place for place, name in enumerate(self.rows.ids)}
        lost = [name for name in predictions["utterance_id"] if name not in places]
        if lost:
            raise BadInputError(
                f"{len(lost)} test rows of run {run.key} are not in the data, the first is {lost[0]!r}"
            )
        self.wanted = np.array([places[name] for name in predictions["utterance_id"]], np.int64)
        self.classes: list[str] = run.record["classes"]
        codes = {name: code for code, name in enumerate(self.classes)}
        self.true = np.full(len(self.rows), -1, np.int64)
        self.true[self.wanted] = [codes[name] for name in predictions["true"]]
        self.model: nn.Module = trained_model(run, device)
        if isinstance(data, Dialogues):
            self.examples: Examples = DialogueExamples(data, slots, device)
        else:
            self.examples = UtteranceExamples(data, slots, device)

    def scores(self, kept: Tensor, wanted: npt.NDArray[np.int64]) -> dict[str, float]:
        """Scores of these rows with the slots that are kept, bool ``[rows, slots]``."""
        masked = _Masked(self.examples, kept, self.names)
        logits, rows = forward(self.model, masked, masked.holding(wanted))
        found = rows.cpu().numpy()
        scored = np.isin(found, wanted)
        predicted = logits.argmax(1).cpu().numpy()[scored]
        return score(self.true[found[scored]], predicted, self.classes).summary()


class _Masked(Examples):
    """Examples with slots taken away: kept is bool ``[rows of the training set, slots]``."""

    def __init__(self, examples: Examples, kept: Tensor, names: Sequence[str]) -> None:
        self.examples, self.kept = examples, kept
        self.names = list(names)
        self.labels, self.cost, self.rows_at_once = examples.labels, examples.cost, examples.rows_at_once

    def __len__(self) -> int:
        return len(self.examples)

    def rows(self, which: Tensor) -> Tensor:
        return self.examples.rows(which)

    def holding(self, rows: npt.NDArray[np.int64]) -> Tensor:
        return self.examples.holding(rows)

    def arguments(self, which: Tensor) -> tuple[Any, ...]:
        (batch,) = self.examples.arguments(which)
        rows = self.rows(which).to(self.kept.device)
        kept = self.kept[rows.clamp(min=0)]

        def left(name: str, present: Tensor) -> Tensor:
            return present & kept[..., self.names.index(name)].to(present.device)

        if isinstance(batch, DialogueBatch):
            present = {name: left(name, there) for name, there in batch.present.items()}
            return (replace(batch, present=present),)
        return ({name: replace(slot, present=left(name, slot.present)) for name, slot in batch.items()},)


def _present(rows: TrainingSet, name: str) -> Bools:
    """Which rows have anything of a slot: a sequence of no steps is as good as absent."""
    value = rows.features[name]
    has: Bools = rows.present[name].astype(bool)
    return has & (value.lengths > 0) if isinstance(value, Steps) else has
