"""The globals that a pickle of plain data, NumPy arrays or torch tensors names, each with our own reading of it.

A pickle asks to *import and call* these. Nothing is imported and nothing called here: a name is looked up in ``READINGS``, whose
functions decode the arguments that the pickle gives. A name that is not in the table is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from nasopt.spaces.tables.importing.content import MalformedError, RefusedError, check_keys, printable

__all__ = [
    "PARTS",
    "TORCH_TYPES",
    "Arguments",
    "Array",
    "DType",
    "Name",
    "Record",
    "Storage",
    "built",
    "name",
    "new_record",
    "reduced",
    "storage_type",
    "storage_values",
]


@dataclass(frozen=True)
class Name:
    """A global that the pickle names, as text."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return printable(f"{self.module}.{self.attribute}")


class Arguments(tuple[object, ...]):
    """A tuple with a part in it: good for the call that follows, not for the result."""

    __slots__ = ()


@dataclass
class DType:
    """A NumPy type: its code, and its byte order once the pickle has given it."""

    code: str
    order: str = "="

    def numpy(self) -> np.dtype:
        return np.dtype(self.order + self.code)


@dataclass
class Array:
    """A NumPy array before (``value`` is None) and after the pickle has given its state."""

    value: np.ndarray | None = None


@dataclass
class Storage:
    """The numbers of torch tensors, ``[numel]``; None where they stand in a form that is not read."""

    values: np.ndarray | None


@dataclass
class Record:
    """An object of a class that is not there: the class' name, and the attributes that the pickle gives it."""

    kind: str
    fields: dict[str, object]


PARTS = frozenset({Name, Arguments, DType, Array, Storage})
"""What only other opcodes may consume: none of these can get into a list, a dict or the result."""

TORCH_TYPES = {
    "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "u2",
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "b1",
}  # fmt: skip
MAX_RANK = 32


def name(module: str, attribute: str, records: str = "") -> Name:
    """The name, if the table has it, or if it begins as the classes do whose objects are read as records.

    Raises:
        RefusedError: for any other: a pickle that names something else is not plain data.
    """
    found = Name(module, attribute)
    if records and f"{module}.{attribute}".startswith(records):
        return found
    if found not in READINGS and found not in LABELS:
        raise RefusedError(f"asks to import {found}: refused; nothing was executed")
    return found


def reduced(function: object, arguments: object) -> object:
    """What ``function(*arguments)`` would describe.

    Raises:
        RefusedError: when ``function`` is not a name that describes data.
        MalformedError: when the arguments are not those of that function.
    """
    if not isinstance(function, Name) or function not in READINGS:
        called = function if isinstance(function, Name) else type(function).__name__
        raise RefusedError(f"asks to call {called}: refused; nothing was executed")
    if not isinstance(arguments, tuple):
        raise MalformedError(f"{function} has arguments of type {type(arguments).__name__}")
    return READINGS[function](function, arguments)


def new_record(arguments: object, kind: object, records: str) -> Record:
    """An object of one of those classes, without attributes yet.

    Raises:
        RefusedError: for any other class, or one that is given arguments.
    """
    if not isinstance(kind, Name) or not f"{kind.module}.{kind.attribute}".startswith(records) or arguments != ():
        asked = kind if isinstance(kind, Name) else "a class"
        raise RefusedError(f"asks to build an object of {asked} (NEWOBJ): refused; nothing was executed")
    return Record(f"{kind.module}.{kind.attribute}", {})


def built(target: object, state: object) -> object:
    """``target`` with the state that the pickle gives it.

    Raises:
        RefusedError: for a target that has no state here: in Python this could run its ``__setstate__``.
    """
    if isinstance(target, DType):
        return _typed(target, state)
    if isinstance(target, Array):
        target.value = _filled(state)
        return target.value
    if isinstance(target, Record) and isinstance(state, dict):
        target.fields.update({str(key): value for key, value in state.items()})
        return target
    if isinstance(target, dict) and isinstance(state, dict):
        return target  # torch hangs `_metadata` on the OrderedDict of a network's weights
    raise RefusedError(f"asks to set the state of {type(target).__name__}: refused; nothing was executed")


