"""Pickles of arrays, lists and dictionaries, read without running anything that they ask for.

A pickle is a program. Here its opcodes are looked through first; the names that it may call are a fixed list, and
each of them is a function below that builds plain data: not even NumPy's own constructors are called with what the
file says, since they trust it.
"""

from __future__ import annotations

import collections
import math
import pickle
import pickletools
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from feature_repo.errors import BadInputError

_DEPTH = 64  # containers in containers; published feature files have five
# Opcodes that no pickle of plain data needs: names of objects elsewhere, old-style instances, buffers beside the file.
_REFUSED = frozenset(
    ("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEXT_BUFFER", "READONLY_BUFFER")
)
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
# Numbers, text and bytes of a fixed size, and lists of objects; no structures, dates or raw memory.
_KINDS = "biufcSUO"


class RefusedPickleError(Exception):
    """Why the pickle is not read; the message names what it asked for."""


def read_pickle(path: Path) -> Any:
    """The plain data in a pickle file: numbers, texts, bytes, lists, tuples, sets, dictionaries and NumPy arrays.

    Strings of Python 2 are taken for Latin-1, which is what published files of that time want.

    Raises:
        BadInputError: it is no whole pickle, or asks for anything else; the message names it.
    """
    try:
        with path.open("rb") as source:
            bounded = _Bounded(source, path.stat().st_size)
            _look_through(bounded)
            bounded.rewind()
            return _resolved(_Unpickler(bounded, encoding="latin1").load(), {}, 0)
    except RefusedPickleError as error:
        raise BadInputError(f"{path} is not read: {error}") from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}") from error
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        MemoryError,
        OverflowError,
    ) as error:
        raise BadInputError(f"{path} is no pickle of plain data, or not whole: {error}") from error


class _Bounded:
    """A file that refuses to hand out more than it holds, before memory is asked for."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source, self._size, self._at = source, size, 0

    def read(self, count: int = -1) -> bytes:
        if count > self._size - self._at:
            raise RefusedPickleError(
                f"it declares {count:,} bytes where {self._size - self._at:,} are left: damaged, or made to fill memory"
            )
        data = self._source.read(count)
        self._at += len(data)
        return data

    def readline(self) -> bytes:
        data = self._source.readline()
        self._at += len(data)
        return data

    def tell(self) -> int:
        return self._at

    def rewind(self) -> None:
        self._source.seek(0)
        self._at = 0


def _look_through(source: _Bounded) -> None:
    """Refuse what would be dangerous before anything is built: opcodes, and numbers that only cost memory."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(source)):  # type: ignore[arg-type]
        if opcode.name in _REFUSED:
            raise RefusedPickleError(f"its opcode {opcode.name} is not one of plain data")
        if opcode.name in _PUTS and isinstance(argument, int) and argument > count:
            raise RefusedPickleError(f"it numbers an object {argument:,} after {count:,} steps")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise RefusedPickleError(
                f"it asks for {module}.{name}; allowed are plain containers, numbers, texts and NumPy arrays"
            ) from None


