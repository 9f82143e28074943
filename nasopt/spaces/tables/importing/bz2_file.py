"""A pickle in a bz2 file, read as it is decompressed, and no further than a release can go."""

from __future__ import annotations

import bz2
import io
from pathlib import Path
from typing import cast

from nasopt.spaces.tables.importing.content import RefusedError
from nasopt.spaces.tables.importing.inert_pickle import Source

__all__ = ["MAX_RATIO", "open_bz2"]

MAX_RATIO = 64
"""Pickled training curves compress about 3 to 10 times."""

FREE = 1 << 26
"""Bytes that any file may have, decompressed."""

BUFFER = 1 << 20


class _Capped(io.RawIOBase):
    """The decompressed bytes, up to a limit that a bomb exceeds and a release does not."""

    def __init__(self, file: bz2.BZ2File, limit: int) -> None:
        self.file = file
        self.limit = limit
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        read = self.file.readinto(buffer)  # type: ignore[arg-type]
        self.count += read
        if self.count > self.limit:
            raise RefusedError(f"decompresses to more than {self.limit:,} bytes, {MAX_RATIO} times its size: refused")
        return read


class _Text:
    """Reading without ``tell``, which ``pickletools`` would ask for at every opcode."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.read = file.read
        self.readline = file.readline


def open_bz2(path: Path) -> Source:
    """The decompressed bytes of a file; reading raises OSError or EOFError where it is damaged.

    Raises:
        RefusedError: while reading, when they are too many.
    """
    limit = FREE + MAX_RATIO * path.stat().st_size
    return cast(Source, _Text(io.BufferedReader(_Capped(bz2.BZ2File(path), limit), BUFFER)))
