"""``affectstore runs``: what was trained, one run in detail, settings against each other, and figures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feature_repo.console import JsonOption, RootOption, console
from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    import polars as pl

    from feature_repo.store import Store
    from trainers.runs.comparison import Comparison
    from trainers.runs.groups import RunGroup


def runs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="A group of runs or a run's key, or its beginning; several keys by commas are taken together.",
            show_default="all",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="A line per run in place of one per settings.")
    ] = False,
    common: Annotated[
        bool, typer.Option("--common", help="Compare on the test rows that all have, where they differ.")
    ] = False,
    on: Annotated[
        list[str] | None,
        typer.Option(
            help="Score the test rows of this saved selection or verdict; several times for one run or group.",
            show_default=False,
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Draw confusion matrix, curves and scores per class into this folder.", show_default=False
        ),
    ] = None,
    by_slice: Annotated[
        bool,
        typer.Option(
            "--slices",
            help="Score the test rows by emotion shift, turn, length, and what training had seen of them.",
        ),
    ] = False,
    other: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="SLOT=VIEW",
            help="Score the same models on another view of a slot: corrupted words, noisy sound; several times.",
        ),
    ] = None,
    suffixes: Annotated[
        str, typer.Option("--as", help="What figures are written as, by commas: png, svg, pdf.")
    ] = "png",
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """List finished runs, show one, or compare several with the first: settings, scores, interval and p.

    Example: [cyan]affectstore runs[/cyan], then [cyan]affectstore runs 3f9a[/cyan] for one and [cyan]affectstore runs
    3f9a b21c[/cyan] to compare.

    Where it errs: [cyan]affectstore runs 3f9a --slices[/cyan]

    On TestA alone: [cyan]affectstore runs 3f9a --on audio-text-testa[/cyan]

    On noisy sound: [cyan]affectstore runs 3f9a --with speech=speech_mfcc_1a2b3c4d[/cyan]

    Figures: [cyan]affectstore runs 3f9a --figures figures --as png,pdf[/cyan]
    """
    from feature_repo.store import open_store
    from trainers.runs.groups import find_runs

    kinds = _suffixes(suffixes)
    store = open_store(root)
    if not names:
        if figures is not None or common or by_slice or on or other:
            raise BadInputError(
                "--figures, --slices, --on, --with and --common are of runs that are named: affectstore runs NAME"
                " [NAME]..."
            )
        _list(store, every, as_json)
        return
    groups = [find_runs(store.files, name) for name in names]
    if len({group.name for group in groups}) < len(groups):
        raise BadInputError(f"{' '.join(names)}: named twice; allowed: each run or group once")
    if by_slice:
        _slices(store, groups, as_json)
        return
    if other:
        _show_other_views(store, groups, other, as_json)
        return
    if on and len(groups) == 1:
        _show_selected(store, groups[0], on, as_json)
        return
    comparisons = _compared(groups, common, _selected(store, on or []))
    if on:
        _tell(f"on the test rows of {on[0]}")
    if as_json:
        _print_json(groups, comparisons)
    elif comparisons:
        from trainers.runs.group_tables import comparison_tables

        comparison_tables(groups, comparisons)
    else:
        _show(groups[0], every)
    if figures is not None:
        from trainers.runs.figures import write_run_figures

        for path in write_run_figures(groups, figures, kinds):
            (typer.echo if not as_json else _tell)(str(path))


def _list(store: Store, every: bool, as_json: bool) -> None:
    from trainers.runs.groups import group_runs
    from trainers.runs.run import finished_runs

    found = finished_runs(store.files)
    if as_json:
        typer.echo(json.dumps([dict(run.record) for run in found]))
    elif not found:
        console.print("no runs yet; [cyan]affectstore train --help[/cyan] shows how to make one")
    elif every:
        from trainers.runs.tables import runs_table

        runs_table(found)
    else:
        from trainers.runs.group_tables import groups_table

        groups_table(group_runs(found))
        console.print(
            "[cyan]affectstore runs GROUP[/cyan] shows one, [cyan]runs GROUP GROUP[/cyan] compares,"
            " [cyan]runs --all[/cyan] lists each run"
        )


def _show(group: RunGroup, every: bool) -> None:
    from trainers.runs.group_tables import group_tables
    from trainers.runs.tables import run_tables, runs_table

    if every:
        runs_table(group.runs)
    elif len(group.runs) == 1:
        run_tables(group.first)
    else:
        group_tables(group)


def _slices(store: Store, groups: list[RunGroup], as_json: bool) -> None:
    from trainers.runs.slice_table import slices_table
    from trainers.runs.slices import slices

    told = {
        group.name: slices(group.whole, store.manifest(group.first.record["corpora"])) for group in groups
    }
    if as_json:
        typer.echo(
            json.dumps({name: [dataclasses.asdict(one) for one in found] for name, found in told.items()})
        )
        return
    for group in groups:
        slices_table(group, told[group.name])


def _selected(store: Store, names: list[str]) -> pl.Series | None:
    """The utterances that a comparison is on; None for all.

    Raises:
        BadInputError: several selections, of which each would be another comparison.
    """
    from feature_repo.named_ids import named_ids

    if len(names) > 1:
        raise BadInputError(f"--on {', '.join(names)}; allowed: one, where runs are compared")
    return named_ids(store, names[0]).ids if names else None


def _show_other_views(store: Store, groups: list[RunGroup], given: list[str], as_json: bool) -> None:
    from feature_repo.option_pairs import option_pairs
    from trainers.prediction.other_views import compare_views, views_table

    views = option_pairs("--with", given)
    found = {group.name: compare_views(store, group.whole, views) for group in groups}
    if as_json:
        typer.echo(
            json.dumps(
                {name: dataclasses.asdict(told) | {"lacking": lost} for name, (told, lost) in found.items()}
            )
        )
        return
    for name, (told, lost) in found.items():
        console.print(f"[bold]{name}[/bold]")
        views_table(told, views, lost)


def _show_selected(store: Store, group: RunGroup, names: list[str], as_json: bool) -> None:
    from trainers.runs.report import reported
    from trainers.runs.selected_scores import selected_table

    found, lacking = reported(store, group.whole, names)
    if as_json:
        told = {
            name: {seed: {"rows": int(each.support.sum()), **each.summary()} for seed, each in seeds.items()}
            for name, seeds in found.items()
        }
        typer.echo(json.dumps(told))
        return
    selected_table({**found, **lacking})


def _compared(groups: list[RunGroup], common: bool, ids: pl.Series | None) -> dict[str, Comparison]:
    """By name of each group but the first, its comparison with the first, all on the same rows."""
    from trainers.runs.comparison import compare

    if len(groups) < 2:
        return {}
    each = [group.predictions() for group in groups]
    base, *others = each if ids is None else [one.among(ids) for one in each]
    if common:
        from trainers.runs.predictions import common_rows

        base, *others = common_rows([base, *others])
    return {other.name: compare(base, other) for other in others}


def _print_json(groups: list[RunGroup], comparisons: dict[str, Comparison]) -> None:
    if not comparisons:
        (group,) = groups
        records = [dict(run.record) for run in group.runs]
        typer.echo(json.dumps(records[0] if len(records) == 1 else records))
        return
    told = {
        name: dataclasses.asdict(found)
        | {
            "scores": {
                score: dataclasses.asdict(each) | {"difference": each.difference}
                for score, each in found.scores.items()
            }
        }
        for name, found in comparisons.items()
    }
    typer.echo(
        json.dumps({"base": groups[0].name, "settings": _settings(groups), "comparisons": told}, default=str)
    )


def _settings(groups: list[RunGroup]) -> dict[str, dict[str, str]]:
    from trainers.runs.groups import settings_that_differ

    names = [group.name for group in groups]
    return {name: dict(zip(names, each, strict=True)) for name, each in settings_that_differ(groups).items()}


def _suffixes(given: str) -> list[str]:
    allowed = ("png", "svg", "pdf")
    kinds = [kind.strip().lower().removeprefix(".") for kind in given.split(",") if kind.strip()]
    if not kinds or set(kinds) - set(allowed):
        raise BadInputError(f"--as {given!r}; allowed: {', '.join(allowed)}, by commas")
    return list(dict.fromkeys(kinds))


def _tell(line: str) -> None:
    from feature_repo.console import err

    err.print(line, markup=False, highlight=False, soft_wrap=True)
