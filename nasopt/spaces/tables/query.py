"""What the tables of a group say of an architecture, and columns of several tables joined by architecture.

A metric is named ``[FILE/]COLUMN[@TASK]`` or ``latency:[FILE/]DEVICE[@TASK]``. Where several tables have a column, the file says which; a
device is looked up in the first table that has it, in the catalogue's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.spaces.tables.info import TableInfo
from nasopt.spaces.tables.places import locate
from nasopt.spaces.tables.store import catalogue
from nasopt.spaces.tables.table import FileTable, open_table

__all__ = ["Found", "Joined", "Metric", "groups", "join", "query", "resolve", "tables_of"]

Array = np.ndarray[Any, Any]
Value = float | int | str | bool | None

LATENCY = "latency:"


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of a table, as it was asked for."""

    asked: str
    table: FileTable
    column: str
    task: str = ""

    @property
    def unit(self) -> str:
        return self.table.info.column(self.column).unit


@dataclass(frozen=True, slots=True)
class Found:
    """What tables say of one architecture.

    Attributes:
        group: of tables.
        arch: the architecture, as the tables name it.
        values: by metric as asked, unrounded; None where it is missing or could not be measured. Of repeated measurements the mean.
        units: likewise.
        sources: ``GROUP/FILE`` that each value is from.
    """

    group: str
    arch: str
    values: Mapping[str, Value]
    units: Mapping[str, str]
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Joined:
    """Columns of several tables, row by row of one architecture.

    Attributes:
        keys: architectures that all tables have, in the order of the first metric's table.
        columns: by metric as asked, (architectures,).
    """

    keys: tuple[str, ...]
    columns: Mapping[str, Array]


def groups() -> dict[str, list[TableInfo]]:
    """Tables by group, imported ones included."""
    found: dict[str, list[TableInfo]] = {}
    for info in catalogue():
        found.setdefault(info.group, []).append(info)
    return found


def tables_of(group: str) -> list[TableInfo]:
    """The tables of a group.

    Raises:
        UsageError: there is no such group.
    """
    known = groups()
    if group not in known:
        near = get_close_matches(group, known, 1)
        raise UsageError(f"there are no tables '{group}'{f'; did you mean {near[0]}?' if near else ''} (tables: {', '.join(known)})")
    return known[group]


def resolve(group: str, asked: str, opened: dict[str, FileTable] | None = None) -> Metric:
    """The column that a metric means.

    Args:
        group: of tables.
        asked: the metric.
        opened: tables that are open already; grows.

    Raises:
        UsageError: no table that is here has it, or several have, or not for this task; the message lists what there is.
    """
    infos, opened = tables_of(group), {} if opened is None else opened
    latency = asked.startswith(LATENCY)
    name, _, task = asked.removeprefix(LATENCY).rpartition("@") if "@" in asked else (asked.removeprefix(LATENCY), "", "")
    file, _, column = name.rpartition("/")
    if file and file not in {info.stem for info in infos}:
        raise UsageError(f"{group} has no table '{file}' (tables: {', '.join(info.stem for info in infos)})")
    present = [info for info in infos if locate(info) is not None and file in ("", info.stem)]
    if not present:
        open_table(next(info for info in infos if file in ("", info.stem)))  # says what to fetch
    matches = []
    for info in present:
        table = opened.setdefault(info.name, open_table(info))
        for one in table.columns:
            told = info.column(one)
            named = one == column and (told.kind != "copy" or file)
            if (told.kind == "latency" and told.device == column) if latency else named:
                matches.append(Metric(asked, table, one, task))
    if not matches:
        raise UsageError(_unknown(group, asked, column, opened.values(), latency=latency))
    if latency:
        matches = [one for one in matches if not task or task in _tasks(one.table)][:1] or matches[:1]
    if task:
        with_task = [one for one in matches if task in _tasks(one.table)]
        if not with_task:
            tasks = ", ".join(dict.fromkeys(one for match in matches for one in _tasks(match.table))) or "none"
            raise UsageError(f"'{asked}': {', '.join(_spelt(one, '') for one in matches)} has no such task (tasks: {tasks})")
        matches = with_task
    if len(matches) > 1:
        raise UsageError(f"'{asked}' stands in several tables of {group}; say which: {', '.join(_spelt(one, task) for one in matches)}")
    return matches[0]


def query(group: str, arch: str, metrics: Sequence[str]) -> Found:
    """What tables say of an architecture.

    Args:
        group: of tables, e.g. ``nasbench201``.
        arch: the architecture as the tables name it, or in any form that its space reads.
        metrics: what to look up.

    Raises:
        UsageError: no such tables, metric or architecture; or a table is not here.
    """
    opened: dict[str, FileTable] = {}
    resolved = [resolve(group, asked, opened) for asked in metrics]
    key = _key(arch.strip(), [one.table for one in resolved])
    return Found(
        group,
        key,
        {one.asked: _value(one, key) for one in resolved},
        {one.asked: one.unit for one in resolved},
        {one.asked: one.table.info.name for one in resolved},
    )


