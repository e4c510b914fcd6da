"""How an online answer travels: Feast's JSON, the same with vectors as bytes, or an Arrow stream.

A float32 takes about twenty bytes as a JSON number, 5.3 as base64, and four in Arrow.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

if TYPE_CHECKING:
    from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesResponse

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
Vectors = Literal["floats", "bytes"]


def json_answer(answer: GetOnlineFeaturesResponse, vectors: Vectors) -> bytes:
    """Feast's JSON answer; with ``bytes``, a vector is the base64 text of its little-endian float32 values."""
    from feast.feature_server_utils import convert_response_to_dict

    raw = [[_raw(value) for value in found.values] for found in answer.results] if vectors == "bytes" else []
    if raw:
        answer = _without_vectors(answer)
    told = convert_response_to_dict(answer)
    for result, values in zip(told["results"] if raw else [], raw, strict=True):
        result["values"] = [
            kept if data is None else base64.b64encode(data).decode()
            for kept, data in zip(result["values"], values, strict=True)
        ]
    return json.dumps(told, separators=(",", ":"), allow_nan=False).encode()


def arrow_answer(answer: GetOnlineFeaturesResponse, entities: Mapping[str, Sequence[Any]]) -> bytes:
    """An Arrow stream of one table: the ids that were asked for, then a column for each feature; null is absent.

    Vectors are ``list<float>``, bit for bit what is stored.
    """
    columns = {name: pa.array([str(each) for each in ids]) for name, ids in entities.items()}
    for name, found in zip(answer.metadata.feature_names.val, answer.results, strict=True):
        if name not in columns:
            columns[name] = _column(found.values)
    table = pa.table(columns)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def any_absent(answer: GetOnlineFeaturesResponse) -> bool:
    """Whether the online store had nothing for some id and feature."""
    return any(value.WhichOneof("val") is None for found in answer.results for value in found.values)


def _raw(value: Any) -> bytes | None:
    """A vector's float32 values, little-endian; None for what is no vector."""
    if value.WhichOneof("val") != "float_list_val":
        return None
    # The wire form of a packed repeated float ends in exactly these bytes; taking the numbers out one by one is slow.
    count = len(value.float_list_val.val)
    wire: bytes = value.float_list_val.SerializeToString()
    return wire[len(wire) - 4 * count :]


def _column(values: Sequence[Any]) -> pa.Array:
    raw = [_raw(value) for value in values]
    if not any(data is not None for data in raw):
        from feast.type_map import feast_value_type_to_python_type

        told = [
            None if value.WhichOneof("val") is None else feast_value_type_to_python_type(value)
            for value in values
        ]
        return pa.array(told)
    offsets = [0]
    for data in raw:
        offsets.append(offsets[-1] + len(data or b"") // 4)
    numbers = pa.Array.from_buffers(
        pa.float32(), offsets[-1], [None, pa.py_buffer(b"".join(filter(None, raw)))]
    )
    absent = pa.array([data is None for data in raw])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), numbers, mask=absent)


def _without_vectors(answer: GetOnlineFeaturesResponse) -> GetOnlineFeaturesResponse:
    """The same answer with every vector empty: what is told as bytes is not turned into numbers first."""
    slim = type(answer)()
    slim.metadata.CopyFrom(answer.metadata)
    slim.status = answer.status
    for found in answer.results:
        kept = slim.results.add()
        kept.statuses.extend(found.statuses)
        kept.event_timestamps.extend(found.event_timestamps)
        for value in found.values:
            added = kept.values.add()
            if value.WhichOneof("val") == "float_list_val":
                added.float_list_val.SetInParent()
            else:
                added.CopyFrom(value)
    return slim
