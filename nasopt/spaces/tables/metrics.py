"""What a metric's name means in a group of tables.

A name is a column's. ``TABLE/COLUMN`` says which table's; ``COLUMN@TASK`` says of which task, and ``COLUMN@VALUE`` or
``COLUMN@CONDITION=VALUE`` of which rows. ``latency:DEVICE`` is the latency on a device, of the first table that has the device;
``latency:TABLE/DEVICE`` of that table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from nasopt.errors import UsageError
from nasopt.spaces.tables.catalogue import Entry, absent, open_table
from nasopt.spaces.tables.columns import ColumnInfo
from nasopt.spaces.tables.info import Group
from nasopt.spaces.tables.selection import chosen_rows

__all__ = ["Meaning", "meaning_of", "meanings"]

LATENCY = "latency:"
SHOWN = 20
"""Candidates that an error lists."""


@dataclass(frozen=True)
class Meaning:
    """Which numbers a metric's name means.

    Attributes:
        metric: the name, as asked for.
        entry: the table.
        column: in it.
        selectors: what is left after the name, to choose rows by: ``VALUE`` or ``CONDITION=VALUE``.
    """

    metric: str
    entry: Entry
    column: ColumnInfo
    selectors: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that means this and nothing else."""
        latency = LATENCY if self.metric.startswith(LATENCY) and self.column.device else ""
        column = self.column.device if latency else self.column.name
        return latency + "@".join([f"{self.entry.info.name}/{column}", *self.selectors])


def meaning_of(group: Group, entries: Sequence[Entry], metric: str) -> Meaning:
    """The table and column that a metric's name means.

    A name that several tables have must say which; but what nasopt describes goes before what was imported, so that an import never
    changes what a name means, and of latencies the first table is meant.

    Raises:
        UsageError: no table has it, several have, or the one that has is not here; lists what could be meant.
    """
    latency = metric.startswith(LATENCY)
    found = meanings(entries, metric)
    if not found:
        raise _unknown(group, entries, metric)
    fitting = [meaning for meaning in found if _fits(meaning)]
    if not fitting:
        raise UsageError(f"{group.name}: '{metric}' fits no table: write one of {_choices(found, selected=False)}")
    return _one(group, metric, fitting, first=latency)


def meanings(entries: Sequence[Entry], metric: str) -> list[Meaning]:
    """All that a metric's name may mean, in the order of the tables."""
    latency = metric.startswith(LATENCY)
    table, rest = _table(entries, metric.removeprefix(LATENCY))
    among = [entry for entry in entries if not table or table in {entry.info.name, entry.info.short}]
    return [Meaning(metric, entry, column, selectors) for entry in among for column, selectors in _columns(entry, rest, latency=latency)]


def _one(group: Group, metric: str, found: list[Meaning], *, first: bool) -> Meaning:
    here = [meaning for meaning in found if meaning.entry.path is not None]
    described = [meaning for meaning in found if not meaning.entry.imported]
    if any(meaning in described for meaning in here):
        among = described if not first else [meaning for meaning in here if meaning in described]
    else:
        among = here or described
    if first:
        among = [meaning for meaning in among if meaning.entry is among[0].entry]
    if all(meaning.column.kind == "key" for meaning in among):  # tables of a group agree in them
        among = among[:1]
    among = [meaning for meaning in among if meaning.column.kind != "copy"] or among
    if len(among) > 1:
        among = [meaning for meaning in among if _chooses(group, meaning)] or among
    if len(among) > 1:
        raise UsageError(f"{group.name}: '{metric}' may mean several columns: write one of {_choices(among)}")
    (chosen,) = among
    if chosen.entry.path is None:
        raise absent(chosen.entry.info)
    return chosen


def _table(entries: Sequence[Entry], name: str) -> tuple[str, str]:
    """``TABLE`` and the rest, where the name begins with one."""
    first, slash, rest = name.partition("/")
    known = {label for entry in entries for label in (entry.info.name, entry.info.short) if label}
    return (first, rest) if slash and first in known else ("", name)


def _columns(entry: Entry, name: str, *, latency: bool) -> Iterator[tuple[ColumnInfo, tuple[str, ...]]]:
    """The columns of a table that a name may mean, each with the selectors that follow the name."""
    parts = name.split("@")
    for count in range(len(parts), 0, -1):  # names of columns may hold an @, too
        said, selectors = "@".join(parts[:count]), tuple(parts[count:])
        found = False
        for column in entry.info.columns:
            if latency and column.kind != "latency":
                continue
            if said and said in {column.name, column.device if latency else column.stem}:
                found = True
                by_task = column.task and said != column.name
                if not by_task or not selectors:
                    yield column, selectors
                elif column.task in selectors:
                    yield column, tuple(selector for selector in selectors if selector != column.task)
        if found:
            return
    if latency:  # tables whose rows, not columns, tell devices
        yield from ((column, tuple(parts)) for column in entry.info.of_kind("latency") if not column.device and not column.task)


def _fits(meaning: Meaning) -> bool:
    """Whether the selectors may choose rows: what only the file tells is found out later."""
    info = meaning.entry.info
    others = [column for column in info.of_kind("condition", "origin") if column.name != "task"]
    return bool(others) or all(selector.removeprefix("task=") in info.tasks for selector in meaning.selectors)


def _chooses(group: Group, meaning: Meaning) -> bool:
    """Whether the table has rows of the selectors; of one that is not here nobody knows."""
    if meaning.entry.path is None or not meaning.selectors:
        return True
    table = open_table(group, meaning.entry)
    rows: np.ndarray | None = np.arange(table.rows)
    for selector in meaning.selectors:
        rows = None if rows is None else chosen_rows(table, rows, selector)
    return rows is not None


def _choices(found: Sequence[Meaning], *, selected: bool = True) -> str:
    """The names that say exactly one of the columns, with the rows asked for or those that there are, as far as there is room."""
    names: list[str] = []
    for meaning in found:
        info, column = meaning.entry.info, meaning.column
        by_task = any(each.name == "task" for each in info.columns)
        selectors = (meaning.selectors if selected else ()) or (["|".join(info.tasks)] if by_task else [])
        names.append("@".join([f"{info.name}/{column.name}", *selectors]))
    more = f", … ({len(names)})" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _unknown(group: Group, entries: Sequence[Entry], metric: str) -> UsageError:
    latency = metric.startswith(LATENCY)
    name = metric.removeprefix(LATENCY).rpartition("/")[2].partition("@")[0]
    columns = [column for entry in entries for column in entry.info.columns if not latency or column.kind == "latency"]
    names = list(dict.fromkeys(column.device if latency else column.name for column in columns))
    names = [known for known in names if known]
    prefix = LATENCY if latency else ""
    near = [f"{prefix}{known}" for known in get_close_matches(name, names, 3)]
    what = f"latency on a device '{name}'" if latency else f"metric '{metric}'"
    hint = (
        f"did you mean {', '.join(near)}?"
        if near
        else f"{'devices' if latency else 'columns'}: {', '.join(names[:40])}{', …' if len(names) > 40 else ''}"
    )
    return UsageError(f"the tables of {group.name} have no {what}; {hint} (nasopt tables show {group.name})")
