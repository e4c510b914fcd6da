"""The commands ``export`` and ``import``: to other programs and from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_repo.exchange.export_command import export
from feature_repo.exchange.import_command import import_file

if TYPE_CHECKING:
    import typer


def add_commands(app: typer.Typer) -> None:
    """Add ``export`` and ``import`` to the command line."""
    app.command()(export)
    app.command("import")(import_file)
