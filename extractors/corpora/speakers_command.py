"""The command ``speakers``: whose labels were split, and whose utterances belong to nobody in particular."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from feature_repo.console import JsonOption, RootOption, Table, console
from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    from extractors.corpora.speaker_census import SpeakerCensus


def speakers(
    corpus: Annotated[str | None, typer.Argument(help="Only this corpus.", show_default="all")] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell who speaks: labels that stand for several people and were split, and labels of several people at once.

    Example: [cyan]affectstore speakers meld[/cyan]
    """
    from extractors.corpora.speaker_census import speaker_census
    from feature_repo.store import open_store

    store = open_store(root)
    manifest = store.manifest([corpus] if corpus else None)
    if manifest.is_empty():
        raise BadInputError(f"{store.root} has no utterances; start with `affectstore ingest CORPUS FOLDER`")
    found = speaker_census(manifest)
    if as_json:
        typer.echo(json.dumps([each.to_json() for each in found]))
        return
    for each in found:
        _tell(each)


def _tell(census: SpeakerCensus) -> None:
    counts = Table(title=f"Speakers of {census.corpus}", show_header=False)
    counts.add_column()
    counts.add_column()
    people = f"{census.people:,}"
    if census.in_dialogue:
        people += f", {census.in_dialogue:,} of them roles known in one dialogue only"
    counts.add_row("labels", f"{census.labels:,}")
    counts.add_row(
        "labels of several people at once",
        f"{len(census.composites):,} with {census.composite_utterances:,} utterances",
    )
    counts.add_row("labels of one person at a time", f"{census.names:,}")
    counts.add_row("people", people)
    counts.add_row("utterances without a label", f"{census.unlabelled:,}")
    console.print(counts)
    if census.composites:
        # A title above a narrow table would be broken at the table's width.
        console.print("[bold]Several people at once: no speaker id[/bold]")
        table = Table("label", "utterances")
        for label, utterances in census.composites.items():
            table.add_row(escape(label), f"{utterances:,}")
        console.print(table)
    _tell_several(census.split, "label", "people", "One label, several people: split")
    _tell_several(census.joined, "person", "labels", "One person, several labels: joined")


def _tell_several(found: Mapping[str, Mapping[str, int]], key: str, value: str, title: str) -> None:
    if not found:
        return
    console.print(f"[bold]{title}[/bold]")
    table = Table(key, value, f"{value} (utterances)")
    for name, values in found.items():
        listed = ", ".join(f"{each} ({utterances:,})" for each, utterances in values.items())
        table.add_row(escape(name), f"{len(values):,}", escape(listed))
    console.print(table)
