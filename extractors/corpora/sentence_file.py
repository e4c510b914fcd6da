"""A table of what is said, for corpora whose own files do not tell it: some columns that identify, and the text."""

from collections.abc import Callable, Sequence
from pathlib import Path

from extractors.corpora.delimited import require_columns
from extractors.corpora.table_file import read_table_file
from feature_repo.errors import BadInputError

TEXT = "text"
Key = tuple[str, ...]


def read_sentences(path: Path, columns: Sequence[str], key_of: Callable[..., Key]) -> dict[Key, str]:
    """Key to sentence; rows without a text are left out.

    Args:
        path: a CSV, TSV, JSON Lines or Parquet file.
        columns: those that identify a sentence; the column ``text`` holds it.
        key_of: the key of a row, from its cells of those columns as stripped texts; may raise ValueError.

    Raises:
        UnknownNameError: a column that is missing.
        BadInputError: no such file, a key that is refused, or two sentences of one key (named by file and line).
    """
    if not path.exists():
        raise BadInputError(
            f"{path} does not exist; expected a table with the columns {', '.join(columns)}, text"
        )
    table = read_table_file(path)
    require_columns(path, table.frame.columns, (*columns, TEXT))
    found: dict[Key, str] = {}
    for row, cells in enumerate(table.frame.select(*columns, TEXT).iter_rows()):
        *identity, text = ("" if cell is None else str(cell).strip() for cell in cells)
        if not text:
            continue
        try:
            key = key_of(*identity)
        except ValueError as error:
            raise BadInputError(f"{table.where(row)}: {error}") from error
        if found.setdefault(key, text) != text:
            raise BadInputError(f"{table.where(row)}: a second sentence for {', '.join(identity)}: {text!r}")
    return found


def beside(folder: Path, given: str, names: Sequence[str]) -> Path | None:
    """The file that an option names, else the first of the usual names in the folder or the one above; else None.

    Args:
        folder: the corpus's folder.
        given: the option's value: a path, taken from the working directory, else from the corpus's folder; ``""``
            is none.
        names: what such a file is usually called.
    """
    if given:
        path = Path(given).expanduser()
        return path.absolute() if path.exists() or path.is_absolute() else folder / path
    places = [place / name for place in (folder, folder.parent) for name in names]
    return next((path for path in places if path.is_file()), None)
