"""A benchmark table: architectures x metrics, read column by column as they are asked for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nasopt.errors import MissingExtraError, UsageError
from nasopt.spaces.tables.info import TableInfo
from nasopt.spaces.tables.places import find

__all__ = ["BenchmarkTable", "FileTable", "open_table"]

Array = np.ndarray[Any, Any]


class BenchmarkTable(Protocol):
    """What joins and queries need of a table."""

    @property
    def info(self) -> TableInfo:
        """What is known of it: source, licence, kinds and units of columns."""

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def keys(self) -> Sequence[str]:
        """The architecture of each row, as the tables of its space name it (`Space.table_key`)."""

    def column(self, name: str) -> Array:
        """The values of a column, (rows,); texts are objects.

        Raises:
            UsageError: there is no such column.
        """


class FileTable:
    """A table in a Parquet or CSV file."""

    def __init__(self, info: TableInfo, path: Path) -> None:
        self.info = info
        self.path = path
        self._known: dict[str, Array] = {}

    @property
    def rows(self) -> int:
        return self._csv[1] if self.path.suffix == ".csv" else int(self._parquet.metadata.num_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self._csv[0]) if self.path.suffix == ".csv" else tuple(self._parquet.schema_arrow.names)

    def column(self, name: str) -> Array:
        if name not in self.columns:
            raise UsageError(f"{self.info.name} has no column '{name}' (columns: {', '.join(self.columns)})")
        if name not in self._known:
            self._known[name] = self._csv[0][name] if self.path.suffix == ".csv" else self._read(name)
        return self._known[name]

    @cached_property
    def keys(self) -> list[str]:
        info = self.info
        if info.key in ("ofa", "mnasnet"):
            return self._assembled()
        raw = [str(value) for value in self.column(info.key)]
        if not info.parsed:
            return raw
        space = self._space()
        return [space.table_key(space.parse(text)) for text in raw]

    @cached_property
    def index(self) -> dict[str, list[int]]:
        """Rows by key: several where an architecture was measured several times, or on several tasks."""
        found: dict[str, list[int]] = {}
        for row, key in enumerate(self.keys):
            found.setdefault(key, []).append(row)
        return found

    def _assembled(self) -> list[str]:
        """Keys of rows that name their architecture by several columns."""
        space = self._space()
        names = [name for name in self.columns if self.info.column(name).kind == "setting" or name.startswith("block")]
        columns = [self.column(name).tolist() for name in names]
        rows = (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))
        return [space.table_key(space.row(row)) for row in rows]

    def _space(self) -> Any:
        from nasopt.spaces.registry import get_space, space_class

        known = space_class(self.info.space).__dataclass_fields__  # type: ignore[attr-defined]  # every space is a dataclass
        return get_space(self.info.space, **{name: value for name, value in self.info.settings.items() if name in known})

    @cached_property
    def _parquet(self) -> Any:
        try:
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingExtraError("benchmark tables need pyarrow: pip install 'nasopt[tables]'") from None
        try:
            return pq.ParquetFile(self.path)
        except (OSError, ValueError) as error:  # pyarrow's own errors are of these
            raise UsageError(f"{self.path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None

    def _read(self, name: str) -> Array:
        return np.asarray(self._parquet.read(columns=[name], use_threads=False).column(0).to_numpy())

    @cached_property
    def _csv(self) -> tuple[dict[str, Array], int]:
        with self.path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {name: _numbers([row[name] or "" for row in rows]) for name in (rows[0] if rows else ())}
        return columns, len(rows)


def open_table(info: TableInfo) -> FileTable:
    """Opens a table; nothing but its header is read.

    Raises:
        UsageError: it is not here, or damaged.
        MissingExtraError: pyarrow is not installed.
    """
    return FileTable(info, find(info))


def _numbers(texts: Sequence[str]) -> Array:
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return np.array(texts, object)
