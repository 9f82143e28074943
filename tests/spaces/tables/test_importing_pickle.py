"""A pickle is read as data: what Python wrote comes back equal, and what asks for more is refused before anything happens."""

from __future__ import annotations

import io
import os
import pickle  # noqa: TID251 -- the real producer of the format; these tests never load with it
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nasopt.spaces.tables.importing import inert_pickle
from nasopt.spaces.tables.importing.content import KEY_PARTS, MalformedError, RefusedError
from nasopt.spaces.tables.importing.inert_pickle import MAX_DEPTH, read_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

TEXTS = st.text() | st.text(st.characters(max_codepoint=0x1F))  # protocol 0 escapes control characters
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=300)
KEYS = st.integers() | TEXTS | st.tuples(TEXTS, st.integers())
NUMBERS = st.sampled_from(["?", "i1", "u2", "i4", "u8", "f2", "f4", "f8", ">f4", ">i8"])
NUMPY = arrays.arrays(NUMBERS, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)) | arrays.arrays("U3", 2)
DATA = st.recursive(
    PLAIN | NUMPY | NUMPY.map(np.transpose),
    lambda part: (
        st.lists(part, max_size=4)
        | st.lists(part, max_size=4).map(tuple)
        | st.dictionaries(KEYS, part, max_size=4)
        | st.dictionaries(KEYS, part, max_size=4).map(OrderedDict)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
    ),
    max_leaves=12,
)


def read(data: bytes) -> object:
    return read_pickle(io.BytesIO(data))


def assert_same(found: object, written: object) -> None:
    if isinstance(written, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert found.dtype.isnative
        assert found.dtype == written.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, written)
        return
    assert type(found) is (dict if isinstance(written, OrderedDict) else type(written))
    if isinstance(written, (list, tuple)):
        assert isinstance(found, (list, tuple))
        assert len(found) == len(written)
        for ours, theirs in zip(found, written, strict=True):
            assert_same(ours, theirs)
    elif isinstance(written, dict):
        assert isinstance(found, dict)
        assert list(found) == list(written)
        for key, value in written.items():
            assert_same(found[key], value)
    elif isinstance(written, float):
        assert struct.pack("d", found) == struct.pack("d", written) or np.isnan(written)
    else:
        assert found == written


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=DATA)
def test_what_python_wrote_comes_back(protocol: int, data: object) -> None:
    source = io.BytesIO(pickle.dumps(data, protocol) + b"rest")
    assert_same(read_pickle(source), data)
    assert source.read() == b"rest"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(value=st.sampled_from([np.float64(0.1), np.float32(0.1), np.int64(-3), np.bool_(True), np.str_("é"), np.uint8(200)]))
def test_a_numpy_scalar_becomes_a_plain_one(protocol: int, value: np.generic) -> None:
    found = read(pickle.dumps([value], protocol))
    assert found == [value.item()]
    assert type(found[0]) is type(value.item())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_items_and_shared_ones(protocol: int) -> None:
    shared = ["a", 1.5]
    data = {"long": list(range(3000)), "many": {str(i): i for i in range(3000)}, "twice": (shared, shared), "set": set(range(3000))}
    found = read(pickle.dumps(data, protocol))
    assert found == data
    assert found["twice"][0] is found["twice"][1]


def test_an_array_that_is_referred_to_again() -> None:
    array = np.arange(4.0)
    found = read(pickle.dumps({"a": array, "b": [array, array]}, 2))
    assert found["b"][0] is found["a"]


def test_what_python_2_and_old_numpy_wrote() -> None:
    """Bytes as text, names in ``numpy.core``, integers for booleans."""
    floats = struct.pack("<2d", 1.5, -2.0)
    state = (
        b"(K\x01K\x02\x85cnumpy\ndtype\n(U\x02f8K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10"
        + floats
        + b"tb."
    )
    old = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR" + state
    np.testing.assert_array_equal(read(old), [1.5, -2.0])
    assert read(b"(dp1\nS'key'\np2\nI01\nsS'other'\nL12L\ns.") == {"key": True, "other": 12}


