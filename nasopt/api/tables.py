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
from nasopt.spaces.tables.importing.formats import read_release
from nasopt.spaces.tables.info import TableInfo
from nasopt.spaces.tables.places import digest, expected, locate
from nasopt.spaces.tables.query import query, tables_of
from nasopt.spaces.tables.store import catalogue, keep
from nasopt.spaces.tables.table import open_table

__all__ = ["import_table", "list_tables", "query_tables", "show_tables"]

Progress = Callable[[str, float | None, str], None]


def list_tables() -> TablesResult:
    """All tables, those that are not here as well."""
    return TablesResult(tuple(map(_summary, catalogue())))


def show_tables(group: str) -> TablesDetail:
    """The tables of a group, or one of them (``GROUP/FILE``), with columns, sources, and checksums, which are computed.

    Raises:
        UsageError: there is no such group or table, or none of it is here.
    """
    name, _, file = group.partition("/")
    infos = [info for info in tables_of(name) if file in ("", info.stem)]
    if not infos:
        raise UsageError(f"{name} has no table '{file}' (tables: {', '.join(info.stem for info in tables_of(name))})")
    present = [info for info in infos if locate(info) is not None]
    if not present:
        open_table(infos[0])  # says what to fetch from where
    return TablesDetail(name, tuple(map(_detail, present)))


def query_tables(group: str, architecture: str, metrics: Sequence[str]) -> QueryResult:
    """What tables say of an architecture.

    Args:
        group: of tables, e.g. ``nasbench201``.
        architecture: as the tables name it, or in any form that its space reads.
        metrics: names of columns, ``FILE/COLUMN`` or ``COLUMN@TASK`` where that is not enough, or ``latency:DEVICE``.

    Raises:
        UsageError: no such tables, metric or architecture, or a table is not here.
    """
    if not metrics:
        raise UsageError("nothing to look up: name a metric; 'nasopt tables show' lists them")
    found = query(group, architecture, metrics)
    return QueryResult(found.group, found.arch, found.values, found.units, found.sources)


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
    release = read_release(path)
    report("write", None, release.name)
    info, _ = keep(release)
    return ImportResult(_summary(info), tuple(release.columns), release.notes)


def _summary(info: TableInfo) -> TableSummary:
    path = locate(info)
    return TableSummary(info.name, info.space, info.about, open_table(info).rows if path else 0, path, info.fetch)


def _detail(info: TableInfo) -> TableDetail:
    table = open_table(info)
    found, known = digest(table.path), expected(table.path)
    columns = tuple(
        TableColumn(name, told.kind, told.unit, told.device) for name in table.columns for told in [info.column(name)]
    )  # fmt: skip
    tasks = tuple(dict.fromkeys(map(str, table.column(info.task)))) if info.task else ()
    verified = None if known is None else known.get("sha256") == found
    return TableDetail(_summary(info), info.source, info.licence, info.settings, tasks, columns, found, verified)
