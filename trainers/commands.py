"""The commands that learn: train on stored views, look at runs, store a run's hidden layer."""

from __future__ import annotations

from typing import Annotated

import typer

from feature_repo.console import (
    CorpusOption,
    DeviceOption,
    RootOption,
    console,
    err,
)

# Modalities that models read.
_READ = ("text", "speaker", "speech", "face", "joint")


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands to the command line."""
    from trainers.experiments.command import experiments
    from trainers.runs.command import runs
    from trainers.suites.command import suite
    from trainers.text_encoder.command import finetune
    from trainers.train_command import train

    for command in (train, experiments, suite, finetune, runs, embed):
        app.command()(command)


def embed(
    run: Annotated[str, typer.Argument(help="A finished run's key or its beginning.")],
    over: Annotated[
        str | None,
        typer.Option(help="Slot or view of sequences: apply the adapter to each step, such as each face."),
    ] = None,
    corpus: CorpusOption = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            "-p",
            help="Let this profile mean the new view by its slot; a new profile keeps what the other slots mean.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    root: RootOption = None,
) -> None:
    """Store a run's hidden layer as a view, for every utterance that has its inputs. Only what is missing.

    Example: [cyan]affectstore embed 3f9a --profile adapted[/cyan], then [cyan]affectstore train --slots text,speaker
    --profile adapted[/cyan]. Faces by frame: [cyan]affectstore embed 3f9a --over face_steps[/cyan]
    """
    from feature_repo.store import open_store
    from trainers.device import chosen_device
    from trainers.embed import embed as run_embedding
    from trainers.runs.run import find_run
    from trainers.training_bar import training_bar

    store = open_store(root)
    found = find_run(store.files, run)
    view = None
    if over is not None:
        # The profile that is to mean the result is not where its source is looked up: it may mean it already.
        elsewhere = [store.catalog.slots(name) for name in store.catalog.profiles() if name != profile]
        meant = {slots[over] for slots in elsewhere if over in slots}
        view = meant.pop() if len(meant) == 1 else store.resolve(over)
    with training_bar() as bar:
        task = bar.add_task("embed", total=None, told="")
        recipe, report = run_embedding(
            store,
            found,
            over=view,
            corpora=corpus,
            device=chosen_device(device),
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
        others = {}
        if profile not in store.catalog.profiles():
            # A new profile means by the other slots what they mean without one, so that it can be pulled from at once;
            # not by what quality control works on, of which `derive` wants one profile.
            settled = store.catalog.settled()
            others = {slot: view for slot, view in settled.items() if store.recipe(view).modality in _READ}
        store.catalog.set(profile, {**others, recipe.slot: recipe.view})
        console.print(f"profile [bold]{profile}[/bold] means it by {recipe.slot}", highlight=False)
