"""The command ``suite``: an experiment in several variants, trained for every seed, compared, measured."""

from __future__ import annotations

import json
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
)
from trainers.experiments.options import (
    FoldsOption,
    OnlyFoldOption,
    ProtocolOption,
    SeedsOption,
    SetOption,
    SlotsOption,
    TrainJoinOption,
    given_values,
)

if TYPE_CHECKING:
    from trainers.config import TrainingConfig
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
    profile: ProfileOption = None,
    results: Annotated[
        str | None,
        typer.Option("--as", help="Name of the results' file below suites/.", show_default="the suite's"),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Draw the scores, and curves where there are, into this folder.")
    ] = None,
    device: DeviceOption = "auto",
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the variants of a suite and compare them. What is finished is not run again: stop it as you like.

    Example: [cyan]affectstore suite depth --slots text,speaker,speech --corpus ravdess --protocol speaker-folds --set
    lr=1e-3[/cyan]

    On the paper's data: [cyan]affectstore suite mamba-or-transformer --experiment meld-t-v-a[/cyan]
    """
    from trainers.suites.suite import load_suite, suite_names

    if name is None:
        suites_table(suite_names(), as_json)
        return
    from feature_repo.store import open_store
    from trainers.experiments.experiment import load_experiment

    # Checked before torch is imported, so that a slip is answered at once.
    asked = load_suite(name)
    if experiment is not None:
        asked = asked.changed(load_experiment(experiment).values())
    asked = asked.changed(given_values(context), settings or [])
    asked.experiments()
    store = open_store(root)
    from trainers.device import chosen_device
    from trainers.suites.suite_run import results_frame, run_suite
    from trainers.suites.tables import suite_tables
    from trainers.training_bar import shown, training_bar

    with training_bar() as bar:

        def on_training(what: str, config: TrainingConfig) -> Progress:
            return shown(bar, config.max_epochs, config.selection, what)

        done = run_suite(store, asked, name=results, device=chosen_device(device), on_training=on_training)
    written = []
    if figures is not None:
        from trainers.suites.figures import write_suite_figures

        written = write_suite_figures(done, figures)
    if as_json:
        typer.echo(json.dumps(results_frame(done.variants).to_dicts()))
        return
    suite_tables(done)
    for path in (store.files.url(done.path), *written):
        console.print(f"written: {path}", highlight=False, soft_wrap=True)


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
        variants = ", ".join(each.name for each in one.variants)
        table.add_row(one.name, one.title, variants, ", ".join(more), one.paper)
    console.print(table)
