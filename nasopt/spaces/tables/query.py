"""What tables say of architectures: one row for each that is asked for, or aligned columns of all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.spaces.tables.catalogue import Entry, describe, open_table, tables_of
from nasopt.spaces.tables.info import Group
from nasopt.spaces.tables.metrics import Meaning, meaning_of, meanings
from nasopt.spaces.tables.selection import Selection, is_missing
from nasopt.spaces.tables.table import BenchmarkTable

__all__ = ["Joined", "Measured", "TableRow", "Value", "join", "query"]

Value = float | int | bool | str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure.

    Attributes:
        value: unrounded, as it stands in the table; None where it is missing.
        unit: of it; empty for texts.
        table: ``GROUP/TABLE`` that it is from.
        column: in that table.
        source: who published it.
        conditions: under which it was measured, as far as rows of the table differ in them: ``{"task": "cifar10"}``.
        rows: that it is the mean of: more than 1 where measurements were repeated, 0 where it is missing.
        elsewhere: where it is missing: the names under which other tables, such as imported ones, have it (``TABLE/COLUMN``).
    """

    value: Value
    unit: str
    table: str
    column: str
    source: str
    conditions: Mapping[str, Value]
    rows: int
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRow:
    """What is known of one architecture.

    Attributes:
        group: of the tables.
        space: in the registry of spaces; None where it has no such space.
        key: of the architecture, as the tables have it.
        measured: by metric, exactly as it was asked for.
    """

    group: str
    space: str | None
    key: str
    measured: Mapping[str, Measured]

    @property
    def values(self) -> dict[str, Value]:
        """By metric, unrounded; None where it is missing."""
        return {metric: found.value for metric, found in self.measured.items()}

    @property
    def units(self) -> dict[str, str]:
        return {metric: found.unit for metric, found in self.measured.items()}

    @property
    def sources(self) -> dict[str, str]:
        return {metric: found.source for metric, found in self.measured.items()}


@dataclass(frozen=True)
class Joined:
    """Columns of several tables, aligned.

    Attributes:
        group: of the tables.
        space: in the registry of spaces; None where it has no such space.
        keys: of the architectures, ``[n]``, in the order of the first metric's table.
        values: ``[n]`` by metric, exactly as it was asked for; missing numbers are NaN, missing texts None.
        units: by metric.
        sources: by metric.
        licences: of the figures, by metric, as their publishers state them.
        conditions: by metric and name: under which each value was measured, ``[n]``, where rows of the table differ in it.
        left_out: how many architectures of the first metric's table lack a value.
    """

    group: str
    space: str | None
    keys: tuple[str, ...]
    values: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    sources: Mapping[str, str]
    licences: Mapping[str, str]
    conditions: Mapping[str, Mapping[str, np.ndarray]]
    left_out: int


def query(group: str, arch: str | Sequence[str], metrics: Sequence[str]) -> tuple[TableRow, ...]:
    """What the tables of a group say of architectures.

    Rows that differ in a condition (``task``, resolution ``r``, ``supernet``, ``setup``, …) are different measurements: where an
    architecture has several, the metric has to say which. Rows that differ in none are repeats, of which the value is the mean.

    Args:
        group: of tables, such as ``nasbench201``; or one table, ``GROUP/TABLE``.
        arch: an architecture, or several: a key of the tables, another name of it in them (NAS-Bench-201's index), or whatever else the
            space reads.
        metrics: names of columns, ``TABLE/COLUMN``, ``COLUMN@TASK``, ``latency:DEVICE``, …: see docs/tables.md.

    Returns:
        A row for each architecture, in the order asked for.

    Raises:
        UsageError: there is no such group, metric or architecture, a name is ambiguous, or a table is not here or damaged.
        MissingExtraError: pyarrow is not installed.
    """
    told = describe(group)
    found, entries = told.group, told.tables
    selections = _selections(found, entries, metrics)
    rows = []
    for text in [arch] if isinstance(arch, str) else arch:
        key = _key(found, tables_of(found), [selection.table for selection in selections.values()], text)
        measured = {metric: _measured(found, entries, each, key) for metric, each in selections.items()}
        rows.append(TableRow(found.name, found.space, key, measured))
    return tuple(rows)


