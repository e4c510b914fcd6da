"""The command ``experiments``: the files that come with the package, and one of them resolved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_repo.console import JsonOption, Table, console

if TYPE_CHECKING:
    from trainers.experiments.experiment import Experiment


_SCORES = {"accuracy": "accuracy", "weighted_f1": "weighted F1", "uar": "UAR"}
_SELECTIONS = ("testa", "testb")  # papers/003 scores by these alone
_ELSEWHERE = (
    "title",
    "settings",
    "reference",
    "assumed",
)  # keys that are shown in a table or a title of their own


def experiments(
    name: Annotated[
        str | None,
        typer.Argument(
            help="An experiment, or a .yaml file of your own.", show_default="all that come with it"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the experiments of the papers' tables, or show one as it is resolved.

    Example: [cyan]affectstore experiments meld-t-v-a[/cyan], then [cyan]affectstore train --experiment
    meld-t-v-a[/cyan]
    """
    from trainers.experiments.experiment import experiment_names, load_experiment

    if name is not None:
        _show(load_experiment(name), as_json)
        return
    every = [load_experiment(each) for each in experiment_names()]
    if as_json:
        typer.echo(json.dumps([{"name": one.name, **one.values()} for one in every]))
        return
    table = Table(title="Experiments: a row of a paper's table each")
    for column in ("experiment", "model", "slots", "corpora", "protocol", "paper"):
        table.add_column(column, no_wrap=column in ("experiment", "protocol"))
    for column in _SCORES.values():
        table.add_column(column, justify="right", no_wrap=True)
    for one in every:
        table.add_row(
            one.name,
            one.model,
            ", ".join(one.slots),
            ", ".join(one.corpora),
            one.protocol,
            one.paper,
            *(_reported(one, score) for score in _SCORES),
        )
    console.print(table)
    console.print(
        "scores are the papers', in percent, two of them on TestA and on TestB; what they are on: `experiments NAME`"
    )


def _reported(one: Experiment, score: str) -> str:
    from trainers.experiments.reference import reference_cell

    for name in one.reference:
        cell = reference_cell(name)
        if score in cell.values:
            return _percent(cell.values[score])
        both = [cell.values.get(f"{selection}.{score}") for selection in _SELECTIONS]
        if any(value is not None for value in both):
            return " / ".join("–" if value is None else _percent(value) for value in both)
    return "–"


def _percent(share: float) -> str:
    """With the paper's digits: one, or two where it prints two."""
    told = f"{100 * share:.2f}"
    return told.removesuffix("0")


def _show(one: Experiment, as_json: bool) -> None:
    from trainers.config import described
    from trainers.experiments.reference import reference_cell

    settings = described(one.config())
    cells = [reference_cell(name) for name in one.reference]
    if as_json:
        told: dict[str, Any] = {"name": one.name, **one.values(), "settings": settings}
        told["reference"] = {cell.name: dict(cell.values) for cell in cells}
        typer.echo(json.dumps(told))
        return
    console.print(f"[bold]{one.name}[/bold] {one.title}", highlight=False)
    for key, value in one.values().items():
        if key in _ELSEWHERE or value in (None, "", []) or (key == "folds" and not one.chooses_folds):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        why = f" (assumed: {one.assumed[key]})" if key in one.assumed else ""
        console.print(f"  {key}: {text}{why}", highlight=False, soft_wrap=True)
    table = Table(title="Settings")
    for column in ("setting", "value", "where from"):
        table.add_column(column)
    for key, entry in settings.items():
        if key in one.settings and key in one.assumed:
            source = f"assumed: {one.assumed[key]}"
        elif key in one.settings:
            source = f"this experiment, {one.paper}" if one.paper else "this experiment"
        else:
            source = f"assumed: {entry['why']}" if entry.get("assumed") else entry["source"]
        value = entry["value"]
        if isinstance(value, dict):
            value = ", ".join(f"{name} {weight:g}" for name, weight in value.items()) or "none"
        table.add_row(key, str(value), source)
    console.print(table)
    if cells:
        values = Table(title="What the paper reports, in percent")
        values.add_column("score")
        values.add_column("value", justify="right")
        values.add_column("where")
        values.add_column("on")
        for cell in cells:
            for score, value in cell.values.items():
                values.add_row(score.replace(".", " "), _percent(value), cell.cite, cell.subset)
        console.print(values)
