"""The command that looks for the utterances most like others: ``similar``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feature_repo.console import (
    CorpusOption,
    EmotionOption,
    JsonOption,
    PartOption,
    ProfileOption,
    RootOption,
    SelectionOption,
    SpeakerOption,
    SplitOption,
    Table,
    VerdictOption,
    console,
    err,
)
from feature_repo.errors import BadInputError, StoreWriteError, UnknownNameError
from feature_repo.id_file import ids_in

if TYPE_CHECKING:
    import polars as pl

    from feature_repo.similarity import Query
    from feature_repo.store import Store

_SUFFIXES = (".csv", ".parquet", ".arrow")
_BAR = 10  # characters of a cosine of one
_BAR_FROM = 100  # queries, above which a bar tells how many are done
_SHOWN = 20  # queries whose neighbours are printed
_LEAST_TEXT = 16  # characters of a text; where the terminal has not so many, columns are left out
_SPARE = (" ", "split", "emotion", "speaker")  # in this order
_GAP = 2  # characters between columns


def similar(
    view: Annotated[
        str, typer.Argument(help="A slot such as text, speaker or face, or the name of a view; pooled ones.")
    ],
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--id", help="What is like this utterance? May be given several times.", show_default=False
        ),
    ] = None,
    id_file: Annotated[
        Path | None,
        typer.Option("--ids", help="The same for each id in this text file, one a line.", show_default=False),
    ] = None,
    vector: Annotated[
        Path | None,
        typer.Option(
            "--vector",
            help="What is like these vectors? A .npy file of the view's width, of one or of several.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many neighbours at most.", min=1)] = 10,
    at_least: Annotated[
        float,
        typer.Option(
            "--at-least",
            help="Leave out what is less similar, say below .95.",
            min=-1.0,
            max=1.0,
            show_default=False,
        ),
    ] = -1.0,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            help="Leave out what shares this with the query: dialogue, speaker, corpus or text. May be given several"
            " times.",
            show_default=False,
        ),
    ] = None,
    include_self: Annotated[
        bool, typer.Option("--include-self", help="Let an utterance find itself.")
    ] = False,
    corpus: CorpusOption = None,
    split: SplitOption = None,
    emotion: EmotionOption = None,
    speaker: SpeakerOption = None,
    selection: SelectionOption = None,
    part: PartOption = None,
    verdict: VerdictOption = None,
    profile: ProfileOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write to .csv, .parquet or .arrow.", show_default="print a table"
        ),
    ] = None,
    as_json: JsonOption = False,
    root: RootOption = None,
) -> None:
    """Find the utterances whose vectors are most like another's, by cosine: every one is compared, none approximated.

    Options such as [cyan]--corpus[/cyan] say where to look; the query itself may be anywhere.

    Examples: [cyan]affectstore similar speaker --id meld/train/dia0_utt0 -k 5 --exclude dialogue[/cyan]

    Near-duplicates of test texts in what is trained on: [cyan]affectstore similar text --ids test.txt --split train
    --at-least .98 -o twins.csv[/cyan]
    """
    from feature_repo.selection import Selection
    from feature_repo.similarity import pooled_view
    from feature_repo.store import open_store

    if output is not None and output.suffix not in _SUFFIXES:
        raise UnknownNameError("output format", output.suffix, _SUFFIXES)
    query = _query(ids, id_file, vector)
    store = open_store(root)
    chosen = pooled_view(store, view, profile)
    where = Selection.of_options(corpus, split, emotion, speaker, selection, part)
    found = _found(
        store,
        chosen,
        query,
        {
            "k": k,
            "where": where,
            "verdict": verdict,
            "exclude": list(exclude or ()),
            "include_self": include_self,
            "at_least": at_least,
        },
    )
    if output is not None:
        _save(found, output)
        console.print(
            f"wrote {found.height:,} neighbours (queries: {len(query):,}) to [bold]{output}[/bold]",
            soft_wrap=True,
        )
    elif as_json:
        import json  # the other ways need none of it

        typer.echo(json.dumps(found.to_dicts(), ensure_ascii=False))
    else:
        _print(found, query, store, chosen)


def _query(ids: list[str] | None, id_file: Path | None, vector: Path | None) -> Any:
    """Ids, or vectors ``[q, width]``."""
    given = [name for name, value in (("--id", ids), ("--ids", id_file), ("--vector", vector)) if value]
    if len(given) != 1:
        told = " and ".join(given) if given else "nothing"
        raise BadInputError(
            f"{told} was given to look for; allowed: one of --id ID, --ids FILE, --vector FILE"
        )
    if ids:
        return ids
    if id_file is not None:
        return ids_in(id_file)
    import numpy as np  # a tenth of a second; help needs none of it

    assert vector is not None
    try:
        found = np.load(vector, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInputError(f"{vector} is no .npy file of numbers") from error
    if not isinstance(found, np.ndarray):
        raise BadInputError(f"{vector} is an archive; a .npy file of one array is wanted")
    return np.atleast_2d(found)


def _found(store: Store, view: str, query: Query, options: dict[str, Any]) -> pl.DataFrame:
    count = len(query)  # type: ignore[arg-type]
    if count <= _BAR_FROM:
        return store.similar(view, query, **options)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("comparing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("queries", total=count)
        return store.similar(view, query, on_query=lambda: bar.advance(task), **options)


def _save(found: pl.DataFrame, output: Path) -> None:
    write: dict[str, Callable[[Path], object]] = {
        ".csv": found.write_csv,
        ".parquet": found.write_parquet,
        ".arrow": found.write_ipc,
    }
    try:
        write[output.suffix](output)
    except OSError as error:
        raise StoreWriteError(f"cannot write {output}: {error.strerror or error}") from error


def _print(found: pl.DataFrame, query: Any, store: Store, view: str) -> None:
    import polars as pl  # help needs none of it

    named = not hasattr(query, "shape")
    said: dict[str, str | None] = {}
    if named:
        rows = store.manifest().filter(pl.col("utterance_id").is_in(query[:_SHOWN]))
        said = dict(rows.select("utterance_id", "text").iter_rows())
    for number, name in enumerate(query[:_SHOWN]):
        rows = found.filter(query=name if named else number)
        title = f"{name}{_quoted(said.get(name))}" if named else f"vector {number}"
        _print_neighbours(rows, f"Nearest to {title} in {view}")
    if len(query) > _SHOWN:
        console.print(f"and {len(query) - _SHOWN:,} more queries: -o FILE writes all of them")


def _print_neighbours(rows: pl.DataFrame, title: str) -> None:
    from rich.text import Text  # help needs none of it

    if not rows.height:
        console.print(Text(f"{title}: nothing was found", style="bold"))
        return
    columns: dict[str, list[str]] = {
        "": [str(rank) for rank in rows["rank"]],
        "cosine": [f"{value:.3f}" for value in rows["similarity"]],
        " ": ["━" * round(max(0.0, value) * _BAR) for value in rows["similarity"]],
        "utterance": rows["utterance_id"].to_list(),
        "speaker": rows["speaker_id"].fill_null("").to_list(),
        "emotion": rows["emotion"].fill_null("").to_list(),
        "split": rows["split"].fill_null("").to_list(),
    }
    for spare in _SPARE:
        if _room(columns) < _LEAST_TEXT:
            del columns[spare]
    room = max(_room(columns), _LEAST_TEXT)
    columns["text"] = [_shortened(text or "", room) for text in rows["text"]]
    table = Table(title=Text(title))
    for header in columns:
        table.add_column(
            header.strip(), justify="right" if header in ("", "cosine") else "left", no_wrap=True
        )
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*map(Text, cells))  # Text: a text may hold what rich takes for markup
    console.print(table)


def _room(columns: dict[str, list[str]]) -> int:
    """Characters that these columns leave for a text."""
    return console.width - 1 - sum(_GAP + max(map(len, [name, *cells])) for name, cells in columns.items())


def _quoted(text: str | None) -> str:
    return f" “{_shortened(text, 60)}”" if text else ""


def _shortened(text: str, room: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= room else line[: room - 1].rstrip() + "…"
