"""The command ``suite``: an experiment in several variants, trained for every seed, compared, measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feature_repo.console import (
    CorpusOption,
    DeviceOption,
    JsonOption,
    ProfileOption,
    RootOption,
    SchemeOption,
    Table,
    VerdictOption,
    console,
    err,
)
from trainers.experiments.options import (
    FoldsOption,
    OnlyFoldOption,
    ProtocolOption,
    ReportOption,
    SeedsOption,
    SetOption,
    SlotsOption,
    TrainJoinOption,
    given_values,
)

if TYPE_CHECKING:
    from feature_repo.store import Store
    from trainers.config import TrainingConfig
    from trainers.experiments.experiment import Experiment
    from trainers.suites.suite import Suite
    from trainers.suites.suite_results import SuiteResult
    from trainers.suites.variant import Variant
    from trainers.train import Progress


def suite(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A suite, or a .yaml file of your own.", show_default="list them")
    ] = None,
    slots: SlotsOption = None,
    model: Annotated[
        str | None, typer.Option(help="Model, where the variants don't name theirs.", show_default=False)
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            "-e",
            help="The variants of this experiment, in place of the suite's own data.",
            show_default=False,
        ),
    ] = None,
    protocol: ProtocolOption = "official",
    folds: FoldsOption = 4,
    only_fold: OnlyFoldOption = None,
    seeds: SeedsOption = "0,1,2",
    settings: SetOption = None,
    join: TrainJoinOption = None,
    corpus: CorpusOption = None,
    verdict: VerdictOption = None,
    labels: SchemeOption = "seven",
    report: ReportOption = None,
    profile: ProfileOption = None,
    results: Annotated[
        str | None,
        typer.Option("--as", help="Name of the results' file below suites/.", show_default="the suite's"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", help="Only this variant, and what it begins from; may be given several times."
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Only tell what the variants are, and what they want in the store.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that train at once, a seed of a variant each.")
    ] = 1,
    tables: Annotated[
        list[Path] | None,
        typer.Option(
            "--table",
            help="Write the tables into this file, .md, .tex or .csv; may be given several times.",
            show_default=False,
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Draw scores, bars with intervals, confusions, and curves where there are, into this folder.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the variants of a suite and compare them. What is finished is not run again: stop it as you like.

    Example: [cyan]affectstore suite depth --slots text,speaker,speech --corpus ravdess --protocol speaker-folds --set
    lr=1e-3[/cyan]

    On the paper's data: [cyan]affectstore suite mamba-or-transformer --experiment meld-t-v-a[/cyan]

    Two at once, the tables for a paper: [cyan]affectstore suite family-a --workers 2 --table a.tex --table a.csv[/cyan]
    """
    from trainers.suites.suite import load_suite, suite_names

    if name is None:
        suites_table(suite_names(), as_json)
        return
    from feature_repo.store import open_store
    from trainers.experiments.experiment import load_experiment
    from trainers.suites.table_files import check_table_paths

    # Checked before torch is imported, so that a slip is answered at once.
    check_table_paths(tables or [])
    asked = load_suite(name)
    if experiment is not None:
        asked = asked.of_experiment(load_experiment(experiment))
    if only:
        asked = asked.only(only)
    asked = asked.changed(given_values(context), settings or [])
    made = asked.experiments()
    if show:
        show_suite(asked, made)
        return
    store = open_store(root)
    from trainers.device import chosen_device
    from trainers.suites.suite_results import results_frame
    from trainers.suites.suite_run import run_suite
    from trainers.training_bar import shown, training_bar

    with training_bar() as bar:

        def on_training(what: str, config: TrainingConfig) -> Progress:
            return shown(bar, config.max_epochs, config.selection, what)

        try:
            done = run_suite(
                store,
                asked,
                name=results,
                device=chosen_device(device),
                workers=workers,
                on_training=on_training,
            )
        except KeyboardInterrupt:
            err.print(
                "stopped: what is finished is kept, and the same command goes on from here", style="yellow"
            )
            raise
    if as_json:
        typer.echo(json.dumps(results_frame(done.variants, done.selections).to_dicts()))
    if not as_json or tables or figures is not None:
        _tell(store, done, tables or [], figures, printed=not as_json)
    for failed in done.failed:
        err.print(f"{failed} failed: {done.untold[failed]}", style="red", markup=False, highlight=False)
    if done.failed:
        for line in asked.prepare:
            err.print(
                f"  wanted before it: {line}", style="dim", markup=False, highlight=False, soft_wrap=True
            )
        raise typer.Exit(1)