class _Callable:
    """A function that a pickle may call and can't change."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise RefusedPickleError(f"it sets {name!r} on what is no data")

    def __setstate__(self, state: object) -> NoReturn:
        raise RefusedPickleError("it sets the state of what is no data")


class _Map(dict[Any, Any]):
    """A dictionary without attributes of its own, so that a pickle has nothing to set on it."""

    __slots__ = ()


class _Name:
    """A type that is named and never called, such as the factory of a ``defaultdict``."""

    __slots__ = ()

    def __setstate__(self, state: object) -> NoReturn:
        raise RefusedPickleError("it sets the state of a type")


class _Dtype:
    """A number type while it is read."""

    __slots__ = ("value",)

    def __init__(self, value: np.dtype[Any]) -> None:
        self.value = value

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5:
            raise RefusedPickleError(f"the state of a number type is {_shown(state)}")
        order, parts = state[1], state[2:5]
        if any(part is not None for part in parts) or order not in ("<", ">", "|", "="):
            raise RefusedPickleError("it has a structured number type; arrays of plain numbers are read")
        self.value = self.value.newbyteorder(order)


class _Array:
    """An array while it is read."""

    __slots__ = ("items", "value")

    def __init__(self, value: np.ndarray[Any, Any], items: list[Any] | None = None) -> None:
        self.value, self.items = value, items

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedPickleError(f"the state of an array is {_shown(state)}")
        _, shape, dtype, fortran, data = state
        built = _built(shape, dtype, data, "F" if fortran else "C")
        self.value, self.items = built.value, built.items


def _built(shape: object, dtype: object, data: object, order: str) -> _Array:
    if not isinstance(dtype, _Dtype):
        raise RefusedPickleError(f"an array has the number type {_shown(dtype)}")
    if isinstance(shape, int):
        shape = (shape,)
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise RefusedPickleError(f"an array has the shape {_shown(shape)}")
    count = math.prod(shape)
    if dtype.value.kind == "O":
        if not isinstance(data, list) or len(data) != count:
            raise RefusedPickleError("an array of objects has not as many as its shape says")
        return _Array(np.empty(0), [shape, order, data])
    if isinstance(data, str):  # Python 2 kept bytes in strings
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray) or len(data) != count * dtype.value.itemsize:
        held = len(data) if isinstance(data, bytes | bytearray) else 0
        raise RefusedPickleError(
            f"an array of shape {list(shape)} and type {dtype.value} wants {count * dtype.value.itemsize:,} bytes and "
            f"has {held:,}"
        )
    flat = np.frombuffer(data, dtype.value) if count else np.empty(0, dtype.value)
    return _Array(flat.reshape(shape, order="F" if order == "F" else "C"))


def _dtype(spec: object, *_: object) -> _Dtype:
    if isinstance(spec, bytes):
        spec = spec.decode("ascii")
    if not isinstance(spec, str) or len(spec) > 16:
        raise RefusedPickleError(f"a number type is named {_shown(spec)}")
    value = np.dtype(spec)
    if value.kind not in _KINDS or value.names is not None or value.subdtype is not None:
        raise RefusedPickleError(f"an array has the number type {spec!r}")
    return _Dtype(value)


def _reconstruct(kind: object, *_: object) -> _Array:
    if kind is not _ARRAY:
        raise RefusedPickleError("it makes an array of another kind than numpy.ndarray")
    return _Array(np.empty(0))


def _array(shape: object, dtype: object = None, buffer: object = None) -> _Array:
    return _built(shape, dtype, buffer, "C")


def _from_buffer(buffer: object, dtype: object, shape: object, order: object = "C", *_: object) -> _Array:
    return _built(shape, dtype, buffer, "F" if order == "F" else "C")


def _scalar(dtype: object, data: object) -> Any:
    if isinstance(dtype, _Dtype) and dtype.value.kind == "O":
        raise RefusedPickleError("it has a single NumPy object")
    return _built((), dtype, data, "C").value[()]


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedPickleError(f"it encodes as {_shown(encoding)}")
    return text.encode("latin1")


def _bytes(*arguments: object) -> bytes:
    # Python's own would take a number and give as many bytes.
    if not arguments:
        return b""
    if isinstance(arguments[0], bytes | bytearray):
        return bytes(arguments[0])
    return _encode(*arguments)


def _map(*arguments: object) -> _Map:
    if len(arguments) > 1 or not all(isinstance(each, list | dict) for each in arguments):
        raise RefusedPickleError(f"it makes a dictionary of {_shown(arguments)}")
    return _Map(*arguments)


def _default_map(*arguments: object) -> _Map:
    # What it gives for a key that is not there is left behind: nobody asks it.
    return _map(*(each for each in arguments if each is not None and not isinstance(each, _Name | _Callable)))


def _set(*arguments: object) -> frozenset[Any]:
    if len(arguments) > 1 or not all(isinstance(each, list | tuple) for each in arguments):
        raise RefusedPickleError(f"it makes a set of {_shown(arguments)}")
    return frozenset(*arguments)


_ARRAY = _Callable(_array)
_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUILTINS = ("builtins", "__builtin__")
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _Callable(_dtype),
    ("_codecs", "encode"): _Callable(_encode),
    ("collections", "OrderedDict"): _Callable(_map),
    ("collections", "defaultdict"): _Callable(_default_map),
    **{(module, "_reconstruct"): _Callable(_reconstruct) for module in _NUMPY},
    **{(module, "scalar"): _Callable(_scalar) for module in _NUMPY},
    **{
        (module, "_frombuffer"): _Callable(_from_buffer)
        for module in ("numpy.core.numeric", "numpy._core.numeric")
    },
    **{(module, name): _Callable(_set) for module in _BUILTINS for name in ("set", "frozenset")},
    **{(module, name): _Callable(_bytes) for module in _BUILTINS for name in ("bytes", "bytearray")},
    **{(module, name): _Name() for module in _BUILTINS for name in ("list", "dict", "int", "float", "str")},
}


def _shown(found: object) -> str:
    # Not all of it: a list of one list twice, and so on, is short in a file and endless in words.
    return reprlib.repr(found)[:80]


def _resolved(found: Any, known: dict[int, Any], depth: int) -> Any:
    """The data with real arrays in the places of those that were being read; what is shared stays shared."""
    kind = type(found)
    if kind in (str, bytes, int, float, bool, type(None)) or isinstance(found, np.generic):
        return found
    if kind is bytearray:
        return bytes(found)
    if id(found) in known:
        if known[id(found)] is _ARRAY:
            raise RefusedPickleError("a container holds itself")
        return known[id(found)]
    if depth > _DEPTH:
        raise RefusedPickleError(f"its containers are nested more than {_DEPTH} deep")
    known[id(found)] = _ARRAY  # a mark: under way
    result: Any
    if kind is _Array:
        result = found.value if found.items is None else _object_array(found.items, known, depth)
    elif kind is list:
        result = [_resolved(each, known, depth + 1) for each in found]
    elif kind is tuple:
        result = tuple(_resolved(each, known, depth + 1) for each in found)
    elif kind in (set, frozenset):
        result = frozenset(_resolved(each, known, depth + 1) for each in found)
    elif kind in (dict, _Map, collections.OrderedDict):
        result = {
            _resolved(key, known, depth + 1): _resolved(value, known, depth + 1)
            for key, value in found.items()
        }
    else:
        raise RefusedPickleError(f"it holds a {kind.__name__.strip('_').lower()} that is no data")
    known[id(found)] = result
    return result


def _object_array(items: list[Any], known: dict[int, Any], depth: int) -> np.ndarray[Any, Any]:
    shape, order, data = items
    flat = np.empty(len(data), object)
    for number, each in enumerate(data):
        flat[number] = _resolved(each, known, depth + 1)
    return flat.reshape(shape, order=order)
