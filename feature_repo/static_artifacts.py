"""What Feast's own feature server loads when it starts in this folder: a refusal to listen where everyone may ask.

``feast serve`` calls ``load_artifacts`` of a file of this name before it answers. Without, ``feast serve -h 0.0.0.0``
would hand out voices and faces, and take new ones, without asking who is there.
"""

import os
import sys
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError
from feature_repo.serving.addresses import check_address

_NO_NEW_WORKER = 4  # gunicorn's word for an application that can't be loaded; after others it tries for ever


def load_artifacts(app: Any) -> None:
    """End a server that ``feast serve`` was told to open to others without authentication and TLS.

    Args:
        app: the application; nothing is added to it.
    """
    import click  # Feast's command line stands on it

    context = click.get_current_context(silent=True)
    if context is None or context.command.name != "serve":
        return  # `affectstore serve` has asked already
    given = context.params
    cert, key = (Path(given[name]) if given.get(name) else None for name in ("tls_cert_path", "tls_key_path"))
    try:
        check_address(given["host"], _authentication(context), cert, key)
    except BadInputError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.stderr.flush()
        os._exit(_NO_NEW_WORKER)  # Feast takes an exception for a warning


def _authentication(context: Any) -> str:
    from feast.repo_config import load_repo_config

    config = load_repo_config(context.obj["CHDIR"], context.obj["FS_YAML_FILE"])
    return str(config.auth_config.type)
