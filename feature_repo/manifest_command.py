"""The command that counts the unified manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feature_repo.console import CorpusOption, JsonOption, RootOption, Table, console

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from feature_repo.manifest_census import Census

DomainOption = Annotated[
    list[str] | None,
    typer.Option(
        "--domain",
        help="CORPUS=DOMAIN, where it is another than the name tells: acted, conversational, text, face or other;"
        " may be given several times.",
        show_default=False,
    ),
]


def manifest(
    corpus: CorpusOption = None,
    by: Annotated[
        Literal["corpus", "emotion", "language", "speaker"] | None,
        typer.Option("--by", help="Only these counts.", show_default="corpus, then emotion"),
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Speakers to show of each corpus.", min=1)] = 10,
    domain: DomainOption = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Draw the emotions of each corpus into this folder.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    root: RootOption = None,
) -> None:
    """Count all utterances: by corpus and domain, split, language, speaker, emotion; before label policies and after.

    Examples: [cyan]affectstore manifest[/cyan], [cyan]affectstore manifest --by speaker --top 5 -c meld[/cyan]
    """
    from feature_repo.manifest_census import census
    from feature_repo.option_pairs import option_pairs
    from feature_repo.store import open_store

    store = open_store(root)
    found = census(store.manifest(corpus), option_pairs("--domain", domain))
    if as_json:
        typer.echo(json.dumps(_as_json(found, top)))
        return
    if not found.corpora.height:
        console.print("no utterances yet: [cyan]affectstore ingest[/cyan] a corpus")
        return
    if by in (None, "corpus"):
        _print_corpora(found)
    if by in (None, "emotion"):
        print_emotions(found.emotions, ["corpus"], "Emotions, in utterances")
    if by == "language":
        _print_languages(found)
    if by == "speaker":
        _print_speakers(found, top)
    if figures is not None:
        from feature_repo.class_figure import write_class_figure

        for path in write_class_figure(found, figures):
            console.print(f"written: {path}", highlight=False, soft_wrap=True)


def print_emotions(counts: pl.DataFrame, names: Sequence[str], title: str) -> None:
    """Tell emotions in columns.

    Args:
        counts: ``names``, ``emotion`` and ``utterances``, in the order of the rows to print.
        names: columns that name a row.
        title: of the table.
    """
    from feature_repo.manifest_census import emotion_columns

    emotions = emotion_columns(counts["emotion"])
    table = Table(*names, title=title)
    for header in ("utterances", *emotions):
        table.add_column(header, justify="right")

    def add(key: Sequence[object], rows: pl.DataFrame) -> None:
        told: dict[str, int] = {}
        for emotion, utterances in rows.select("emotion", "utterances").iter_rows():
            told[emotion] = told.get(emotion, 0) + utterances
        cells = [count_cell(told.get(name)) for name in emotions]
        table.add_row(*(str(name) for name in key), f"{sum(told.values()):,}", *cells)

    groups = list(counts.group_by(names, maintain_order=True))
    for key, rows in groups:
        add(key, rows)
    if len(groups) > 1:
        table.add_section()
        add(["all", *[""] * (len(names) - 1)], counts)
    console.print(table)


def count_cell(count: int | None) -> str:
    """A count as a table shows it; nothing is a dot."""
    return f"{count:,}" if count else "·"


def _print_corpora(found: Census) -> None:
    counts = {
        "utterances": "utterances",
        "labelled": "labelled",
        **{name: name for name in ("train", "dev", "test")},
        "all": "no split",
        "speakers": "speakers",
        "no_speaker": "no speaker",
        "dialogues": "dialogues",
    }
    beside = found.corpora["paper"].null_count() < found.corpora.height
    table = Table("corpus", "domain", title="Corpora, in utterances")
    for header in counts.values():
        table.add_column(header, justify="right")
    table.add_column("languages")
    if beside:
        table.add_column("papers/003", justify="right")

    def add(name: str, domain: str, row: dict[str, int | None], languages: Sequence[str]) -> None:
        cells = [count_cell(row[column]) for column in counts]
        paper = [count_cell(row["paper"])] if beside else []
        table.add_row(name, domain, *cells, ", ".join(languages), *paper)

    for row in found.corpora.iter_rows(named=True):
        add(row["corpus"], row["domain"], row, row["languages"])
    if found.corpora.height > 1:
        table.add_section()
        totals = list(found.totals().iter_rows(named=True))
        for row in totals if len(totals) > 2 else totals[-1:]:  # one domain's is that of all
            add("all", row["domain"] or "", row, ())
    console.print(table)
    console.print(
        "labelled: with one of the seven emotions after the policies of `ingest`; the others stay in the manifest."
        + (" papers/003 section 1.4 counts before any policy." if beside else ""),
        style="dim",
        soft_wrap=True,
    )


def _print_languages(found: Census) -> None:
    table = Table("corpus", "language", title="Languages, in utterances")
    for header in ("utterances", "labelled"):
        table.add_column(header, justify="right")
    for corpus, language, utterances, labelled in found.languages.iter_rows():
        table.add_row(corpus, language or "not said", count_cell(utterances), count_cell(labelled))
    console.print(table)


def _print_speakers(found: Census, top: int) -> None:
    import polars as pl  # help needs none of it

    table = Table("corpus", "speaker", title=f"Speakers, the {top} who say most of each corpus")
    for header in ("utterances", "labelled", "share"):
        table.add_column(header, justify="right")
    for corpus, whole in found.corpora.select("corpus", "utterances").iter_rows():
        own = found.speakers.filter(pl.col("corpus") == corpus)
        known = own.drop_nulls("speaker_id")
        rows = known.head(top).rows()
        for who, others in (
            (f"{max(known.height - top, 0):,} others", known[top:]),
            ("nobody knows", own[known.height :]),
        ):
            if others.height:
                rows.append((corpus, who, others["utterances"].sum(), others["labelled"].sum()))
        for _, speaker, utterances, labelled in rows:
            share = f"{100 * utterances / whole:.1f} %"
            table.add_row(corpus, speaker, count_cell(utterances), count_cell(labelled), share)
    console.print(table)


def _as_json(found: Census, top: int) -> dict[str, object]:
    return {
        "corpora": found.corpora.to_dicts(),
        "domains": found.totals().to_dicts(),
        "emotions": found.emotions.to_dicts(),
        "languages": found.languages.to_dicts(),
        "speakers": found.speakers.drop_nulls("speaker_id")
        .group_by("corpus", maintain_order=True)
        .head(top)
        .to_dicts(),
    }
