"""A benchmark table: architectures x metrics, read column by column when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from nasopt.spaces.tables.columnar import Columns, open_columns
from nasopt.spaces.tables.info import TableInfo
from nasopt.spaces.tables.keys import Key

__all__ = ["BenchmarkTable"]


class BenchmarkTable:
    """A table in a file. Nothing is read before a column is asked for, and then only that column, once.

    Attributes:
        info: what it is: its columns with their units, its source, its licence.
        path: of the file.
    """

    def __init__(self, info: TableInfo, key: Key, path: Path) -> None:
        self.info = info
        self.path = path
        self._key = key
        self._columns: dict[str, np.ndarray] = {}

    def __repr__(self) -> str:
        return f"BenchmarkTable({self.info.label}, {self.path})"

    @property
    def rows(self) -> int:
        return self._file.rows

    @property
    def units(self) -> dict[str, str]:
        """Of all columns that have one."""
        return {column.name: column.unit for column in self.info.columns if column.unit}

    @property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """The columns that split the table, and the names of the parts."""
        names = [column.name for column in self.info.of_kind("split")]
        return {name: tuple(sorted({value for value in self.column(name) if value is not None})) for name in names}

    def column(self, name: str) -> np.ndarray:
        """The values of a column, ``[rows]``: numbers (missing: NaN) or, as objects, texts (missing: None). It cannot be written to.

        Raises:
            UsageError: there is no such column.
        """
        if name not in self._columns:
            failed = self.info.column(name).failed
            values = self._file.read(name)
            if failed is not None:
                values = np.where(values == failed, np.nan, values)
            values.flags.writeable = False
            self._columns[name] = values
        return self._columns[name]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The key of each row's architecture."""
        return self._key.of_rows([self._file.read(name) for name in self._key.columns])

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The first row of each architecture, by key."""
        found: dict[str, int] = {}
        for row, key in enumerate(self.keys):
            found.setdefault(key, row)
        return found

    @cached_property
    def repeated(self) -> Mapping[str, tuple[int, ...]]:
        """All rows of the architectures that have several, by key."""
        if len(self.index) == len(self.keys):
            return {}
        found: dict[str, list[int]] = {}
        for row, key in enumerate(self.keys):
            found.setdefault(key, []).append(row)
        return {key: tuple(rows) for key, rows in found.items() if len(rows) > 1}

    def own_key(self, key: str) -> str:
        """The key under which the table has an architecture, if it has it: it may tell less apart than other tables of its group."""
        return key if key in self.index else self._key.general(key)

    def rows_of(self, key: str) -> tuple[int, ...]:
        """All rows of an architecture; none where the table does not have it."""
        own = self.own_key(key)
        if own in self.repeated:
            return self.repeated[own]
        return (self.index[own],) if own in self.index else ()

    @cached_property
    def _file(self) -> Columns:
        return open_columns(self.path)
