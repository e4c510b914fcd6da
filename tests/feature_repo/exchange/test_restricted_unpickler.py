"""What a pickle may hold, and what is refused without being run."""

import collections
import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from feature_repo.errors import BadInputError
from feature_repo.exchange.pickle_kind import outermost
from feature_repo.exchange.restricted_unpickler import read_pickle

PLAIN = {
    "text": ["Grüße", "", "日本語", b"raw"],
    "numbers": (1, -(2**80), 0.5, float("inf"), True, None),
    "sets": {1, 2},
    "frozen": frozenset(("a",)),
    "ordered": collections.OrderedDict(b=1, a=2),
    "default": collections.defaultdict(list, {"x": [1]}),
    "bytearray": bytearray(b"abc"),
}
ARRAYS = [
    np.arange(12, dtype="<f4").reshape(3, 4),
    np.arange(12, dtype=">i2").reshape(3, 4)[:, ::2],
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array(2.5),
    np.zeros((0, 5), np.float16),
    np.array(["a", "bcd"]),
    np.array([b"x", b"yz"]),
    np.array([True, False]),
    np.array([[1, "two"], [None, [3.0]]], dtype=object),
]


def load(tmp_path: Path, data: bytes):
    path = tmp_path / "some.pkl"
    path.write_bytes(data)
    return read_pickle(path)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_come_back_equal(tmp_path, protocol):
    found = load(tmp_path, pickle.dumps(PLAIN, protocol))
    assert found == {**PLAIN, "bytearray": b"abc"}
    assert list(found["ordered"]) == ["b", "a"]


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_numpy_numbers_come_back_equal(tmp_path, protocol):
    scalars = [np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("é")]
    found_arrays, found_scalars = load(tmp_path, pickle.dumps((ARRAYS, scalars), protocol))
    for found, expected in zip(found_arrays, ARRAYS, strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert [(type(each), each) for each in found_scalars] == [(type(each), each) for each in scalars]


def test_what_is_shared_stays_shared(tmp_path):
    shared = np.arange(3.0)
    first, second = load(tmp_path, pickle.dumps([shared, shared]))
    assert first is second


def test_a_pickle_of_python_2_with_the_old_names_of_numpy(tmp_path):
    # Protocol 2 as Python 2 wrote it: bytes as SHORT_BINSTRING, names of numpy.core.
    floats = struct.pack("<2f", 1.5, -2.0)
    data = (
        b"\x80\x02}q\x00U\x03\xe9\x00\xffq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03"
        b"K\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x08" + floats + b"tbs."
    )
    assert pickle.loads(data, encoding="latin1")["é\x00ÿ"].tolist() == [1.5, -2.0]  # so it is such a pickle
    found = load(tmp_path, data)
    assert found["é\x00ÿ"].tolist() == [1.5, -2.0]
    assert found["é\x00ÿ"].dtype == np.float32


class Call:
    """What pickles as a call of any function."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


def by_name(module: str, name: str, argument: str = "x") -> bytes:
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "named"),
    [
        (os.system, "posix.system"),
        (eval, "eval"),
        (exec, "exec"),
        (getattr, "getattr"),
        (np.load, "numpy"),
        (open, "open"),
    ],
)
def test_calls_of_anything_else_are_refused_by_name(tmp_path, protocol, function, named):
    marker = tmp_path / "was run"
    with pytest.raises(BadInputError, match=named):
        load(tmp_path, pickle.dumps(Call(function, f"touch '{marker}'"), protocol))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("subprocess", "Popen"),
        ("builtins", "__import__"),
        ("__builtin__", "eval"),
        ("builtins", "getattr.__call__"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "load"),
        ("numpy", "fromfile"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy.core.multiarray", "add_docstring"),
        ("numpy.core._internal", "_ctypes"),
        ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py.diagnose", "run_command"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch", "load"),
        ("copy_reg", "_reconstructor"),
        ("copyreg", "__newobj__"),
        ("functools", "partial"),
        ("operator", "attrgetter"),
        ("pickle", "loads"),
        ("collections", "namedtuple"),
        ("_codecs", "decode"),
        ("feature_repo.exchange.restricted_unpickler", "read_pickle"),
    ],
)
def test_known_tricks_are_refused(tmp_path, module, name):
    with pytest.raises(BadInputError, match=f"asks for {module}.{name}"):
        load(tmp_path, by_name(module, name))


def test_a_nested_name_is_not_looked_up(tmp_path):
    data = b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93."
    assert pickle.loads(data) is np.ndarray.__init__
    with pytest.raises(BadInputError, match="numpy.ndarray.__init__"):
        load(tmp_path, data)


def test_attributes_can_be_set_on_nothing(tmp_path):
    for target in (b"ccollections\nOrderedDict\n)R", b"cnumpy\ndtype\n", b"cbuiltins\nlist\n", b"}", b"]"):
        for state in (b"}Vkeys\nV1\ns", b"N}V__code__\nV1\ns\x86"):
            data = b"\x80\x02" + target + state + b"b."
            with pytest.raises(BadInputError):
                load(tmp_path, data)
    assert load(tmp_path, pickle.dumps(ARRAYS[0])).tolist() == ARRAYS[0].tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"(ios\nsystem\n.",  # INST
        b"(cos\nsystem\no.",  # OBJ
        b"Pname\n.",  # PERSID
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x05\x97.",  # NEXT_BUFFER
    ],
)
def test_opcodes_of_objects_are_refused(tmp_path, data):
    with pytest.raises(BadInputError, match="opcode|asks for"):
        load(tmp_path, data)


def array_pickle(shape: tuple, dtype: str, data: object, state: tuple | None = None) -> bytes:
    """A pickle of an array with any shape over any data, written by hand."""
    out = io.BytesIO()

    class Hand(pickle.Pickler):
        def reducer_override(self, value):
            if isinstance(value, Fake):
                kind = np._core.multiarray._reconstruct
                return kind, (np.ndarray, (0,), b"b"), (1, shape, np.dtype(dtype), False, data)
            return NotImplemented

    class Fake:
        pass

    Hand(out, 2).dump(Fake())
    return out.getvalue()


def test_an_array_must_have_the_bytes_that_its_shape_says(tmp_path):
    good = array_pickle((2,), "<f4", bytes(8))
    assert load(tmp_path, good).tolist() == [0.0, 0.0]
    for shape in ((10**12,), (3,), (-1,), (2, 10**9), ("2",), (2**64, 0.5)):
        with pytest.raises(BadInputError, match="array"):
            load(tmp_path, array_pickle(shape, "<f4", bytes(8)))


def test_an_array_of_objects_is_made_of_a_list_and_never_of_bytes(tmp_path):
    with pytest.raises(BadInputError, match="objects"):
        load(tmp_path, array_pickle((1,), "O", bytes(8)))


def test_structures_dates_and_raw_memory_are_refused(tmp_path):
    for array in (np.zeros(2, [("a", "<f4")]), np.zeros(2, "M8[s]"), np.zeros(2, "V8")):
        with pytest.raises(BadInputError, match="number type"):
            load(tmp_path, pickle.dumps(array))


def test_declared_sizes_beyond_the_file_cost_no_memory(tmp_path):
    huge = struct.pack("<Q", 2**40)
    for data in (
        b"\x80\x04\x8e" + huge,  # BINBYTES8
        b"\x80\x05\x96" + huge,  # BYTEARRAY8
        b"\x80\x04\x8d" + huge,  # BINUNICODE8
        b"\x80\x02T\xff\xff\xff\x7f",  # BINSTRING
        b"\x80\x04\x95" + huge + b"N.",  # FRAME
        b"\x80\x02\x8b\xff\xff\xff\x7f",  # LONG4
    ):
        with pytest.raises(BadInputError):
            load(tmp_path, data)
    for number in (b"r\xff\xff\xff\xff", b"p4000000000\n"):  # a memo of 32 GiB
        with pytest.raises(BadInputError, match="numbers an object"):
            load(tmp_path, b"\x80\x02N" + number + b".")
    for size in (b"cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.", b"cbuiltins\nbytes\n(J\xff\xff\xff\x7ftR."):
        with pytest.raises(BadInputError):
            load(tmp_path, b"\x80\x02" + size)
    with pytest.raises(BadInputError):
        load(tmp_path, b"\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7f\x85tR.")


def test_a_list_of_one_list_twice_and_so_on_is_refused_in_few_words(tmp_path):
    endless: list = [1]
    for _ in range(200):
        endless = [endless, endless]
    named = pickle.dumps(Named(endless), 0)
    for data in (named, named.replace(b"numpy\ndtype", b"numpy\nndarray")):
        with pytest.raises(BadInputError) as told:
            load(tmp_path, data)
        assert len(str(told.value)) < 400


class Named:
    """Pickled as a number type with that name."""

    def __init__(self, name: object) -> None:
        self.name = name

    def __reduce__(self):
        return np.dtype, (self.name,)


def test_what_a_pickle_begins_with_is_told_without_reading_what_it_declares(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 2**50))  # BINBYTES8 of a pebibyte
    assert outermost(path) is None
    path.write_bytes(pickle.dumps({"a": "b" * 500}))
    assert outermost(path) == "dict"


def test_depth_and_circles_are_refused(tmp_path):
    deep: list = []
    for _ in range(70):
        deep = [deep]
    with pytest.raises(BadInputError, match="nested"):
        load(tmp_path, pickle.dumps(deep))
    circle: list = []
    circle.append(circle)
    with pytest.raises(BadInputError, match="holds itself"):
        load(tmp_path, pickle.dumps(circle))


def test_what_is_no_pickle_or_cut_off_is_told(tmp_path):
    whole = pickle.dumps(ARRAYS)
    for data in (b"", b"\x93NUMPY", b"PK\x03\x04", whole[:-20], whole[: len(whole) // 2], b"\x80\x09."):
        with pytest.raises(BadInputError, match="some.pkl"):
            load(tmp_path, data)
    with pytest.raises(BadInputError, match="cannot read"):
        read_pickle(tmp_path / "absent.pkl")


def test_any_flipped_byte_is_an_answer_and_no_accident(tmp_path):
    whole = bytearray(pickle.dumps({"a": [np.arange(4.0), "x", (1, 2)]}, 4))
    generator = np.random.default_rng(7)
    refused = 0
    for place in range(len(whole)):
        torn = bytearray(whole)
        torn[place] = int(generator.integers(256))
        try:
            load(tmp_path, bytes(torn))
        except BadInputError:
            refused += 1
    assert refused > len(whole) // 4
