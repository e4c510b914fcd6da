"""Feast's own commands that serve, held to the same rule as ours: nothing is open to others without protection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from feature_repo.serving.addresses import check_address


def check_plain_command(name: str) -> None:
    """Do nothing, unless the Feast command of this name is running and would serve whoever can reach the machine.

    Args:
        name: ``serve`` or ``serve_offline``; our own commands have asked already.

    Raises:
        BadInputError: half of a certificate, a file that is not there, or an open address without either protection.
    """
    import click  # Feast's command line stands on it

    context = click.get_current_context(silent=True)
    if context is None or context.command.name != name:
        return
    given = context.params
    cert, key = (Path(given[name]) if given.get(name) else None for name in ("tls_cert_path", "tls_key_path"))
    check_address(given["host"], _authentication(context), cert, key)


def _authentication(context: Any) -> str:
    from feast.repo_config import load_repo_config

    config = load_repo_config(context.obj["CHDIR"], context.obj["FS_YAML_FILE"])
    return str(config.auth_config.type)
