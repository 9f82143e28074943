"""``tables``: benchmark tables listed, shown, queried and imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nasopt.errors import UsageError
from nasopt.space_results import (
    ImportResult,
    QueryResult,
    TableColumn,
    TableDetail,
    TablesDetail,
    TablesResult,
    TableSummary,
)
from nasopt.spaces.tables import catalogue, query, store
from nasopt.spaces.tables.places import digest

__all__ = ["import_table", "list_tables", "query_tables", "show_tables"]

Progress = Callable[[str, float | None, str], None]
VERIFIED = {"right": True, "wrong": False}


def list_tables() -> TablesResult:
    """All tables, those that are not here as well."""
    return TablesResult(tuple(map(_summary, catalogue.list_tables())))


def show_tables(group: str) -> TablesDetail:
    """The tables of a group, or one of them (``GROUP/FILE``), with columns, sources, and checksums, which are computed.

    Raises:
        UsageError: there is no such group or table, or none of it is here.
    """
    told = catalogue.describe(group)
    present = tuple(_detail(entry, entry.path) for entry in told.tables if entry.path is not None)
    if not present:
        raise catalogue.absent(told.tables[0].info)
    return TablesDetail(told.group.name, present)


def query_tables(group: str, architecture: str, metrics: Sequence[str]) -> QueryResult:
    """What tables say of an architecture.

    Args:
        group: of tables, e.g. ``nasbench201``, or one table, ``GROUP/TABLE``.
        architecture: as the tables name it, or in any form that its space reads.
        metrics: names of columns, ``FILE/COLUMN`` or ``COLUMN@TASK`` where that is not enough, or ``latency:DEVICE``.

    Raises:
        UsageError: no such tables, metric or architecture, or a table is not here.
    """
    if not metrics:
        raise UsageError("nothing to look up: name a metric; 'nasopt tables show' lists them")
    (row,) = query.query(group, architecture, metrics)
    sources = {metric: found.table for metric, found in row.measured.items()}
    elsewhere = {metric: found.elsewhere for metric, found in row.measured.items() if found.elsewhere}
    return QueryResult(row.group, row.key, row.values, row.units, sources, elsewhere)


def import_table(path: str | Path, *, progress: Progress | None = None) -> ImportResult:
    """Reads an official release, executing nothing from it, and keeps it as a table.

    Args:
        path: a file or folder as it was downloaded.
        progress: is told what happens.

    Raises:
        UsageError: it is none that can be imported, it is damaged, or it asks for more than to be read.
    """
    report = progress or (lambda _stage, _share, _detail: None)
    report("read", None, f"{path} (the largest take ten minutes)")
    entry = store.import_table(path)
    return ImportResult(_summary(entry), tuple(column.name for column in entry.info.columns), entry.info.notes)


def _summary(entry: catalogue.Entry) -> TableSummary:
    info = entry.info
    space = catalogue.group_named(info.group).space or ""
    return TableSummary(info.label, space, info.title, info.rows if entry.path else 0, entry.path, catalogue.advice(info))


def _detail(entry: catalogue.Entry, path: Path) -> TableDetail:
    info = entry.info
    columns = tuple(TableColumn(column.name, column.kind, column.unit, column.device) for column in info.columns)
    return TableDetail(
        _summary(entry), info.source, info.licence, info.settings, info.tasks, columns, digest(path), VERIFIED.get(entry.checksum)
    )  # fmt: skip
