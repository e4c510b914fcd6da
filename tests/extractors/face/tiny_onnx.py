"""A small ONNX face encoder, its protocol buffer written by hand: the package onnx is not needed.

The network: means of 16x16 pixels, then one matrix. What it computes is a line of NumPy, see :func:`expected`.
"""

from pathlib import Path

import numpy as np

SIDE, WIDTH, POOL = 112, 16, 16
FLOAT = 1  # onnx's number types and attribute types
INT, INTS = 2, 7


def matrix() -> np.ndarray:
    cells = 3 * (SIDE // POOL) ** 2
    return np.random.default_rng(5).standard_normal((cells, WIDTH)).astype(np.float32)


def expected(prepared: np.ndarray) -> np.ndarray:
    """Of prepared crops ``[n, 3, 112, 112]``."""
    n, places = len(prepared), SIDE // POOL
    means = prepared.reshape(n, 3, places, POOL, places, POOL).mean(axis=(3, 5))
    return means.reshape(n, -1) @ matrix()


def write_tiny_onnx(path: Path, *, batch: int | None = None, external: str = "", last: bool = False) -> Path:
    """The encoder as a file.

    Args:
        path: of the file.
        batch: a fixed number of faces; None leaves it free.
        external: name of a file beside it that holds the matrix; by default it is in the file.
        last: whether colours are the input's last side.
    """
    weights = matrix()
    tensor = _number(1, weights.shape[0]) + _number(1, weights.shape[1]) + _number(2, FLOAT) + _text(8, "w")
    if external:
        (path.parent / external).write_bytes(weights.tobytes())
        entry = _text(1, "location") + _text(2, external)
        tensor += _part(13, entry) + _number(14, 1)
    else:
        tensor += _part(9, weights.tobytes())
    nodes = []
    source = "pixels"
    if last:
        nodes.append(_node("Transpose", ["pixels"], "first", _ints("perm", [0, 3, 1, 2])))
        source = "first"
    pooling = _ints("kernel_shape", [POOL, POOL]) + _ints("strides", [POOL, POOL])
    nodes.append(_node("AveragePool", [source], "means", pooling))
    nodes.append(_node("Flatten", ["means"], "flat", b""))
    nodes.append(_node("MatMul", ["flat", "w"], "vector", b""))
    sides = [SIDE, SIDE, 3] if last else [3, SIDE, SIDE]
    graph = b"".join(_part(1, node) for node in nodes) + _text(2, "tiny") + _part(5, tensor)
    graph += _part(11, _value("pixels", [batch, *sides])) + _part(12, _value("vector", [batch, WIDTH]))
    model = _number(1, 8) + _part(7, graph) + _part(8, _text(1, "") + _number(2, 13))
    path.write_bytes(model)
    return path


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, value: str) -> bytes:
    return _part(field, value.encode())


def _ints(name: str, values: list[int]) -> bytes:
    return _part(5, _text(1, name) + b"".join(_number(8, value) for value in values) + _number(20, INTS))


def _node(kind: str, inputs: list[str], output: str, attributes: bytes) -> bytes:
    return b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind) + attributes


def _value(name: str, shape: list[int | None]) -> bytes:
    dims = b"".join(_part(1, _text(2, "n") if side is None else _number(1, side)) for side in shape)
    return _text(1, name) + _part(2, _part(1, _number(1, FLOAT) + _part(2, dims)))
