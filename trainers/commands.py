"""The commands that learn: train on stored views, look at runs, store a run's hidden layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from feature_repo.console import (
    CorpusOption,
    DeviceOption,
    JsonOption,
    ProfileOption,
    RootOption,
    SchemeOption,
    VerdictOption,
    console,
    err,
)
from feature_repo.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from trainers.run import Run
    from trainers.train import Progress
    from trainers.training_data import Join
    from trainers.training_loop import Epoch


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands to the command line."""
    from trainers.text_encoder.command import finetune

    for command in (train, finetune, runs, embed):
        app.command()(command)


def train(
    slots: Annotated[
        str,
        typer.Option(
            "--slots",
            "-s",
            help="Slots or views, by commas: text,speaker; with a name of your own: raw=VIEW.",
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Adapters over vectors side by side: [cyan]mlp[/cyan], [cyan]kan[/cyan] (a learned B-spline on every"
            " edge), [cyan]mamba-adapter[/cyan] (over sequences). Fusion: [cyan]mamba[/cyan], [cyan]gated[/cyan],"
            " [cyan]token-transformer[/cyan], [cyan]cross-modal-transformer[/cyan]. [cyan]conversation[/cyan]: Mamba"
            " over the turns of a dialogue."
        ),
    ] = "mlp",
    protocol: Annotated[
        str,
        typer.Option(
            help="[cyan]official[/cyan]: the corpus's train, dev and test; [cyan]speaker-folds[/cyan]: every"
            " speaker is tested once, by a model that has not heard them."
        ),
    ] = "official",
    folds: Annotated[int, typer.Option(help="Number of folds for speaker-folds.")] = 4,
    only_fold: Annotated[
        list[int] | None, typer.Option("--fold", help="Only this fold; may be given several times.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, by commas; a run each.")] = "0,1,2",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting: lr=1e-4, class_weights.fear=15, ..."
        ),
    ] = None,
    join: Annotated[
        str | None,
        typer.Option(
            help="[cyan]inner[/cyan]: utterances that have every slot; [cyan]outer[/cyan]: that have any.",
            show_default="inner; outer for conversation",
        ),
    ] = None,
    corpus: CorpusOption = None,
    verdict: VerdictOption = None,
    labels: SchemeOption = "seven",
    profile: ProfileOption = None,
    device: DeviceOption = "auto",
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model on stored views and score it. A finished run is not run again, a killed one goes on.

    Example: [cyan]affectstore train --slots text --corpus meld --seeds 0,1,2[/cyan]

    Fusion by token: [cyan]affectstore train --model mamba --slots text_steps,face_steps,speaker --corpus meld --set
    class_weights.fear=15[/cyan]

    Without official splits: [cyan]affectstore train --slots speaker,speech --corpus ravdess --protocol
    speaker-folds --folds 4 --set selection=uar[/cyan]
    """
    from feature_repo.store import open_store
    from trainers.config import resolve
    from trainers.models import model_config

    # Checked before torch is imported, so that a slip is answered at once.
    config = resolve(model_config(model), settings or [])
    if join not in (None, "inner", "outer"):
        raise UnknownNameError("join", str(join), ("inner", "outer"))
    numbers = _seeds(seeds)
    store = open_store(root)
    names = [name.strip() for name in slots.split(",") if name.strip()]
    from trainers.run_tables import coverage_table, scores_table
    from trainers.train import train as run_training

    with _bar() as bar:
        done = run_training(
            store,
            names,
            config=config,
            protocol=protocol,
            folds=folds,
            only_folds=only_fold or (),
            seeds=numbers,
            corpora=corpus,
            labels=labels,
            profile=profile,
            verdict=verdict,
            join=cast("Join | None", join),
            device=_device(device),
            progress=_progress(bar, config.max_epochs, config.selection),
        )
    if as_json:
        typer.echo(json.dumps([dict(run.record) for run in done.runs]))
        return
    coverage_table(done)
    scores_table(done)


def runs(
    run: Annotated[
        str | None, typer.Argument(help="A run's key or its beginning.", show_default="all runs")
    ] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """List finished runs, or show one: settings with their sources, scores, confusion.

    Example: [cyan]affectstore runs[/cyan], then [cyan]affectstore runs 3f9a[/cyan]
    """
    from feature_repo.store import open_store
    from trainers.run import find_run, finished_runs
    from trainers.run_tables import run_tables, runs_table

    store = open_store(root)
    if run is not None:
        found = find_run(store.files, run)
        if as_json:
            typer.echo(json.dumps(dict(found.record)))
        else:
            run_tables(found)
        return
    every = finished_runs(store.files)
    if as_json:
        typer.echo(json.dumps([dict(one.record) for one in every]))
        return
    if not every:
        console.print("no runs yet; [cyan]affectstore train --help[/cyan] shows how to make one")
        return
    runs_table(every)


def embed(
    run: Annotated[str, typer.Argument(help="A finished run's key or its beginning.")],
    over: Annotated[
        str | None,
        typer.Option(help="Slot or view of sequences: apply the adapter to each step, such as each face."),
    ] = None,
    corpus: CorpusOption = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", "-p", help="Let this profile mean the new view by its slot."),
    ] = None,
    device: DeviceOption = "auto",
    root: RootOption = None,
) -> None:
    """Store a run's hidden layer as a view, for every utterance that has its inputs. Only what is missing.

    Example: [cyan]affectstore embed 3f9a --profile adapted[/cyan], then [cyan]affectstore train --slots text,speaker
    --profile adapted[/cyan]. Faces by frame: [cyan]affectstore embed 3f9a --over face_steps[/cyan]
    """
    from feature_repo.store import open_store
    from trainers.embed import embed as run_embedding
    from trainers.run import find_run

    store = open_store(root)
    found = find_run(store.files, run)
    view = None if over is None else store.resolve(over)
    with _bar() as bar:
        task = bar.add_task("embed", total=None, told="")
        recipe, report = run_embedding(
            store,
            found,
            over=view,
            corpora=corpus,
            device=_device(device),
            on_total=lambda total: bar.update(task, total=total),
            on_progress=lambda count: bar.advance(task, count),
        )
    filled = report.views[recipe.view]
    console.print(f"[bold]{recipe.view}[/bold] {recipe.width} wide, from run {found.key}")
    console.print(
        f"{filled.computed} computed, {filled.copied} copied, {filled.up_to_date} were there, {filled.faulted} failed,"
        f" {filled.skipped_faults} failed before"
    )
    for reason, count in report.faults_by_reason.most_common():
        err.print(f"{count} x {reason}", style="yellow", markup=False)
    if report.everything_failed:
        raise typer.Exit(1)
    if profile is not None:
        store.catalog.set(profile, {recipe.slot: recipe.view})
        console.print(f"profile [bold]{profile}[/bold] means it by {recipe.slot}", highlight=False)


def _bar() -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )


def _progress(bar: Bar, max_epochs: int, selection: str) -> Progress:
    from trainers.train import Progress

    tasks: list[TaskID] = []

    def on_begin(seed: int, fold: int, key: str, identity: Mapping[str, Any]) -> None:
        tasks.append(bar.add_task(f"seed {seed}, fold {fold + 1}", total=max_epochs, told=""))

    def on_end(run: Run, trained: bool) -> None:
        if trained:
            bar.remove_task(tasks.pop())
        else:
            record = run.record
            err.print(
                f"run {run.key} (seed {record['seed']}, fold {record['fold'] + 1}) was finished before",
                style="dim",
                highlight=False,
            )

    def on_epoch(epoch: Epoch) -> None:
        told = f"epoch {epoch.number}, validation {selection} {getattr(epoch, selection):.4f}"
        bar.update(tasks[-1], completed=epoch.number, told=told)

    return Progress(on_begin, on_epoch, on_end)


def _seeds(given: str) -> list[int]:
    try:
        numbers = [int(seed) for seed in given.split(",")]
    except ValueError:
        raise BadInputError(f"seeds {given!r}; allowed: whole numbers by commas, such as 0,1,2") from None
    if len(set(numbers)) != len(numbers) or min(numbers) < 0:
        raise BadInputError(f"seeds {given!r}; allowed: 0 or more, each once")
    return numbers


def _device(name: str) -> str:
    import torch  # after the store answered: it takes seconds

    if name not in ("auto", "cpu", "cuda"):
        raise BadInputError(f"device {name!r}; allowed: auto, cpu, cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInputError("device 'cuda': torch finds no GPU here; allowed: auto, cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
