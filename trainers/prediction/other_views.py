"""Finished runs on other views of their slots: trained on clean sound and scored on noisy, on gold text and on ASR."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.console import Table, console
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.selection import Selection
from trainers.models import check_reads_vectors, model_reads
from trainers.prediction.prediction import predict
from trainers.runs.comparison import Comparison, compare
from trainers.runs.group_tables import p_words
from trainers.runs.predictions import Predictions, common_rows, predictions_of
from trainers.runs.tables import HEADLINE, mean_and_deviation

if TYPE_CHECKING:
    from feature_repo.store import Store
    from trainers.runs.run import Run


def compare_views(
    store: Store, runs: Sequence[Run], views: Mapping[str, str], *, device: str = "cpu"
) -> tuple[Comparison, int]:
    """The runs' test scores on other views of their slots, compared with their own on the same rows.

    Nothing is trained: each model reads vectors of the other view, which must have the width and layout of the view
    that it was trained on, such as the same encoder's of corrupted words or noisy sound.

    Args:
        store: the store.
        runs: finished runs of one setting, by seed and fold.
        views: slot of the runs to view.
        device: where the models run.

    Returns:
        (the comparison: first as trained, second on the other views; test rows that lack what is needed there).

    Raises:
        UnknownNameError: no such view, or a slot that the runs do not read.
        BadInputError: a view of another width or layout, or no test row has it.
    """
    own = predictions_of(runs, "as trained")
    other = predictions_over(store, runs, views, device=device)
    first, second = common_rows([own, other])
    return compare(first, second), len(own.ids) - len(first.ids)


def predictions_over(
    store: Store, runs: Sequence[Run], views: Mapping[str, str], *, device: str = "cpu"
) -> Predictions:
    """What the runs predict for their test rows from other views; rows that lack what is needed are left out.

    Args, Raises: as :func:`compare_views`.
    """
    own = predictions_of(runs, ", ".join(f"{slot}={view}" for slot, view in views.items()))
    number = {name: index for index, name in enumerate(own.classes)}
    place = {name: index for index, name in enumerate(own.ids)}
    predicted = np.full_like(own.predicted, -1)
    for run in runs:
        _check(store, run, views)
        dialogues = model_reads(run.record["trainer"]) == "dialogues"
        data = store.pull(
            {**run.record["views"], **views},
            where=Selection(corpora=tuple(run.record["corpora"])),
            join="outer",
            labels=run.record["labels"],
            **({"by": "dialogue"} if dialogues else {}),  # type: ignore[call-overload]
        )
        told = predict(run, data, device, other_views=tuple(views)).select("utterance_id", "predicted")
        tested = run.predictions().select("utterance_id").join(told, on="utterance_id").drop_nulls()
        rows = [place[name] for name in tested["utterance_id"]]
        seed = own.seeds.index(run.record["seed"])
        predicted[seed, rows] = [number[name] for name in tested["predicted"]]
    there = np.flatnonzero((predicted >= 0).all(axis=0))
    if not len(there):
        raise BadInputError(
            f"{own.name}: no test row has anything there; `affectstore status` tells what it covers"
        )
    return dataclasses.replace(own, predicted=predicted).only(there)


def views_table(comparison: Comparison, views: Mapping[str, str], lacking: int) -> None:
    """Print the scores as trained and on the other views, and their difference.

    Args:
        comparison: of :func:`compare_views`.
        views: slot to view.
        lacking: test rows that were left out.
    """
    told = ", ".join(f"{slot} from {view}" for slot, view in views.items())
    table = Table(title=f"The same models on {comparison.rows} test rows, {told}")
    table.add_column("score")
    for name in ("as trained", "there", "difference", f"{comparison.level:.0%} interval", "p"):
        table.add_column(name, justify="right")
    for score, words in HEADLINE.items():
        found = comparison.scores[score]
        table.add_row(
            words,
            mean_and_deviation(found.first),
            mean_and_deviation(found.second),
            f"{found.difference:+.4f}",
            f"{found.low:+.4f} to {found.high:+.4f}",
            p_words(found.p),
        )
    console.print(table)
    if lacking:
        console.print(f"{lacking} test rows have nothing there and are left out", style="yellow")


def _check(store: Store, run: Run, views: Mapping[str, str]) -> None:
    check_reads_vectors(run)
    for slot, view in views.items():
        if slot not in run.record["views"]:
            raise UnknownNameError(f"slot of run {run.key}", slot, list(run.record["views"]))
        if view not in store.views():
            raise UnknownNameError("view", view, store.views())
        own, other = store.recipe(run.record["views"][slot]), store.recipe(view)
        if (own.width, own.layout) != (other.width, other.layout):
            raise BadInputError(
                f"{view} is {other.layout}, {other.width} wide; allowed for slot {slot!r} of run {run.key}: a view"
                f" like {own.view}, {own.layout}, {own.width} wide"
            )