def _tell(
    store: Store, done: SuiteResult, tables: Sequence[Path], figures: Path | None, *, printed: bool
) -> None:
    """Print the tables, write them, draw; all from the same numbers."""
    from trainers.suites.suite_report import suite_report
    from trainers.suites.table_files import write_tables
    from trainers.suites.tables import print_tables, suite_grids, suite_notes
    from trainers.training_bar import training_bar

    with training_bar() as bar:
        total = len(done.variants) * (1 + len(done.selections))
        task = bar.add_task("comparing", total=total, told="")
        report = suite_report(done, on_step=lambda: bar.advance(task))
    if printed:
        print_tables(report)
    written = [write_tables(report, suite_grids(report), suite_notes(report), path) for path in tables]
    if figures is not None:
        from trainers.suites.figures import write_suite_figures

        written += write_suite_figures(report, figures)
    shown_in = console if printed else err
    for path in (store.files.url(done.path), *written):
        shown_in.print(f"written: {path}", highlight=False, soft_wrap=True)


def show_suite(asked: Suite, made: Mapping[str, Experiment]) -> None:
    """Print what each variant is, and what the suite wants in the store.

    Args:
        asked: the suite, with options on top.
        made: its experiments.
    """
    console.print(f"[bold]{asked.name}[/bold] {asked.title}", highlight=False)
    if asked.paper:
        console.print(f"  {asked.paper}", highlight=False)
    table = Table(title="Variants")
    columns = ("variant", "model", "slots", "corpora", "protocol", "profile", "seeds", "what else")
    for column in columns:
        table.add_column(column, no_wrap=column == "variant")
    for variant in asked.variants:
        one = made[variant.name]
        table.add_row(
            variant.name,
            one.model,
            ", ".join(one.slots),
            ", ".join(one.corpora) or "all",
            one.protocol,
            one.profile or "",
            ", ".join(map(str, one.seeds)),
            "; ".join(_else(variant, one)),
        )
    console.print(table)
    if asked.prepare:
        console.print("wanted in the store:", highlight=False)
    for line in asked.prepare:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _else(variant: Variant, one: Experiment) -> list[str]:
    told = [f"{key}={value}" for key, value in one.settings.items()]
    told += [f"begins from {' or '.join(variant.start)}"] if variant.start else []
    told += [f"adapted by {variant.adapt}"] if variant.adapt else []
    told += [f"needs {', '.join(variant.needs)}"] if variant.needs else []
    train = [*(variant.train_domains or one.train_corpora), *([one.train_on] if one.train_on else [])]
    told += [f"trains on {', '.join(train)}"] if train else []
    told += [f"rows weighed by {one.row_weights}"] if one.row_weights else []
    return told


def suites_table(names: list[str], as_json: bool) -> None:
    """Print the suites that come with the package."""
    from trainers.suites.suite import load_suite

    suites = [load_suite(name) for name in names]
    if as_json:
        told = [
            {"name": one.name, "title": one.title, "variants": [each.name for each in one.variants]}
            for one in suites
        ]
        typer.echo(json.dumps(told))
        return
    table = Table(title="Suites")
    for column in ("suite", "title", "variants", "besides scores", "paper"):
        table.add_column(column, no_wrap=column == "suite")
    for one in suites:
        more = [*(["parameters, FLOPs, latency"] if one.cost else [])]
        more += [f"slots missing at test, up to {one.drop[-1]:g}"] if one.drop else []
        more += ["relative change"] if one.relative else []
        variants = ", ".join(each.name for each in one.variants)
        table.add_row(one.name, one.title, variants, ", ".join(more), one.paper)
    console.print(table)
