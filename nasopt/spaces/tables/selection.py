"""The rows of a table that a metric chooses, and what its column says of architectures in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.spaces.tables.columns import ColumnInfo
from nasopt.spaces.tables.info import TableInfo
from nasopt.spaces.tables.table import BenchmarkTable

__all__ = ["Selection", "chosen_rows", "is_missing"]

SHOWN = 40
"""Values that an error lists."""


def is_missing(value: object) -> bool:
    """Whether a value of a column is None or NaN."""
    return value is None or value != value  # noqa: PLR0124 - NaN is not equal to itself


class Selection:
    """A column of a table, in the rows that selectors choose.

    Attributes:
        metric: what the user asked for.
        table: where.
        column: in it.
        rows: those chosen, ascending.
    """

    def __init__(self, metric: str, table: BenchmarkTable, column: ColumnInfo, selectors: Sequence[str]) -> None:
        self.metric = metric
        self.table = table
        self.column = column
        self.rows = np.arange(table.rows)
        self._conditions = table.info.of_kind("condition")
        for selector in selectors:
            rows = chosen_rows(table, self.rows, selector)
            if rows is None:
                raise self._nothing(selector)
            self.rows = rows

    def value(self, key: str) -> tuple[Any, dict[str, Any], int]:
        """Value, conditions and number of measurements of one architecture.

        Raises:
            UsageError: it has rows under different conditions.
        """
        rows = np.array(self.table.rows_of(key), np.int64)
        return self._summed_up(key, rows if self._whole else rows[np.isin(rows, self.rows)])

    def aligned(self, keys: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Values and conditions of architectures, ``[keys]`` each; NaN or None where there are none.

        Raises:
            UsageError: one has rows under different conditions.
        """
        first, several = self._by_key
        own = [self.table.own_key(key) for key in keys]
        places = np.array([first.get(key, -1) for key in own], np.int64)
        values = _gathered(self.table.column(self.column.name), places)
        if several:
            if values.dtype.kind in "biu":
                values = values.astype(np.float64)
            for number, key in enumerate(own):
                if key in several:
                    value, _, _ = self._summed_up(key, np.array(several[key], np.int64))
                    values[number] = np.nan if value is None and values.dtype != object else value
        return values, {each.name: _gathered(self.table.column(each.name), places) for each in self._conditions}

    @property
    def _whole(self) -> bool:
        return len(self.rows) == self.table.rows

    @cached_property
    def _by_key(self) -> tuple[Mapping[str, int], Mapping[str, Sequence[int]]]:
        """The first chosen row of each architecture, and all chosen rows of those that have several."""
        if self._whole:
            return self.table.index, self.table.repeated
        found: dict[str, list[int]] = {}
        for row in self.rows.tolist():
            found.setdefault(self.table.keys[row], []).append(row)
        return {key: rows[0] for key, rows in found.items()}, {key: rows for key, rows in found.items() if len(rows) > 1}

    def _summed_up(self, key: str, rows: np.ndarray) -> tuple[Any, dict[str, Any], int]:
        values = self.table.column(self.column.name)[rows].tolist()
        known = [value for value in values if not is_missing(value)]
        conditions = {}
        for condition in self._conditions if len(rows) else ():
            found = _distinct(self.table.column(condition.name)[rows])
            if len(found) == 1:
                conditions[condition.name] = found[0]
            elif len(set(known)) > 1 or 0 < len(known) < len(values):  # else it does not depend on the condition
                shown = ", ".join(f"{self.metric}@{value}" for value in found[:SHOWN])
                raise UsageError(f"'{self.metric}' has a value for each {condition.name} of '{key}': write one of {shown}")
        return _mean(known), conditions, len(known)

    def _nothing(self, selector: str) -> UsageError:
        info = self.table.info
        columns = _selecting(info, selector)[0]
        known = "; ".join(f"{name}: {', '.join(map(str, _distinct(self.table.column(name)[self.rows])[:SHOWN]))}" for name in columns)
        return UsageError(f"'{self.metric}': {info.label} has no rows of '{selector}' ({known or 'its rows differ in no condition'})")


def chosen_rows(table: BenchmarkTable, rows: np.ndarray, selector: str) -> np.ndarray | None:
    """Those of the rows that a selector names, ``VALUE`` or ``CONDITION=VALUE``; None where there are none."""
    columns, value = _selecting(table.info, selector)
    if "task" not in columns and value in table.info.tasks:  # the whole table is of this task
        return rows
    for column in columns:
        chosen = _equal(table.column(column), value)[rows]
        if chosen.any():
            return np.asarray(rows[chosen])
    return None


def _selecting(info: TableInfo, selector: str) -> tuple[list[str], str]:
    """The columns that a selector may be about, and the value."""
    name, equals, value = selector.partition("=")
    columns = [column.name for column in info.of_kind("condition", "origin")]
    if equals and name in {*columns, "task"}:
        return [column for column in columns if column == name], value
    return columns, selector


def _equal(column: np.ndarray, text: str) -> np.ndarray:
    if column.dtype == object:
        return np.array([value == text for value in column.tolist()], np.bool_)
    try:
        number = float(text)
    except ValueError:
        return np.zeros(len(column), np.bool_)
    return np.asarray(column == number, np.bool_)


def _distinct(column: np.ndarray) -> list[Any]:
    """Its values, each once: texts in the order in which they come, numbers ascending."""
    values = list(dict.fromkeys(column.tolist()))
    return values if column.dtype == object else sorted(values)


def _gathered(column: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The values at places; missing where the place is -1."""
    there = places >= 0
    if there.all():
        return np.take(column, places)
    values = np.full(len(places), None, object) if column.dtype == object else np.full(len(places), np.nan)
    values[there] = column[places[there]]
    return values


def _mean(values: list[Any]) -> Any:
    """Of repeats: the value if all are equal, else the mean of numbers, and texts one after the other."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) < 2:
        return distinct[0] if distinct else None
    return ", ".join(distinct) if isinstance(distinct[0], str) else float(np.mean(values))
