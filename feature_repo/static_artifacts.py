"""What Feast's own feature server loads when it starts in this folder: a refusal to listen where everyone may ask.

``feast serve`` calls ``load_artifacts`` of a file of this name before it answers. Without, ``feast serve -h 0.0.0.0``
would hand out voices and faces, and take new ones, without asking who is there.
"""

import os
import sys
from typing import Any

from feature_repo.errors import BadInputError
from feature_repo.serving.plain_commands import check_plain_command

_NO_NEW_WORKER = 4  # gunicorn's word for an application that can't be loaded; after others it tries for ever


def load_artifacts(app: Any) -> None:
    """End a server that ``feast serve`` was told to open to others without authentication and TLS.

    Args:
        app: the application; nothing is added to it.
    """
    try:
        check_plain_command("serve")
    except BadInputError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.stderr.flush()
        os._exit(_NO_NEW_WORKER)  # Feast takes an exception for a warning
