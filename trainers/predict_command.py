"""The command ``predict``: what a trained model says of new clips, or of what is stored."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_repo.console import CorpusOption, DeviceOption, JsonOption, RootOption, Table, console, err
from feature_repo.errors import BadInputError, StoreWriteError, UnknownNameError

if TYPE_CHECKING:
    import polars as pl

    from feature_repo.store import Store
    from trainers.new_clips import ComputeViews, Predicted
    from trainers.run import Run

_SHOWN = 20  # rows on a terminal, and reasons
_INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
_ENDINGS = (".csv", ".parquet", ".json")

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
        run: Annotated[str, typer.Argument(help="A finished run's key or its beginning.")],
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
        from trainers.models import model_reads
        from trainers.new_clips import predict_stored
        from trainers.run import find_run

        if output is not None and output.suffix not in _ENDINGS:
            raise UnknownNameError("output format", output.suffix or output.name, _ENDINGS)
        new = bool(clips) or text is not None
        if new == bool(corpus):
            raise BadInputError(
                "say what to predict: either clips, tables or a --text, or what is stored: --corpus NAME"
            )
        if split and not corpus:
            raise BadInputError("--split is of what is stored; name it with --corpus")
        given = _settings(settings or [])
        store = open_store(root)
        found = find_run(store.files, run)
        if corpus:
            told = predict_stored(
                store,
                found,
                corpora=corpus,
                splits=split or (),
                without=without or (),
                device=_device(device),
            )
        else:
            from trainers.new_clips import CORPUS

            rows = read_clips(
                clips or [], CORPUS, text=text, speaker=speaker, columns=_pairs("--map", columns or [])
            )
            told = _predict_new(store, found, rows, compute_views, without or (), given, device)
        if output is not None:
            _write(told, output)
        if as_json:
            typer.echo(json.dumps(_with_notes(told).to_dicts()))
        else:
            _show(told, found, output)
        if told.rows["predicted"].null_count() and model_reads(found.record["trainer"]) == "rows":
            needed = ", ".join(found.record["slots"])
            err.print(
                f"run {found.key} is an adapter: what it predicts must have all of {needed}", style="yellow"
            )
        if not told.rows["predicted"].count():
            err.print("nothing could be predicted", style="red")
            raise typer.Exit(1)


def _predict_new(
    store: Store,
    run: Run,
    rows: pl.DataFrame,
    compute_views: ComputeViews,
    without: Sequence[str],
    settings: Mapping[str, Mapping[str, str]],
    device: str,
) -> Predicted:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from trainers.new_clips import predict_new

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
                run,
                rows,
                compute_views,
                without=without,
                settings=settings,
                device=device,
                model_device=_device(device),
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


def _device(name: str) -> str:
    from trainers.commands import _device as chosen

    return chosen(name)


def _with_notes(told: Predicted) -> pl.DataFrame:
    import polars as pl

    return told.rows.with_columns(note=pl.Series(told.notes(), dtype=pl.String))


def _write(told: Predicted, output: Path) -> None:
    frame = _with_notes(told)
    staged = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        if output.suffix == ".csv":
            frame.write_csv(staged)
        elif output.suffix == ".parquet":
            frame.write_parquet(staged)
        else:
            frame.write_json(staged)
        staged.replace(output)
    except OSError as error:
        raise StoreWriteError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        staged.unlink(missing_ok=True)


def _show(told: Predicted, run: Run, output: Path | None) -> None:
    """The first rows, what was lacking and why, and counts."""
    slots = [name.removeprefix("present_") for name in told.rows.columns if name.startswith("present_")]
    table = Table("utterance", "predicted")
    for name in ("p", "next", "p"):
        table.add_column(name, justify="right" if name == "p" else "left")
    table.add_column("from")
    for row in told.rows.head(_SHOWN).iter_rows(named=True):
        table.add_row(*_cells(row, run.record["classes"], slots))
    console.print(table)
    predicted = told.rows["predicted"].drop_nulls()
    more = told.rows.height - _SHOWN
    if more > 0:
        where = "" if output else "; --output FILE writes all"
        console.print(f"... and {more:,} more{where}", style="dim", highlight=False)
    counts = predicted.value_counts(sort=True).sort(["count", "predicted"], descending=[True, False])
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.iter_rows())
    of = f"{predicted.len():,} of {told.rows.height:,} predicted"
    if told.rows.height > 1:
        console.print(f"{of}{': ' if listed else ''}{listed}", highlight=False)
    _show_absent(told)
    for remark in told.remarks:
        err.print(remark, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if output:
        console.print(f"wrote [bold]{output}[/bold]", highlight=False, soft_wrap=True)


def _cells(row: Mapping[str, Any], classes: Sequence[str], slots: Sequence[str]) -> list[str]:
    from rich.markup import escape

    name = escape(row["utterance_id"])
    there = ", ".join(slot for slot in slots if row[f"present_{slot}"]) or "nothing"
    if row["predicted"] is None:
        return [name, "[yellow]not predicted[/yellow]", "", "", "", there]
    first, second = sorted(classes, key=lambda each: -row[f"p_{each}"])[:2]
    return [
        name,
        f"[bold]{first}[/bold]",
        f"{row[f'p_{first}']:.2f}",
        second,
        f"{row[f'p_{second}']:.2f}",
        there,
    ]


def _show_absent(told: Predicted) -> None:
    """What utterances lack, those of one reason in one line."""
    slots_of: dict[tuple[str, str], list[str]] = {}
    for slot, reasons in told.absent.items():
        for utterance_id, reason in reasons.items():
            slots_of.setdefault((utterance_id, reason), []).append(slot)
    lines: dict[tuple[str, str], list[str]] = {}
    for (utterance_id, reason), lacking in slots_of.items():
        lines.setdefault((", ".join(lacking), reason), []).append(utterance_id)
    for number, ((slots, reason), ids) in enumerate(lines.items()):
        if number == _SHOWN:
            err.print(f"... and {len(lines) - _SHOWN:,} more reasons", style="yellow", highlight=False)
            break
        who = ids[0] if len(ids) == 1 else f"{len(ids):,} utterances, such as {ids[0]}"
        err.print(
            f"{who}: no {slots}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
