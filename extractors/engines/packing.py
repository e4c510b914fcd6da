"""What workers send back: outcomes as Arrow rows whose schema is always the same."""

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from extractors.held_bytes import held_bytes
from feature_repo.outcome import Fault, Outcome

Kind = Literal["outcomes", "done", "refused"]
Found = tuple[str, str, Outcome]  # view, utterance_id, outcome

# An Arrow list of arrays of several types has no type. What passes between Ray's processes is pickled in any case.
SCHEMA = pa.schema([("block", pa.int64()), ("kind", pa.string()), ("data", pa.large_binary())])
MESSAGE_BYTES = 8 << 20  # of values in a message: what the driver holds of a block at once


@dataclass(frozen=True)
class Message:
    """One row from a worker.

    Attributes:
        block: number of the block.
        kind: ``outcomes``; ``done`` after the last of them; ``refused`` says why this worker computes nothing.
        outcomes: what was computed.
        reason: of a refusal.
    """

    block: int
    kind: Kind
    outcomes: tuple[Found, ...] = ()
    reason: str = ""


def message_row(message: Message) -> pa.Table:
    """The message as a table of one row in ``SCHEMA``."""
    data = (
        message.reason.encode() if message.kind == "refused" else pickle.dumps(message.outcomes, protocol=5)
    )
    return pa.table({"block": [message.block], "kind": [message.kind], "data": [data]}, schema=SCHEMA)


def messages(rows: pa.Table) -> Iterator[Message]:
    """The messages of a table in ``SCHEMA``."""
    for block, kind, data in zip(*(rows[name] for name in SCHEMA.names), strict=True):
        raw = data.as_buffer()
        if kind.as_py() == "refused":
            yield Message(block.as_py(), "refused", reason=raw.to_pybytes().decode())
        else:
            yield Message(block.as_py(), kind.as_py(), pickle.loads(raw))


def packed(block: int, outcomes: Iterable[Found], message_bytes: int = MESSAGE_BYTES) -> Iterator[pa.Table]:
    """A block's outcomes in messages of about that size, and that it is done."""
    gathered: list[Found] = []
    size = 0
    for found in outcomes:
        gathered.append(found)
        size += _size(found[2])
        if size >= message_bytes:
            yield message_row(Message(block, "outcomes", tuple(gathered)))
            gathered, size = [], 0
    if gathered:
        yield message_row(Message(block, "outcomes", tuple(gathered)))
    yield message_row(Message(block, "done"))


def _size(outcome: Outcome) -> int:
    return 0 if isinstance(outcome, Fault) else held_bytes((outcome.value, outcome.columns))
