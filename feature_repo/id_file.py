"""A text file of ids, one a line, as people keep them."""

from pathlib import Path

from feature_repo.errors import BadInputError


def ids_in(path: Path) -> list[str]:
    """The ids in a text file, in its order; empty lines and spaces around an id are nothing.

    Raises:
        BadInputError: there is no such file, or it is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInputError(
            f"{path} can't be read: {reason}; a text file with one id a line is wanted"
        ) from error
    return [line.strip() for line in lines if line.strip()]
