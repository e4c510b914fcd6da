"""The commands that bring utterances in: ``ingest``, ``corpora``, ``speakers``, ``stand-in``, and ``demo``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_repo.console import RootOption, Table, console, err
from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from extractors.corpora.reader import Reader
    from feature_repo.manifest_store import IngestReport


def add_commands(app: typer.Typer) -> None:
    """Add ``ingest``, ``corpora``, ``speakers``, ``stand-in`` and ``demo`` to the command line."""
    from extractors.corpora.speakers_command import speakers
    from extractors.corpora.stand_ins.command import stand_in

    for command in (ingest, corpora, speakers, stand_in, demo):
        app.command()(command)


def ingest(
    corpus: Annotated[str, typer.Argument(help="A reader; see [cyan]affectstore corpora[/cyan].")],
    folder: Annotated[Path, typer.Argument(help="Where the corpus lies; for [cyan]table[/cyan] the file.")],
    media: Annotated[
        str | None,
        typer.Option("--media", help="Folder of the clips, where it is another.", show_default=False),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--option", "-o", help="KEY=VALUE, an option of the reader; may be given several times."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="For [cyan]table[/cyan]: MANIFEST_COLUMN=COLUMN; several times."),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", help="For [cyan]table[/cyan]: LABEL=EMOTION, or LABEL=drop; several times."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Another name for the corpus: its ids start with it.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", help="Its terms, which go with every export.", show_default="the reader's"),
    ] = None,
    shareable: Annotated[
        bool | None,
        typer.Option(
            "--shareable/--not-shareable",
            help="Whether these terms let it be passed on.",
            show_default="the reader's",
        ),
    ] = None,
    root: RootOption = None,
) -> None:
    """Read a corpus into the store: one manifest row per utterance. Again after a change: only what differs counts.

    Example: [cyan]affectstore ingest meld /data/MELD --media /data/MELD.Raw[/cyan]

    Your own: [cyan]affectstore ingest table calls.csv --name calls --map utterance_id=id --map text=words[/cyan]
    """
    from extractors.corpora.registry import reader
    from extractors.corpora.stand_ins.stand_in import MADE_UP, name_in_store, stand_in_corpus
    from feature_repo.store import open_store
    from feature_repo.terms import Terms

    found = reader(corpus)
    given: dict[str, Any] = {}
    for text in options or ():
        key, value = _pair("--option", text)
        _set_once(given, key, value, f"--option {key}")
    if media is not None:
        _set_once(given, "media", media, "--media")
    if columns:
        given["map"] = _pairs("--map", columns)
    if labels:
        given["label"] = _pairs("--label", labels, last=True)
    if not found.renamed:
        name = name_in_store(found.name, folder, name)
    store = open_store(root)
    rows = found.read(folder, name=name, **given)
    with _hashing(rows) as on_file:
        terms = found.terms if stand_in_corpus(folder) is None else MADE_UP
        if licence is not None or shareable is not None:
            # Whether other terms allow it is for who states them to say: the reader's answer was to its own.
            terms = Terms(licence or terms.licence, shareable)
        report = store.write_manifest(name or found.name, rows, on_file, terms)
    _tell(report, store.manifest([report.corpus]))


def corpora(
    name: Annotated[str | None, typer.Argument(help="Only this reader.", show_default="all")] = None,
) -> None:
    """List the corpora that can be read, with their files, licences and options.

    Example: [cyan]affectstore corpora meld[/cyan]
    """
    from extractors.corpora.registry import reader, reader_names

    for found in [reader(name)] if name else [reader(known) for known in reader_names()]:
        _describe(found)


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where corpus and store are put.")] = Path("demo"),
) -> None:
    """Go the whole way on a small made-up corpus, printing every command: ingest, extract, judge, pull, train.

    Run it again: nothing is computed twice. Example: [cyan]affectstore demo --folder /tmp/demo[/cyan]
    """
    from extractors.demo import run_demo

    raise typer.Exit(0 if run_demo(folder) else 1)


def _pair(flag: str, text: str, *, last: bool = False) -> tuple[str, str]:
    key, equals, value = text.rpartition("=") if last else text.partition("=")
    if not equals or not key.strip():
        raise BadInputError(f"{flag} {text!r}: expected KEY=VALUE")
    return key.strip(), value.strip()


def _pairs(flag: str, texts: Sequence[str], *, last: bool = False) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, value = _pair(flag, text, last=last)
        _set_once(pairs, key, value, f"{flag} {key}")
    return pairs


def _set_once(given: dict[str, Any], key: str, value: str, what: str) -> None:
    if given.get(key, value) != value:
        raise BadInputError(f"{what} is given twice: {given[key]!r} and {value!r}")
    given[key] = value


@contextmanager
def _hashing(rows: pl.DataFrame) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error while media are looked at, if there are any."""
    from rich.progress import Progress

    files = rows["media_uri"].drop_nulls().n_unique() if "media_uri" in rows.columns else 0
    with Progress(console=err, transient=True, disable=not files) as progress:
        task = progress.add_task("media files", total=files)
        yield lambda done: progress.advance(task, done)


def _tell(report: IngestReport, manifest: pl.DataFrame) -> None:
    table = Table(title=f"Corpus {report.corpus}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row("utterances", f"{report.total:,}")
    table.add_row("by split", _counts(manifest, "split"))
    table.add_row("by emotion", _counts(manifest, "emotion", "left out or unlabelled"))
    for title, column in (("with text", "text"), ("with media", "media_uri"), ("speakers", "speaker_id")):
        filled = manifest[column].drop_nulls()
        table.add_row(title, f"{filled.n_unique() if column == 'speaker_id' else filled.len():,}")
    missing = f"{report.missing_media:,}"
    table.add_row("missing media files", f"[red]{missing}[/red]" if report.missing_media else missing)
    if report.forgotten:
        table.add_row("forgotten on purpose, stay out", f"{report.forgotten:,}")
    changes = f"{report.added:,} added, {report.changed:,} changed, {report.removed:,} removed"
    table.add_row(f"since the last ingest (generation {report.generation})", changes)
    console.print(table)
    if report.missing_media:
        err.print("[yellow]missing files become faults when features are extracted from them[/yellow]")


def _counts(manifest: pl.DataFrame, column: str, none: str = "none") -> str:
    counts = (
        manifest[column]
        .value_counts(sort=True)
        .sort(["count", column], descending=[True, False], nulls_last=True)
    )
    return ", ".join(
        f"{value if value is not None else none} {count:,}" for value, count in counts.iter_rows()
    )


def _describe(found: Reader) -> None:
    console.print(f"[bold]{found.name}[/bold]  {found.licence}; {found.terms.told}", highlight=False)
    console.print(f"  reads {found.layout}", highlight=False, markup=False, soft_wrap=True)
    for item in found.describe_options():
        default = f" (default {item.default})" if item.default else ""
        console.print(
            f"  {item.name}={item.allowed}  {item.help}{default}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
