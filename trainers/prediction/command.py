"""The command ``predict``: what a trained model says of new clips, or of what is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feature_repo.console import CorpusOption, DeviceOption, JsonOption, RootOption, err
from feature_repo.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl

    from feature_repo.store import Store
    from trainers.prediction.new_clips import ComputeViews, Predicted
    from trainers.runs.run import Run

_INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended

# (files given, corpus, text=, speaker=, columns=) -> manifest rows
ReadClips = Callable[..., "pl.DataFrame"]


def add_commands(app: typer.Typer, read_clips: ReadClips, compute_views: ComputeViews) -> None:
    """Add ``predict`` to the command line.

    Args:
        app: the command line.
        read_clips: gives the manifest rows of clips and tables.
        compute_views: fills the views that extractors make.
    """

    @app.command()
    def predict(
        run: Annotated[
            str,
            typer.Argument(
                help="A finished run's key or its beginning; of a group of runs the mean is told."
            ),
        ],
        clips: Annotated[
            list[str] | None,
            typer.Argument(
                help="Audio, video or picture files, or tables of them (.csv, .tsv, .jsonl, .parquet) with the"
                " columns utterance_id and any of text, speaker_id, media_uri, dialogue_id, turn.",
                show_default=False,
            ),
        ] = None,
        text: Annotated[
            str | None,
            typer.Option(
                "--text", "-t", help="What is said in the one clip, or without one.", show_default=False
            ),
        ] = None,
        speaker: Annotated[
            str | None,
            typer.Option("--speaker", help="Who says it, as the store calls them.", show_default=False),
        ] = None,
        columns: Annotated[
            list[str] | None, typer.Option("--map", help="Of tables: MANIFEST_COLUMN=COLUMN; several times.")
        ] = None,
        corpus: CorpusOption = None,
        split: Annotated[
            list[str] | None,
            typer.Option("--split", help="With --corpus: only this split.", show_default="all"),
        ] = None,
        without: Annotated[
            list[str] | None,
            typer.Option("--without", help="Leave this slot of the run out; may be given several times."),
        ] = None,
        settings: Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                "-s",
                help="A setting of an extractor instead of the recorded one: where its model lies now,"
                " [cyan]sentence.model=FOLDER[/cyan].",
            ),
        ] = None,
        output: Annotated[
            Path | None,
            typer.Option(
                "--output", "-o", help="Write all of it to .csv, .parquet or .json.", show_default=False
            ),
        ] = None,
        device: DeviceOption = "auto",
        root: RootOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Predict new clips with a trained model: what the model reads is computed as it was in training, and not kept.

        Example: [cyan]affectstore predict 3f9a clip.mp4 --text "You did what?" --speaker Monica[/cyan]

        A table: [cyan]affectstore predict 3f9a calls.csv -o emotions.csv[/cyan]. What is stored already:
        [cyan]affectstore predict 3f9a --corpus meld --split test[/cyan]
        """
        from feature_repo.store import open_store
        from trainers.device import chosen_device
        from trainers.models import model_reads
        from trainers.prediction.new_clips import predict_stored
        from trainers.prediction.report import ENDINGS, show_prediction, with_notes, write_prediction
        from trainers.runs.groups import find_runs

        if output is not None and output.suffix not in ENDINGS:
            raise UnknownNameError("output format", output.suffix or output.name, ENDINGS)
        new = bool(clips) or text is not None
        if new == bool(corpus):
            raise BadInputError(
                "say what to predict: either clips, tables or a --text, or what is stored: --corpus NAME"
            )
        if split and not corpus:
            raise BadInputError("--split is of what is stored; name it with --corpus")
        given = _settings(settings or [])
        store = open_store(root)
        found = find_runs(store.files, run)
        if corpus:
            told = predict_stored(
                store,
                found.runs,
                corpora=corpus,
                splits=split or (),
                without=without or (),
                device=chosen_device(device),
            )
        else:
            from trainers.prediction.new_clips import CORPUS

            rows = read_clips(
                clips or [], CORPUS, text=text, speaker=speaker, columns=_pairs("--map", columns or [])
            )
            told = _predict_new(store, found.runs, rows, compute_views, without or (), given, device)
        if output is not None:
            write_prediction(told, output)
        if as_json:
            typer.echo(json.dumps(with_notes(told).to_dicts()))
        else:
            show_prediction(told, found, output)
        if told.rows["predicted"].null_count() and model_reads(found.first.record["trainer"]) == "rows":
            needed = ", ".join(found.first.record["slots"])
            err.print(
                f"{found.name} is an adapter: what it predicts must have all of {needed}", style="yellow"
            )
        if not told.rows["predicted"].count():
            err.print("nothing could be predicted", style="red")
            raise typer.Exit(1)


def _predict_new(
    store: Store,
    runs: Sequence[Run],
    rows: pl.DataFrame,
    compute_views: ComputeViews,
    without: Sequence[str],
    settings: Mapping[str, Mapping[str, str]],
    device: str,
) -> Predicted:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from trainers.device import chosen_device
    from trainers.prediction.new_clips import predict_new

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=err, transient=True)
    task = progress.add_task("computing", total=None)
    totals = 0

    def show_total(count: int) -> None:
        nonlocal totals
        totals += count
        progress.update(task, total=totals)

    try:
        with progress:
            return predict_new(
                store,
                runs,
                rows,
                compute_views,
                without=without,
                settings=settings,
                device=device,
                model_device=chosen_device(device),
                on_total=show_total,
                on_progress=lambda count: progress.advance(task, count),
                on_load=lambda name: progress.update(task, description=f"computing ({name})"),
            )
    except KeyboardInterrupt:
        err.print("interrupted; nothing was kept")
        raise typer.Exit(_INTERRUPTED) from None


def _settings(given: Sequence[str]) -> dict[str, dict[str, str]]:
    by_extractor: dict[str, dict[str, str]] = {}
    for setting in given:
        key, equals, value = setting.partition("=")
        extractor, dot, name = key.partition(".")
        if not (equals and dot and extractor and name):
            raise BadInputError(f"--set {setting!r}: must be extractor.key=value")
        by_extractor.setdefault(extractor, {})[name] = value
    return by_extractor


def _pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or key.strip() in pairs:
            raise BadInputError(f"{flag} {text!r}: expected KEY=VALUE, each key once")
        pairs[key.strip()] = value.strip()
    return pairs
