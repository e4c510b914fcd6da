"""What workers send: every kind of outcome comes back as it was, in a schema that never changes."""

import numpy as np
import pyarrow as pa
import pytest

from extractors.engines.packing import SCHEMA, Message, message_row, messages, packed
from feature_repo.outcome import Fault, Features

COLUMNS = {
    "loud": np.float32(0.25),
    "count": 2**60,
    "words": "naïve – 你好",
    "none": None,
    "starts": np.array([0.5, 1.5], np.float32),
    "texts": ["a", "", "b"],
    "empty": (),
}
OUTCOMES = [
    Features(np.array([1.5, -0.0, 3e-45], np.float32)),
    Features(np.arange(6, dtype=np.float16).reshape(3, 2)),
    Features(np.zeros((0, 4), np.int16)),
    Features(np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))),
    Features(None, "no face", {"count": 0}),
    Features(None, columns=COLUMNS),
    Fault(
        "decode",
        "Undecodable",
        "clip \udcff is cut off",
        {"path": "/a", "rate": 16_000, "mono": True, "end": None},
    ),
]


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_comes_back_as_it_was(outcome):
    row = message_row(Message(3, "outcomes", (("view", "c/1", outcome),)))
    assert row.schema == SCHEMA
    (message,) = messages(row)
    assert (message.block, message.kind) == (3, "outcomes")
    ((view, utterance_id, found),) = message.outcomes
    assert (view, utterance_id, type(found)) == ("view", "c/1", type(outcome))
    assert same(vars(found), vars(outcome))


def test_messages_are_of_limited_size_and_tables_of_them_can_be_joined():
    found = [("view", f"c/{n}", Features(np.full(256, n, np.float32))) for n in range(10)]
    rows = list(packed(7, found, message_bytes=3000))
    told = list(
        messages(pa.concat_tables([*rows, message_row(Message(8, "refused", reason="no – nothing"))]))
    )
    assert [(each.block, each.kind, len(each.outcomes)) for each in told] == [
        *[(7, "outcomes", 3)] * 3,
        (7, "outcomes", 1),
        (7, "done", 0),
        (8, "refused", 0),
    ]
    assert told[-1].reason == "no – nothing"
    assert [key for each in told for _, key, _ in each.outcomes] == [key for _, key, _ in found]


def test_a_block_without_outcomes_is_done():
    (row,) = packed(1, [])
    assert [each.kind for each in messages(row)] == ["done"]