def join(group: str, metrics: Sequence[str], *, complete: bool = True) -> Joined:
    """Metrics of all architectures, from as many tables as they are in, aligned by key (never by position).

    Args:
        group: of tables, such as ``nasbench201``; or one table, ``GROUP/TABLE``.
        metrics: as in `query`; the first one's table says which architectures there are, and their order.
        complete: whether architectures are left out for which a value is missing.

    Raises:
        UsageError: as `query`; and an architecture has several rows under different conditions, between which the metric does not choose.
        MissingExtraError: pyarrow is not installed.
    """
    told = describe(group)
    found = told.group
    selections = _selections(found, told.tables, metrics)
    first = next(iter(selections.values()))
    keys = list(dict.fromkeys(first.table.keys[row] for row in first.rows.tolist()))
    values: dict[str, np.ndarray] = {}
    conditions: dict[str, dict[str, np.ndarray]] = {}
    for metric, selection in selections.items():
        values[metric], conditions[metric] = selection.aligned(keys)
    whole = np.ones(len(keys), np.bool_)
    for column in values.values():
        whole &= np.array([not is_missing(value) for value in column.tolist()], np.bool_)
    kept = np.flatnonzero(whole) if complete else np.arange(len(keys))
    return Joined(
        found.name,
        found.space,
        tuple(keys[row] for row in kept),
        {metric: column[kept] for metric, column in values.items()},
        {metric: selection.column.unit for metric, selection in selections.items()},
        {metric: selection.table.info.source for metric, selection in selections.items()},
        {metric: selection.table.info.licence for metric, selection in selections.items()},
        {metric: {name: column[kept] for name, column in each.items()} for metric, each in conditions.items()},
        int(len(keys) - whole.sum()),
    )


def _selections(group: Group, entries: Sequence[Entry], metrics: Iterable[str]) -> dict[str, Selection]:
    found: dict[str, Meaning] = {metric: meaning_of(group, entries, metric) for metric in metrics}
    if not found:
        raise UsageError(f"name at least one metric (nasopt tables show {group.name} lists them)")
    return {metric: _selection(group, meaning) for metric, meaning in found.items()}


def _selection(group: Group, meaning: Meaning) -> Selection:
    return Selection(meaning.metric, open_table(group, meaning.entry), meaning.column, meaning.selectors)


def _measured(group: Group, entries: Sequence[Entry], selection: Selection, key: str) -> Measured:
    value, conditions, rows = selection.value(key)
    info = selection.table.info
    elsewhere = () if rows else tuple(_elsewhere(group, entries, selection, key))
    return Measured(value, selection.column.unit, info.label, selection.column.name, info.source, conditions, rows, elsewhere)


def _elsewhere(group: Group, entries: Sequence[Entry], selection: Selection, key: str) -> Iterator[str]:
    """The names under which tables that are here have what is missing in the one that was meant."""
    for meaning in meanings(entries, selection.metric):
        if meaning.entry.path is not None and meaning.entry.info.label != selection.table.info.label:
            try:
                value, _, _ = _selection(group, meaning).value(key)
            except UsageError:  # no such rows, or one has to say which
                continue
            if value is not None:
                yield meaning.name


def _key(group: Group, entries: Sequence[Entry], asked: Sequence[BenchmarkTable], text: str) -> str:
    """The key of the architecture that a user names: in the tables that are asked, else as the space reads it, else in other tables."""
    tidy = group.key.tidy(text)
    found = _in_tables(group, asked, tidy)
    if found is not None:
        return found
    refused = ""
    if group.space is not None:
        from nasopt.spaces.registry import get_space  # which imports onnx: not needed where the key is a table's own

        space: Any = get_space(group.space, **group.settings)
        try:
            return group.key.of_genes(space, space.parse(text))
        except UsageError as error:
            refused = f"; {error}"
    found = _in_tables(group, (open_table(group, entry) for entry in entries if entry.path is not None), tidy)
    if found is None:
        raise UsageError(f"no table of {group.name} has the architecture '{text}'{refused or f'; keys look like {_example(asked)}'}")
    return found


def _in_tables(group: Group, tables: Iterable[BenchmarkTable], text: str) -> str | None:
    for table in tables:
        key = text if table.rows_of(text) else _by_alias(group, table, text)
        if key is not None:
            return key
    return None


def _by_alias(group: Group, table: BenchmarkTable, text: str) -> str | None:
    """The key of the architecture that another column of the table names so."""
    for column in table.info.columns:
        if column.name in group.aliases:
            values = table.column(column.name)
            number = values.dtype.kind in "iu"
            if number and not re.fullmatch("[0-9]{1,9}", text):
                continue
            rows = np.flatnonzero(values == (int(text) if number else text))
            if len(rows):
                return table.keys[int(rows[0])]
    return None


def _example(tables: Sequence[BenchmarkTable]) -> str:
    return next((f"'{table.keys[0]}'" for table in tables if table.rows), "nothing: they are empty")
