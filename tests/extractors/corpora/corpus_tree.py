"""Folders in a corpus's layout for tests of names alone: each file holds its own name."""

from collections.abc import Iterable
from pathlib import Path


def tree(folder: Path, names: Iterable[str]) -> Path:
    """Write files that hold their own file name, so that copies of one are equal and others are not."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    return folder


def text_file(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    """Write lines of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path
