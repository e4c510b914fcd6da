"""What a pickle file begins with, told without building anything."""

from __future__ import annotations

import io
import pickletools
from pathlib import Path

_HEAD = 64  # bytes that tell; more are not read, whatever size an opcode declares


def outermost(path: Path) -> str | None:
    """Kind of the first object of a pickle file: ``dict``, ``sequence``, or None of anything else."""
    if not path.is_file():
        return None
    with path.open("rb") as source:
        first = source.read(1)
        if first not in (b"\x80", b"(", b"}", b"]"):
            return None
        head = io.BytesIO(first + source.read(_HEAD))
    try:
        seen: list[str] = []
        for opcode, _, _ in pickletools.genops(head):
            if opcode.name in ("PROTO", "FRAME"):
                continue
            seen.append(opcode.name)
            if seen[0] == "MARK" and len(seen) == 1:
                continue
            break
    except (ValueError, EOFError):
        return None
    if seen[:1] == ["EMPTY_DICT"] or seen == ["MARK", "DICT"]:
        return "dict"
    return "sequence" if seen[:1] in (["MARK"], ["EMPTY_LIST"]) else None
