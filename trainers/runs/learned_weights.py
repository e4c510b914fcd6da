"""Which runs learned a model's weights: a note in the store by the weights' digest, wherever the folder lies."""

from __future__ import annotations

import json

from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer

MODELS = "models"
_NOTES = f"{MODELS}/learned"


def runs_of_weights(files: FileLayer, weights: str) -> list[str]:
    """Keys of the runs that ended with weights of this digest, as recipes name it; none for weights from elsewhere.

    Raises:
        BadInputError: the note is unreadable.
    """
    path = _path(weights)
    try:
        return [str(key) for key in json.loads(files.read(path))["runs"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{files.url(path)} is unreadable: {error}") from error


def note_weights(files: FileLayer, weights: str, run: str) -> None:
    """Remember that the run ended with weights of this digest.

    Two runs may: of the same texts and seed, when a longer one keeps an earlier checkpoint.
    """
    runs = sorted({*runs_of_weights(files, weights), run})
    files.write(_path(weights), (json.dumps({"weights": weights, "runs": runs}, indent=2) + "\n").encode())


def _path(weights: str) -> str:
    return f"{_NOTES}/{weights}.json"