# Python's own types, as the protocols before their opcodes write them.


def _dictionary(function: Name, arguments: tuple[object, ...]) -> dict[object, object]:
    if arguments and arguments != ([],):
        raise MalformedError(f"{function} with {len(arguments)} arguments")  # Python 3 gives the items by opcodes of their own
    return {}


def _set(_: Name, arguments: tuple[object, ...]) -> object:
    match arguments:
        case (list() as items,):
            check_keys(items)
            return set(items)
    raise MalformedError("a set without its list")


def _frozenset(function: Name, arguments: tuple[object, ...]) -> object:
    found = _set(function, arguments)
    assert isinstance(found, set)
    return frozenset(found)


def _bytes(function: Name, arguments: tuple[object, ...]) -> bytes:
    match arguments:
        case ():
            return b""
        case (bytes() as data,):
            return data
        case (str() as text, "latin1" | "latin-1"):
            return text.encode("latin-1")
    raise MalformedError(f"{function} with other arguments than text in latin-1")


# NumPy.


def _dtype(_: Name, arguments: tuple[object, ...]) -> DType:
    match arguments:
        case (str() as code, *_) if re.fullmatch(r"[<>=|]?(b1|[iu][1248]|f[248]|[SU][1-9]\d{0,3})", code):
            return DType(code.lstrip("<>=|"), code[0] if code[0] in "<>" else "=")
    raise RefusedError(f"holds arrays of type {printable(arguments[:1])}: only numbers and text are read")


def _typed(target: DType, state: object) -> DType:
    match state:
        case (int(), "<" | ">" | "=" | "|" as order, None, None, None, *_):
            target.order = "=" if order == "|" else order
            return target
    raise RefusedError("holds arrays of a structured type: only numbers and text are read")


def _values(shape: object, kind: object, data: object, order: object) -> np.ndarray:
    if not isinstance(kind, DType) or not isinstance(shape, tuple) or len(shape) > MAX_RANK:
        raise MalformedError("an array without type or shape")
    sizes = [size for size in shape if isinstance(size, int) and size >= 0]
    raw = data.encode("latin-1") if isinstance(data, str) else data  # Python 2 wrote bytes as text
    if len(sizes) != len(shape) or not isinstance(raw, bytes):
        raise MalformedError("an array without shape or data")
    dtype = kind.numpy()
    if prod(sizes) * dtype.itemsize != len(raw):
        raise MalformedError(f"an array of shape {tuple(sizes)} in {len(raw)} bytes")
    values = np.ndarray(sizes, dtype, raw, order="F" if order else "C")
    return values.astype(dtype.newbyteorder("="))  # a copy: native, writable


def _reconstruct(_: Name, arguments: tuple[object, ...]) -> Array:
    match arguments:
        case (Name("numpy", "ndarray"), tuple(), bytes() | str()):
            return Array()
    raise RefusedError("holds an array of a class of its own: refused; nothing was executed")


def _filled(state: object) -> np.ndarray:
    match state:
        case (int(), shape, kind, fortran, data):
            return _values(shape, kind, data, fortran)
    raise MalformedError("an array with a state that is not NumPy's")


def _from_buffer(_: Name, arguments: tuple[object, ...]) -> np.ndarray:
    match arguments:
        case (data, kind, shape, "C" | "F" as order):
            return _values(shape, kind, data, order == "F")
    raise MalformedError("an array from a buffer with other arguments than NumPy's")


def _scalar(_: Name, arguments: tuple[object, ...]) -> object:
    match arguments:
        case (kind, data):
            return _values((), kind, data, order=False).item()
    raise MalformedError("a NumPy scalar without type and data")


