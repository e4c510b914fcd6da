"""What an ONNX file says of itself, read without a model library: shapes, and the files that belong to it."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from feature_repo.errors import BadInputError

# Field numbers of onnx.proto3.
_MODEL_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12  # of a graph
_ATTRIBUTE = 5  # of a node
_TENSOR, _SUBGRAPH = 5, 6  # of an attribute
_TENSOR_NAME, _EXTERNAL = 8, 13  # of a tensor
_NAME, _TYPE = 1, 2  # of an input or output
_TENSOR_TYPE, _SHAPE, _DIM, _DIM_VALUE = 1, 2, 1, 1

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class OnnxFile:
    """What a file states.

    Attributes:
        inputs: name to shape; None where a side is free.
        outputs: likewise.
        external: files with weights that it refers to, resolved, in a fixed order.
    """

    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    external: tuple[Path, ...]

    @classmethod
    def read(cls, path: Path) -> "OnnxFile":
        """What the file states.

        Raises:
            BadInputError: not an ONNX model, or a file that belongs to it is missing.
        """
        try:
            with path.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
                view = memoryview(data)
                try:
                    inputs, outputs, external = _model(view)
                finally:
                    view.release()
        except (ValueError, IndexError, UnicodeDecodeError) as error:
            raise BadInputError(f"{path} is not an ONNX model: {error}") from None
        files = tuple((path.parent / name).resolve() for name in sorted(external))
        for file in files:
            if not file.is_file():
                raise BadInputError(f"{path} refers to {file.name}, which is not beside it")
        return cls(inputs, outputs, files)


def _model(view: memoryview) -> tuple[dict[str, Shape], dict[str, Shape], set[str]]:
    graphs = [bytes_ for number, bytes_ in _fields(view) if number == _MODEL_GRAPH]
    if len(graphs) != 1 or isinstance(graphs[0], int):
        raise ValueError("it holds no graph")
    external: set[str] = set()
    constants: set[str] = set()
    _collect(graphs[0], external, constants)
    shapes: dict[int, dict[str, Shape]] = {_INPUT: {}, _OUTPUT: {}}
    for number, value in _fields(graphs[0]):
        if number in shapes and not isinstance(value, int):
            name, shape = _value(value)
            # Old models list their weights among the inputs.
            if name not in constants:
                shapes[number][name] = shape
    if not shapes[_INPUT] or not shapes[_OUTPUT]:
        raise ValueError("it has no input or no output")
    return shapes[_INPUT], shapes[_OUTPUT], external


def _collect(graph: memoryview, external: set[str], constants: set[str]) -> None:
    """The external files of a graph's tensors, those in nodes and in their inner graphs too."""
    for number, value in _fields(graph):
        if isinstance(value, int):
            continue
        if number == _INITIALIZER:
            constants.add(_tensor(value, external))
        elif number == _NODE:
            for part, attribute in _fields(value):
                if part != _ATTRIBUTE or isinstance(attribute, int):
                    continue
                for kind, inner in _fields(attribute):
                    if kind == _TENSOR and not isinstance(inner, int):
                        _tensor(inner, external)
                    elif kind == _SUBGRAPH and not isinstance(inner, int):
                        _collect(inner, external, set())


def _tensor(tensor: memoryview, external: set[str]) -> str:
    name = ""
    for number, value in _fields(tensor):
        if isinstance(value, int):
            continue
        if number == _TENSOR_NAME:
            name = str(value, "utf-8")
        elif number == _EXTERNAL:
            entry = {key: str(text, "utf-8") for key, text in _fields(value) if not isinstance(text, int)}
            if entry.get(1) == "location":
                external.add(entry.get(2, ""))
    return name


def _value(info: memoryview) -> tuple[str, Shape]:
    name, shape = "", []
    for number, value in _fields(info):
        if number == _NAME and not isinstance(value, int):
            name = str(value, "utf-8")
    for dim in _down(info, _TYPE, _TENSOR_TYPE, _SHAPE, _DIM):
        sizes = [size for number, size in _fields(dim) if number == _DIM_VALUE and isinstance(size, int)]
        shape.append(sizes[0] if sizes and sizes[0] > 0 else None)
    return name, tuple(shape)


def _down(message: memoryview, *path: int) -> Iterator[memoryview]:
    if not path:
        yield message
        return
    for number, value in _fields(message):
        if number == path[0] and not isinstance(value, int):
            yield from _down(value, *path[1:])


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of a protocol buffer; long values are views, nothing is copied."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"no protocol buffer at byte {place}")
        if place + size > len(message):
            raise ValueError("it ends too early")
        yield number, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("no protocol buffer")
