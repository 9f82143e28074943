"""Access to what a file holds when nothing about it may be taken for granted."""

from __future__ import annotations

import csv
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from nasopt.errors import UsageError

__all__ = ["MalformedError", "RefusedError", "check_keys", "entry", "number", "numbers", "printable", "reading"]

T = TypeVar("T")


class MalformedError(ValueError):
    """The content is not what its format says."""


class RefusedError(ValueError):
    """The content asks for something that is not data, or for more memory than a release needs."""


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turns whatever a damaged or hostile file causes into one line that names the file and what was expected."""
    try:
        yield
    except UsageError:
        raise
    except RefusedError as error:
        raise UsageError(f"{path} {error}") from error
    except MemoryError as error:
        raise UsageError(f"{path} does not fit into memory as {expected}") from error
    except DAMAGE as error:
        raise UsageError(f"{path} is not {expected}, or damaged: {error}") from error


DAMAGE = (ValueError, EOFError, IndexError, OverflowError, OSError, RuntimeError, csv.Error, struct.error, zipfile.BadZipFile)
"""What parsers raise on a damaged file: RuntimeError is ``zipfile``'s (encrypted, of a later version) and that of too deep nesting."""

SIMPLE = frozenset({str, int, float, bool, bytes, type(None)})
KEY_PARTS = 64


def check_keys(keys: Iterable[object]) -> None:
    """Keys of a dict, or members of a set: plain values, or small tuples of them.

    A tuple's hash runs over all that it holds, again and again where parts are shared, and as deep as it goes.

    Raises:
        RefusedError: for any other key.
    """
    if SIMPLE.issuperset(map(type, keys)):
        return
    for key in keys:
        parts, taken = [key], 0
        while parts:
            part = parts.pop()
            taken += 1
            if type(part) is tuple and taken + len(parts) + len(part) <= KEY_PARTS:
                parts += part
            elif type(part) not in SIMPLE:
                raise RefusedError(f"has a key of type {type(part).__name__}, or one of more than {KEY_PARTS} parts: refused")


def printable(text: object) -> str:
    """What a file says, fit for one line of a message: ASCII, at most 80 characters."""
    return ascii(str(text)[:80])[1:-1]


def entry(mapping: object, key: object, kind: type[T]) -> T:
    """``mapping[key]``, which must be there and a ``kind``.

    Raises:
        MalformedError: otherwise.
    """
    if not isinstance(mapping, dict) or key not in mapping:
        raise MalformedError(f"{key!r} is missing")
    value = mapping[key]
    if not isinstance(value, kind):
        raise MalformedError(f"{key!r} is {type(value).__name__}, expected {kind.__name__}")
    return value


def number(value: object) -> float:
    """A number, or an array of one.

    Raises:
        MalformedError: when it is something else.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, (int, float)):
        return float(value)
    raise MalformedError(f"{type(value).__name__} where a number is expected")


def numbers(values: object) -> np.ndarray:
    """A list of numbers (plain, or arrays of one), or an array, as float64 ``[n]``.

    Raises:
        MalformedError: when it is something else.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return values.astype(np.float64).reshape(-1)
    if isinstance(values, (list, tuple)):
        return np.array([number(value) for value in values], dtype=np.float64)
    raise MalformedError(f"{type(values).__name__} where numbers are expected")