def join(group: str, metrics: Sequence[str]) -> Joined:
    """Columns of several tables, joined by architecture and never by position.

    Args:
        group: of tables.
        metrics: what to join; of repeated measurements the mean is taken.

    Raises:
        UsageError: no such tables or metric, a table is not here, or no architecture is in all of them.
    """
    opened: dict[str, FileTable] = {}
    resolved = [resolve(group, asked, opened) for asked in metrics]
    rows = [_rows(one) for one in resolved]
    keys = tuple(key for key in rows[0] if all(key in other for other in rows[1:])) if rows else ()
    if not keys:
        raise UsageError(f"no architecture of {group} is in all of these tables: {', '.join(one.table.info.name for one in resolved)}")
    columns = {}
    for one, found in zip(resolved, rows, strict=True):
        values = one.table.column(one.column)
        if all(len(found[key]) == 1 for key in keys):
            joined = values[[found[key][0] for key in keys]]
        else:
            joined = np.array([_mean(values[found[key]].tolist()) for key in keys])
        if one.table.info.failed is not None and joined.dtype.kind == "f" and one.table.info.column(one.column).kind == "latency":
            joined = np.where(joined == one.table.info.failed, np.nan, joined)
        columns[one.asked] = joined
    return Joined(keys, columns)


def _rows(metric: Metric, keys: Iterable[str] | None = None) -> dict[str, list[int]]:
    """Rows by key, of the metric's task.

    Raises:
        UsageError: an architecture was measured on several tasks, and the metric does not say on which.
    """
    table = metric.table
    if not table.info.task:
        return table.index
    tasks = table.column(table.info.task)
    found = {}
    for key in table.index if keys is None else keys:
        rows = [row for row in table.index.get(key, ()) if not metric.task or str(tasks[row]) == metric.task]
        several = list(dict.fromkeys(str(tasks[row]) for row in rows))
        if len(several) > 1:
            spelt = ", ".join(_spelt(metric, one) for one in several)
            raise UsageError(f"'{metric.asked}' was measured on several tasks; say which: {spelt}")
        if rows:
            found[key] = rows
    return found


def _value(metric: Metric, key: str) -> Value:
    rows = _rows(metric, [key]).get(key, [])
    values = metric.table.column(metric.column)[rows].tolist()
    info = metric.table.info
    measured = [value for value in values if value is not None and value == value]  # noqa: PLR0124 - NaN is not itself
    if info.failed is not None and info.column(metric.column).kind == "latency":
        measured = [value for value in measured if value != info.failed]
    return _mean(measured) if measured else None


def _mean(values: Sequence[Any]) -> Any:
    """Of numbers; of others, and of one, the first."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return sum(values) / len(values) if len(values) > 1 and numbers else values[0]


def _key(arch: str, tables: Sequence[FileTable]) -> str:
    """The name that the tables have for an architecture.

    Raises:
        UsageError: they have none, and the space cannot read it.
    """
    for table in tables:
        if arch in table.index:
            return arch
    info = tables[0].info
    if arch.isdigit() and "index" in tables[0].columns:
        rows = np.flatnonzero(tables[0].column("index") == int(arch))
        if len(rows):
            return tables[0].keys[int(rows[0])]
    if not info.space:
        near = ", ".join(get_close_matches(arch, tables[0].index, 3))
        raise UsageError(f"{info.name} has no row '{arch}'{f'; did you mean one of {near}?' if near else ''}")
    from nasopt.spaces.registry import get_space

    space = get_space(info.space)
    return space.table_key(space.parse(arch))


def _tasks(table: FileTable) -> list[str]:
    return list(dict.fromkeys(map(str, table.column(table.info.task)))) if table.info.task else []


def _spelt(metric: Metric, task: str) -> str:
    """How to ask for just this column."""
    told = metric.table.info.column(metric.column)
    prefix = LATENCY if metric.asked.startswith(LATENCY) else ""
    return f"{prefix}{metric.table.info.stem}/{told.device if prefix else metric.column}{f'@{task}' if task else ''}"


def _unknown(group: str, asked: str, column: str, tables: Any, *, latency: bool) -> str:
    names: dict[str, None] = {}
    for table in tables:
        for one in table.columns:
            told = table.info.column(one)
            if told.kind == "latency" and latency:
                names[told.device] = None
            elif told.kind not in ("key", "task", "setting", "copy") and not latency:
                names[one] = None
    near = get_close_matches(column, names, 3)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(names)}"
    return f"{group} has no {'device' if latency else 'metric'} '{asked.removeprefix(LATENCY)}'; {hint}"