# torch.


def storage_type(kind: object) -> str:
    """``Float`` of ``torch.FloatStorage``: a key of ``TORCH_TYPES``.

    Raises:
        RefusedError: when it is not such a name.
    """
    if isinstance(kind, Name) and kind.module == "torch" and kind.attribute.removesuffix("Storage") in TORCH_TYPES:
        return kind.attribute.removesuffix("Storage")
    raise RefusedError("holds a tensor whose storage is of no known type: refused; nothing was executed")


def storage_values(kind: str, raw: bytes) -> np.ndarray:
    """The numbers of a storage, little-endian in the file; bfloat16 as float32, whose upper halves they are."""
    values = np.frombuffer(raw, np.dtype(TORCH_TYPES[kind]).newbyteorder("<"))
    if kind == "BFloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(values.dtype.newbyteorder("="))


def _tensor(function: Name, arguments: tuple[object, ...]) -> np.ndarray | None:
    match arguments:
        case (Storage(None), *_):
            return None
        case (Storage() as storage, int() as offset, tuple() as size, tuple() as stride, *_) if len(size) == len(stride) <= MAX_RANK:
            assert storage.values is not None
            lengths: list[int] = [length for length in size if isinstance(length, int) and length >= 0]
            steps = [step for step in stride if isinstance(step, int) and step >= 0]
            count = prod(lengths)
            last = offset + sum((length - 1) * step for length, step in zip(lengths, steps, strict=False)) if count else 0
            held = storage.values.size
            known = len(lengths) == len(size) and len(steps) == len(stride) and offset >= 0
            if not known or count > held or last >= max(held, 1):
                raise MalformedError(f"a tensor of size {size}, stride {stride} and offset {offset} in a storage of {held} elements")
            itemsize = storage.values.itemsize
            return np.lib.stride_tricks.as_strided(storage.values[offset:], lengths, [step * itemsize for step in steps])
    raise MalformedError(f"{function} with other arguments than torch's")


def _parameter(function: Name, arguments: tuple[object, ...]) -> object:
    if arguments and (arguments[0] is None or isinstance(arguments[0], np.ndarray)):
        return arguments[0]
    raise MalformedError(f"{function} without a tensor")


def _size(function: Name, arguments: tuple[object, ...]) -> tuple[object, ...]:
    match arguments:
        case (tuple() as size,) if type(size) is tuple:
            return size
    raise MalformedError(f"{function} without a tuple")


def _unread(_: Name, __: tuple[object, ...]) -> Storage:
    """A tensor in a plain pickle carries a torch file of its own in its bytes: trained weights, which no table needs."""
    return Storage(None)


Reading = Callable[[Name, tuple[object, ...]], object]

READINGS: dict[Name, Reading] = {
    Name("collections", "OrderedDict"): _dictionary,
    Name("_codecs", "encode"): _bytes,
    Name("numpy", "dtype"): _dtype,
    Name("torch", "Size"): _size,
    Name("torch._utils", "_rebuild_tensor"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
    Name("torch.storage", "_load_from_bytes"): _unread,
}
for _module in ("builtins", "__builtin__"):
    READINGS |= {Name(_module, "set"): _set, Name(_module, "frozenset"): _frozenset}
    READINGS |= {Name(_module, "bytes"): _bytes, Name(_module, "bytearray"): _bytes}
for _core in ("numpy.core", "numpy._core"):
    READINGS |= {Name(f"{_core}.multiarray", "_reconstruct"): _reconstruct, Name(f"{_core}.multiarray", "scalar"): _scalar}
    READINGS |= {Name(f"{_core}.numeric", "_frombuffer"): _from_buffer}

LABELS = frozenset({Name("numpy", "ndarray"), *(Name("torch", f"{kind}Storage") for kind in TORCH_TYPES)})
"""Names that stand for a type and are never called."""
