"""Files of columns as NumPy arrays: Parquet without pandas, and small CSV files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nasopt.errors import MissingExtraError, UsageError

__all__ = ["Columns", "open_columns", "packed", "read_description"]

DESCRIPTION = b"nasopt"
"""Key of the schema's metadata under which an imported table describes itself, in JSON."""


class Columns(Protocol):
    """A file that is read column by column."""

    @property
    def rows(self) -> int: ...

    def read(self, name: str) -> np.ndarray: ...


def open_columns(path: Path) -> Columns:
    """Opens a file by the ending of its name; of Parquet, only the footer is read.

    Raises:
        MissingExtraError: it is Parquet, and pyarrow is not installed.
        UsageError: it cannot be read.
    """
    return _Csv(path) if path.suffix == ".csv" else _Parquet(path)


def read_description(path: Path) -> dict[str, Any]:
    """What an imported table says about itself; empty where it says nothing.

    Raises:
        MissingExtraError: pyarrow is not installed.
        UsageError: it is not Parquet.
    """
    told = _Parquet(path).metadata.get(DESCRIPTION)
    found = json.loads(told) if told else {}
    return found if isinstance(found, dict) else {}


def packed(columns: Mapping[str, np.ndarray | list[str]], description: Mapping[str, Any]) -> bytes:
    """A Parquet file (zstd) of these columns: arrays of numbers or of texts, or lists of texts; NaN stays NaN.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    arrays = []
    for values in columns.values():
        if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
            values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("=")))
            # from its buffer: `pyarrow.array` of an array imports pandas where it is installed
            arrays.append(arrow.Array.from_buffers(_arrow_type(arrow, values.dtype), len(values), [None, arrow.py_buffer(values)]))
        else:
            arrays.append(arrow.array([None if value is None else _plain(value) for value in list(values)]))
    schema = arrow.schema(
        [arrow.field(name, array.type) for name, array in zip(columns, arrays, strict=True)],
        metadata={DESCRIPTION: json.dumps(description)},
    )
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_arrays(arrays, schema=schema), out, compression="zstd", compression_level=19)
    return out.getvalue()


def _arrow_type(arrow: Any, dtype: np.dtype) -> Any:
    return getattr(arrow, {"i": "int", "u": "uint", "f": "float"}[dtype.kind] + str(8 * dtype.itemsize))()


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("benchmark tables need pyarrow: pip install 'nasopt[tables]'") from None
    return pa, parquet


class _Parquet:
    def __init__(self, path: Path) -> None:
        arrow, parquet = _pyarrow()
        self._errors = (OSError, arrow.ArrowException)
        self._path = path
        try:
            self._file = parquet.ParquetFile(path, memory_map=True)
        except self._errors as error:
            raise UsageError(f"{path}: cannot be read as Parquet: {error}") from None
        self.metadata: dict[bytes, bytes] = self._file.schema_arrow.metadata or {}

    @property
    def rows(self) -> int:
        return int(self._file.metadata.num_rows)

    def read(self, name: str) -> np.ndarray:
        if name not in self._file.schema_arrow.names:
            raise UsageError(f"{self._path}: has no column '{name}', which its description names; fetch or import it again")
        try:
            column = self._file.read(columns=[name], use_threads=False).column(0)
        except self._errors as error:
            raise UsageError(f"{self._path}: its column '{name}' cannot be read: {error}") from None
        kind = np.dtype(column.type.to_pandas_dtype()).kind
        if kind in "iuf" and not column.null_count:
            # not `to_numpy`, which imports pandas where it is installed: 0.2 s and 50 MB
            return np.from_dlpack(column.combine_chunks())
        values = column.to_pylist()
        if kind not in "biuf":
            return _texts(values)
        if column.null_count:
            return np.array([np.nan if value is None else value for value in values], np.float64)
        return np.array(values)


class _Csv:
    def __init__(self, path: Path) -> None:
        try:
            with path.open(encoding="utf-8", newline="") as file:
                header, *lines = csv.reader(file, strict=True)
        except (OSError, ValueError, csv.Error) as error:
            raise UsageError(f"{path}: cannot be read as CSV: {error}") from None
        if any(len(line) != len(header) for line in lines):
            raise UsageError(f"{path}: has lines that are longer or shorter than its first")
        self._path = path
        self._lines = lines
        self._header = header

    @property
    def rows(self) -> int:
        return len(self._lines)

    def read(self, name: str) -> np.ndarray:
        if name not in self._header:
            raise UsageError(f"{self._path}: has no column '{name}', which its description names; fetch it again")
        texts = [line[self._header.index(name)] for line in self._lines]
        try:
            return np.array([float(text) if text else np.nan for text in texts])
        except ValueError:
            return _texts([text or None for text in texts])


def _texts(values: list[str | None]) -> np.ndarray:
    column = np.empty(len(values), object)
    column[:] = values
    return column
