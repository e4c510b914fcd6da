"""The files of a corpus below its folder: what counts as one, and which of several copies."""

import filecmp
from collections.abc import Callable, Iterable
from pathlib import Path

from feature_repo.errors import BadInputError

_POINTER = b"version https://git-lfs"  # how a file begins that Git LFS has not fetched yet
_POINTER_SIZE = 1024  # bytes; pointers have about 130


def files_below(folder: Path, *suffixes: str) -> list[Path]:
    """Files at any depth, sorted; what macOS leaves behind (``._name``, ``__MACOSX``) is none.

    Args:
        folder: where to look.
        suffixes: in lower case, such as ``.png``.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and path.name[0] != "." and "__MACOSX" not in path.parts
    )


def one_copy_each(paths: Iterable[Path], name_of: Callable[[Path], str]) -> dict[str, Path]:
    """Name to file, sorted by name; of equal copies the one that lies least deep (archives hold corpora twice).

    Args:
        paths: the files.
        name_of: what a file is called in the corpus.

    Raises:
        BadInputError: two different files of one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: (len(path.parts), path)):
        first = found.setdefault(name_of(path), path)
        if first != path and not filecmp.cmp(first, path, shallow=False):
            raise BadInputError(f"{first} and {path} are different files of one name")
    return dict(sorted(found.items()))


def unfetched(paths: Iterable[Path]) -> list[Path]:
    """Those of the files that are only pointers, because ``git lfs pull`` was not run."""
    return [path for path in paths if path.stat().st_size < _POINTER_SIZE and _is_pointer(path)]


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as source:
        return source.read(len(_POINTER)) == _POINTER
