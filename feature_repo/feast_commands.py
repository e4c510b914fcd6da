"""The commands that speak to Feast: register what is stored, fill the online store, look up from it."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape

import feature_repo.serving.commands as serving_commands
from feature_repo.console import JsonOption, ProfileOption, RootOption, Table, console, err

_SHOWN = 4  # entries of a list that a table has room for


def add_commands(app: typer.Typer) -> None:
    """Add the Feast commands to the command line."""
    for command in (register, materialize, lookup):
        app.command()(command)
    serving_commands.add_commands(app)


def register(root: RootOption = None) -> None:
    """Register every view in Feast, with a service for each combination of a profile's modalities.

    Example: [cyan]affectstore register[/cyan]
    """
    from feature_repo.store import open_store

    store = open_store(root)
    with err.status("registering in Feast"):
        from feature_repo.registry import register as register_views

        done = register_views(store)
    table = Table(
        "service",
        "views",
        title=f"{len(done.views)} views, {len(done.services)} services",
        title_justify="left",
    )
    for name, views in sorted(done.services.items()):
        table.add_row(name, ", ".join(views))
    console.print(table)


def materialize(
    slots: Annotated[
        list[str] | None, typer.Argument(help="Slots or views.", show_default="all but sequences")
    ] = None,
    profile: ProfileOption = None,
    root: RootOption = None,
) -> None:
    """Load the live rows into Feast's online store; only what changed since the last time is loaded.

    Example: [cyan]affectstore materialize text speaker[/cyan]
    """
    from feature_repo.store import open_store

    store = open_store(root)
    with err.status("materializing"):
        from feature_repo.online import materialize as materialize_views

        done = materialize_views(store, slots, profile=profile)
    for view, rows in done.rows.items():
        console.print(f"{view}: {rows:,} rows" if rows else f"{view}: up to date")


def lookup(
    slots: Annotated[str, typer.Argument(help="Slots or views, with commas: text,speaker.")],
    ids: Annotated[list[str], typer.Argument(help="Utterance ids; speaker ids for a table about speakers.")],
    profile: ProfileOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look utterances, or speakers, up in Feast's online store, as a server would answer.

    Example: [cyan]affectstore lookup text,speaker meld/train/dia0_utt0[/cyan]
    """
    from feature_repo.store import open_store

    store = open_store(root)
    with err.status("asking Feast"):
        from feature_repo.online import lookup as look_up

        found = look_up(store, slots.split(","), ids, profile=profile)
    if as_json:
        typer.echo(json.dumps(found.to_dict(as_series=False)))
        return
    table = Table(*found.columns)
    for row in found.iter_rows():
        table.add_row(*(_shortened(value) for value in row))
    console.print(table)


def _shortened(value: object) -> str:
    if value is None:
        return "[yellow]absent[/yellow]"
    if not isinstance(value, list):
        return escape(str(value))  # words in brackets are words
    shown = [f"{each:.4f}" if isinstance(each, float) else str(each) for each in value[:_SHOWN]]
    more = ["..."] if len(value) > _SHOWN else []
    return escape(f"[{', '.join(shown + more)}] ({len(value)})")