class Evil:
    """Runs ``touch FILE`` when Python loads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_command_is_named_and_not_run(protocol: int, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"^asks to import (posix|nt)\.system: refused; nothing was executed$"):
        read(pickle.dumps({"accuracy": [1.0, Evil(tmp_path / "ran")]}, protocol))
    assert not list(tmp_path.iterdir())


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


LOAD_SYSTEM = short("os") + short("system") + b"\x93"
REFUSED = {
    "REDUCE": (b"cos\nsystem\n(S'touch ran'\ntR.", "os.system"),
    "only a name": (b"cos\nsystem\n.", "os.system"),
    "eval": (b"c__builtin__\neval\n(V1+1\ntR.", "__builtin__.eval"),
    "getattr": (b"\x80\x04" + short("builtins") + short("getattr") + b"\x93.", "builtins.getattr"),
    "dotted name": (b"\x80\x04" + short("collections") + short("OrderedDict.fromkeys") + b"\x93.", "collections.OrderedDict.fromkeys"),
    "STACK_GLOBAL": (b"\x80\x04" + LOAD_SYSTEM + short("touch ran") + b"\x85R.", "os.system"),
    "STACK_GLOBAL by memo": (b"\x80\x04" + short("system") + b"\x94" + short("os") + b"\x940h\x010h\x01h\x00\x93.", "os.system"),
    "STACK_GLOBAL of numbers": (b"\x80\x04K\x01K\x02\x93.", "whose name is not text"),
    "INST": (b"(S'touch ran'\nios\nsystem\n.", r"os.system \(INST\)"),
    "OBJ": (b"(cnumpy\ndtype\nS'f8'\no.", r"object of a class \(OBJ\)"),
    "NEWOBJ": (b"\x80\x02cnumpy\ndtype\n)\x81.", r"object of a class \(NEWOBJ\)"),
    "NEWOBJ_EX": (b"\x80\x04" + short("numpy") + short("dtype") + b"\x93)}\x92.", r"object of a class \(NEWOBJ_EX\)"),
    "EXT1": (b"\x80\x02\x82\x01.", r"extension 1 \(EXT1\)"),
    "EXT2": (b"\x80\x02\x83\x01\x01.", r"extension 257 \(EXT2\)"),
    "EXT4": (b"\x80\x02\x84\x01\x00\x01\x00.", r"extension 65537 \(EXT4\)"),
    "PERSID": (b"Pstorage\n.", r"storage \(PERSID\)"),
    "BINPERSID": (b"\x80\x02K\x01Q.", "BINPERSID"),
    "NEXT_BUFFER": (b"\x80\x05\x97.", "buffer outside the file"),
    "READONLY_BUFFER": (b"\x80\x05C\x01a\x98.", "buffer outside the file"),
    "BUILD of text": (b"V__setstate__\n}b.", "set the state of str"),
    "BUILD of a list": (b"\x80\x02]}X\x0c\x00\x00\x00__setstate__cnumpy\nndarray\nsb.", "numpy.ndarray as a value"),
    "call of a type": (b"\x80\x02cnumpy\nndarray\n)R.", "call numpy.ndarray"),
    "call of text": (b"\x80\x02X\x01\x00\x00\x00a)R.", "call str"),
    "an ndarray of another class": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85U\x01b\x87R.",
        "class of its own",
    ),
    "a name as an item": (b"\x80\x02]cnumpy\nndarray\na.", "numpy.ndarray as a value"),
    "a name as a key": (b"\x80\x02}cnumpy\nndarray\nK\x01s.", "numpy.ndarray as a value"),
    "a name as the result": (b"\x80\x02cnumpy\nndarray\n.", "numpy.ndarray as a value"),
    "a name in a tuple": (b"\x80\x02cnumpy\nndarray\n\x85.", "part of an array"),
    "an array without a state": (
        b"\x80\x02]cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87Ra.",
        "part of an array",
    ),
    "an array of objects": (b"\x80\x02cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R.", "only numbers and text"),
    "append to a tuple": (b")K\x01a.", "append to tuple"),
    "items of a list": (b"]K\x01K\x02s.", "items of list"),
    "half an item": (b"\x80\x02}(K\x01u.", "1 items of dict"),
    "members of a list": (b"\x80\x04](K\x01\x90.", "add to list"),
    "an unhashable key": (b"}]K\x01s.", "key of type list"),
    "a name with line breaks and quotes": (
        b"\x80\x04" + short("a\nb'\x1b[31m") + short("c") + b"\x93.",
        r"import a\\nb'\\x1b\[31m.c: refused",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_data_is_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data, message = REFUSED[case]
    with pytest.raises((RefusedError, MalformedError), match=message):
        read(data)
    assert not list(tmp_path.iterdir())


DAMAGED = {
    "nothing": b"",
    "text": b"no pickle at all",
    "no value": b".",
    "two values": b"NN.",
    "an open mark": b"N(.",
    "a mark too few": b"Nt.",
    "an empty stack": b"a.",
    "a memo entry that is not there": b"h\x05.",
    "a memo entry out of reach": b"Nr\xff\xff\xff\xff.",
    "a negative memo entry": b"Np-1\n.",
    "text of 4 GB": b"X\xff\xff\xff\xffabc.",
    "bytes of 2**62": b"\x8e" + struct.pack("<Q", 2**62) + b"abc.",
    "an escape that is none": b"S'\\q'\n0.",
    "a number of 5,000 digits": b"I" + b"9" * 5000 + b"\n.",
    "an array that is too small": pickle.dumps(np.arange(4.0), 2).replace(b"K\x04\x85", b"K\x05\x85"),
    "an array of a negative size": pickle.dumps(np.arange(4.0), 2).replace(b"K\x04\x85", b"J\xfc\xff\xff\xff\x85"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_pickles_are_value_errors(case: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        read(DAMAGED[case])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_beginning_of_a_pickle_is_a_pickle(protocol: int) -> None:
    whole = pickle.dumps({"a": [1.5, ("b", None)], "c": np.arange(3), "d": {1, 2}, "e": b"xyz"}, protocol)
    for length in range(len(whole)):
        with pytest.raises((ValueError, IndexError)):
            read(whole[:length])


@given(data=st.data())
def test_a_pickle_with_other_bytes_in_it_is_data_or_an_error(data: st.DataObject) -> None:
    protocol = data.draw(st.sampled_from(PROTOCOLS))
    changed = bytearray(pickle.dumps({"a": [1.5, ("b", None)], "c": np.arange(3), "d": {1, 2}, "e": OrderedDict(x=1)}, protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(changed))
    except (ValueError, IndexError, OverflowError, MemoryError):
        return
    assert_plain(found)


@given(st.binary(max_size=60))
def test_any_bytes_are_data_or_an_error(data: bytes) -> None:
    try:
        found = read(data + b".")
    except (ValueError, IndexError, OverflowError, MemoryError):
        return
    assert_plain(found)


def assert_plain(value: object) -> None:
    kind = type(value)
    assert kind in {type(None), bool, int, float, str, bytes, tuple, list, dict, set, frozenset, np.ndarray}
    if kind is dict:
        for key, part in value.items():
            assert_plain(key)
            assert_plain(part)
    elif kind in {list, tuple, set, frozenset}:
        for part in value:
            assert_plain(part)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        b"\x80\x02)" + b"\x85" * 100_000 + b".",
        b"(" * 100_000 + b"N" + b"l" * 100_000 + b".",
    ],
    ids=["lists", "tuples", "marks"],
)
def test_deep_nesting_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedError, match="levels deep: refused"):
        read(data)


def test_how_deep_data_may_be() -> None:
    assert read(b"]" * MAX_DEPTH + b"a" * (MAX_DEPTH - 1) + b".")
    with pytest.raises(RefusedError, match="levels deep"):
        read(b"]" * (MAX_DEPTH + 1) + b"a" * MAX_DEPTH + b".")


LAUGHS = b"\x80\x04(X\x03\x00\x00\x00lol\x94" + b"".join(b"(" + bytes([ord("h"), i]) * 10 + b"t\x94" for i in range(40)) + b"1"
"""Each of 40 tuples holds the one before ten times; they are in the memo as 1 to 40, and off the stack."""


def test_shared_parts_take_no_time() -> None:
    value = read(LAUGHS + b"h\x28.")
    assert isinstance(value, tuple)
    assert len(value) == 10
    assert value[0] is value[9]


def test_keys_that_would_be_hashed_for_ever_are_refused() -> None:
    for container in (b"}h\x28K\x01s.", b"\x8f(h\x28\x90.", b"(h\x28\x91."):
        with pytest.raises(RefusedError, match=f"one of more than {KEY_PARTS} parts"):
            read(LAUGHS + container)
    deep = b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s."  # Python would crash on its hash
    with pytest.raises(RefusedError, match="key of type tuple"):
        read(deep)


def test_containers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inert_pickle, "MAX_CONTAINERS", 1000)
    assert read(b"\x80\x04](" + b"\x8f" * 999 + b"e.") == [set()] * 999
    with pytest.raises(RefusedError, match="more than 1,000 lists"):
        read(b"\x80\x04](" + b"\x8f" * 1000 + b"e.")


def test_dicts_can_be_cut_down_while_reading() -> None:
    data = {"curve": {i: i / 2 for i in range(5000)}, "name": "x"}
    sizes = []

    def keep_last(part: dict[object, object]) -> None:
        sizes.append(len(part))
        if isinstance(part.get("curve"), dict):
            part["curve"].clear()

    assert read_pickle(io.BytesIO(pickle.dumps(data, 2)), summarise=keep_last) == {"curve": {}, "name": "x"}
    assert sizes[:2] == [1000, 2000]  # as Python writes them
    assert sizes[-1] == 2
