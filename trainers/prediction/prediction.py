"""What a trained model says of utterances that have some or all of its slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.conversations import Dialogues
from feature_repo.errors import BadInputError, UnknownNameError
from trainers.models import check_reads_vectors, model_reads

if TYPE_CHECKING:
    from feature_repo.training_set import TrainingSet
    from trainers.runs.run import Run

Bools = npt.NDArray[np.bool_]


def predict(
    run: Run, data: TrainingSet | Dialogues, device: str = "cpu", *, other_views: Sequence[str] = ()
) -> pl.DataFrame:
    """A trained model's prediction for every row, from whichever of its slots the row has.

    An adapter needs all of its slots; a fusion model one or more, the others are masked as in training; a conversation
    model also predicts a turn that has none, from the turns around it. Rows that lack what is needed are kept, their
    prediction null.

    Args:
        run: a finished run.
        data: any of the run's slots under the run's names, pulled with ``join="outer"``; ``by="dialogue"`` for a
            conversation model.
        device: where the model runs.
        other_views: slots that may be of another view than the run was trained on.

    Returns:
        ``utterance_id, predicted``, then ``p_<class>`` (probabilities, float32) and ``present_<slot>`` of every slot of
        the run, in the order of the data's rows.

    Raises:
        UnknownNameError: a slot that the run does not read.
        BadInputError: none of its slots, one of another view than the run was trained on, or data of another kind.
    """
    rows = data.training_set if isinstance(data, Dialogues) else data
    slots = list(run.record["slots"])
    _check(run, rows, slots, isinstance(data, Dialogues), other_views)
    present = {slot: rows.present.get(slot, np.zeros(len(rows), bool)) for slot in slots}
    predicted, shares = _shares(run, data, present, device)
    classes = np.array([*run.record["classes"], None], object)
    best = np.where(predicted, shares.argmax(1), len(classes) - 1)
    lacking = pl.Series(~predicted)
    return pl.DataFrame(
        {
            "utterance_id": pl.Series(rows.ids, dtype=pl.String),
            "predicted": pl.Series(classes[best].tolist(), dtype=pl.String),
            **{
                f"p_{name}": pl.Series(shares[:, index]).set(lacking, None)
                for index, name in enumerate(run.record["classes"])
            },
            **{f"present_{slot}": there for slot, there in present.items()},
        }
    )


def predict_together(runs: Sequence[Run], data: TrainingSet | Dialogues, device: str = "cpu") -> pl.DataFrame:
    """The mean of several runs' probabilities, such as the seeds of one setting; as :func:`predict` gives it.

    Raises:
        BadInputError: the runs have other classes or slots than the first; and as :func:`predict`.
    """
    for run in runs[1:]:
        for what in ("classes", "slots"):
            if run.record[what] != runs[0].record[what]:
                raise BadInputError(f"runs {runs[0].key} and {run.key} have other {what}; name one of them")
    told = [predict(run, data, device) for run in runs]
    if len(told) == 1:
        return told[0]
    classes = list(runs[0].record["classes"])
    columns = [f"p_{name}" for name in classes]
    each_share = np.stack([each.select(columns).to_numpy() for each in told])
    mean: npt.NDArray[np.float64] = each_share.mean(axis=0, dtype=np.float64)
    found = told[0]["predicted"].is_not_null()
    best = pl.Series([classes[index] for index in np.nan_to_num(mean).argmax(1)], dtype=pl.String)
    shares = {
        name: pl.Series(mean[:, index].astype(np.float32)).set(~found, None)
        for index, name in enumerate(columns)
    }
    return told[0].with_columns(predicted=best.set(~found, None), **shares)


def _check(
    run: Run, rows: TrainingSet, slots: list[str], dialogues: bool, other_views: Sequence[str]
) -> None:
    record = run.record
    check_reads_vectors(run)
    for slot, fingerprint in rows.fingerprints.items():
        if slot not in slots:
            raise UnknownNameError(f"slot of run {run.key}", slot, slots)
        if slot not in other_views and fingerprint != record["fingerprints"][slot]:
            raise BadInputError(
                f"slot {slot!r} is {rows.views[slot]}, but run {run.key} was trained on {record['views'][slot]}"
            )
    reads = model_reads(record["trainer"])
    if (reads == "dialogues") != dialogues:
        by = "dialogue" if reads == "dialogues" else "utterance"
        raise BadInputError(f"run {run.key} is a {record['trainer']} model: pull its data by={by!r}")
    lacking = [slot for slot in slots if slot not in rows.features]
    if len(lacking) == len(slots) or (reads == "rows" and lacking):
        needed = "all of" if reads == "rows" else "one or more of"
        raise BadInputError(
            f"run {run.key} ({record['trainer']}) lacks {', '.join(lacking)}; it needs {needed} {', '.join(slots)}"
        )


def _shares(
    run: Run, data: TrainingSet | Dialogues, present: dict[str, Bools], device: str
) -> tuple[Bools, npt.NDArray[np.float32]]:
    """(bool ``[rows]``: predicted, float32 ``[rows, classes]``: probabilities, zeros where not)."""
    import torch  # takes seconds: after whatever can be refused without it

    from trainers.examples import Examples, TensorExamples
    from trainers.fusion.examples import DialogueExamples, UtteranceExamples
    from trainers.models import run_slots, trained_model
    from trainers.training_loop import forward

    rows = data.training_set if isinstance(data, Dialogues) else data
    predicted = np.zeros(len(rows), bool)
    shares = np.zeros((len(rows), len(run.record["classes"])), np.float32)
    if model_reads(run.record["trainer"]) == "rows":
        enough = np.logical_and.reduce(list(present.values()))
        features = np.concatenate([rows.pooled[slot] for slot in present], axis=1)
        examples: Examples = TensorExamples([torch.from_numpy(features).to(device)])
    else:
        enough = np.logical_or.reduce(list(present.values()))
        slots = [slot for slot in run_slots(run) if slot.name in rows.features]
        kind: Any = DialogueExamples if isinstance(data, Dialogues) else UtteranceExamples
        examples = kind(data, slots, device)
    which = examples.holding(np.flatnonzero(enough))
    if len(which):
        logits, found = forward(trained_model(run, device), examples, which)
        at = found.cpu().numpy()
        predicted[at] = True
        shares[at] = logits.float().softmax(1).cpu().numpy()
    return predicted, shares
