"""Every table that nasopt knows of, whether it is here, and those that the user imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from nasopt.errors import UsageError
from nasopt.spaces.tables.columnar import read_description
from nasopt.spaces.tables.columns import ColumnInfo
from nasopt.spaces.tables.described.cells import NASBENCH101, NASBENCH301, ONCENAS_BENCH, TRANSNAS_MACRO, TRANSNAS_MICRO
from nasopt.spaces.tables.described.chains import FBNET, MNASNET, NASBENCH_MACRO, OFA_MBV3
from nasopt.spaces.tables.described.nasbench201 import NASBENCH201
from nasopt.spaces.tables.described.zoos import ASSETS, TIMM, ZOOS
from nasopt.spaces.tables.info import Asset, Group, TableInfo
from nasopt.spaces.tables.keys import Key
from nasopt.spaces.tables.places import IMPORTED, cache_directory, directories, find, published_digest, require_intact
from nasopt.spaces.tables.table import BenchmarkTable

__all__ = [
    "GROUPS",
    "Described",
    "Entry",
    "absent",
    "advice",
    "describe",
    "group_named",
    "list_assets",
    "list_tables",
    "open_table",
    "tables_of",
]

GROUPS: Mapping[str, Group] = {
    group.name: group
    for group in (
        NASBENCH101, NASBENCH201, NASBENCH301, TRANSNAS_MICRO, TRANSNAS_MACRO, NASBENCH_MACRO, FBNET, MNASNET, OFA_MBV3, ONCENAS_BENCH,
        TIMM, ZOOS,
    )
}  # fmt: skip

_opened: dict[Path, tuple[tuple[int, int], BenchmarkTable]] = {}
"""By path, as long as size and time stay as they are."""

USUAL_KEYS = ("arch_str", "arch_key", "arch", "hash", "architecture", "model")
"""Of imported tables of a group that is not described here: the first of them that it has."""


@dataclass(frozen=True)
class Entry:
    """A table of the catalogue.

    Attributes:
        info: what it holds.
        path: where it is; None where it is not here.
        imported: whether the user imported it.
    """

    info: TableInfo
    path: Path | None
    imported: bool = False

    @property
    def checksum(self) -> str:
        """``absent``, ``unknown`` (nobody gives one), ``right`` or ``wrong``: hashes the file, once."""
        if self.path is None:
            return "absent"
        if not published_digest(self.path):
            return "unknown"
        try:
            require_intact(self.path)
        except UsageError:
            return "wrong"
        return "right"


@dataclass(frozen=True)
class Described:
    """A group and its tables, or one of them."""

    group: Group
    tables: tuple[Entry, ...]


def list_tables() -> tuple[Entry, ...]:
    """All tables, by group: those that nasopt describes, here or not, and those that were imported.

    Raises:
        UsageError: an imported table cannot be read.
    """
    return tuple(entry for name in (*GROUPS, *_other_groups()) for entry in tables_of(group_named(name)))


def list_assets() -> tuple[Asset, ...]:
    """Published files that are not tables."""
    return ASSETS


def describe(name: str) -> Described:
    """What a group holds, or one table.

    Args:
        name: ``GROUP``, or ``GROUP/TABLE``.

    Raises:
        UsageError: there is neither; names those that there are.
    """
    first, _, table = name.partition("/")
    group = group_named(first)
    entries = tables_of(group)
    if table:
        chosen = tuple(entry for entry in entries if table in {entry.info.name, entry.info.short})
        if not chosen:
            raise UsageError(f"{group.name} has no table '{table}' (tables: {', '.join(entry.info.name for entry in entries)})")
        entries = chosen
    return Described(group, entries)


def group_named(name: str) -> Group:
    """The group of this name.

    Raises:
        UsageError: there is none.
    """
    others = _other_groups()
    for group in GROUPS.values():
        if name in {group.name, group.also}:
            return group
    if name in others:
        infos = [info for info, _ in _imported(name)]
        names = {column.name for info in infos for column in info.columns}
        key = next((key for key in USUAL_KEYS if key in names), "index")
        return Group(name, name, Key((key,)), (), aliases=("index",))
    near = get_close_matches(name, (*GROUPS, *others), 1)
    raise UsageError(
        f"there are no tables '{name}'{f'; did you mean {near[0]}?' if near else ''} (groups of tables: {', '.join((*GROUPS, *others))})"
    )


def tables_of(group: Group) -> tuple[Entry, ...]:
    """The tables of a group, in the order in which names are looked for: those that nasopt describes, then the imported ones."""
    described = tuple(Entry(info, find(info.file)) for info in group.tables)
    return (*described, *(Entry(info, path, imported=True) for info, path in _imported(group.name)))


def open_table(group: Group, entry: Entry) -> BenchmarkTable:
    """The table, its file checked; the same object as long as the file does not change.

    Raises:
        UsageError: it is not here, says what to fetch and how to import it; or the file is damaged.
    """
    if entry.path is None:
        raise absent(entry.info)
    require_intact(entry.path)
    status = entry.path.stat()
    stamp = status.st_size, status.st_mtime_ns
    known = _opened.get(entry.path)
    if known is None or known[0] != stamp:
        known = _opened[entry.path] = stamp, BenchmarkTable(entry.info, group.key, entry.path)
    return known[1]


def absent(info: TableInfo) -> UsageError:
    """What is raised for a table that is not here: says what to do about it."""
    places = " or ".join(str(directory / info.file) for directory in directories())
    return UsageError(f"the table {info.label} is not here: {advice(info)}; or put the converted table at {places}")


def advice(info: TableInfo) -> str:
    """What to fetch from where, and how to import it."""
    if info.imports:
        return f"fetch {info.fetch}, then: nasopt tables import {info.imports}"
    return f"its figures are from {info.source}, which nasopt cannot import"


def _other_groups() -> tuple[str, ...]:
    """Groups of which there are only imported tables."""
    root = cache_directory() / IMPORTED
    return tuple(sorted(path.name for path in root.iterdir() if path.is_dir() and path.name not in GROUPS)) if root.is_dir() else ()


def _imported(group: str) -> Iterator[tuple[TableInfo, Path]]:
    for path in sorted((cache_directory() / IMPORTED / group).glob("*.parquet")):
        status = path.stat()
        yield _imported_info(path, status.st_size, status.st_mtime_ns), path


@lru_cache(maxsize=256)
def _imported_info(path: Path, _size: int, _time: int) -> TableInfo:
    told = read_description(path)
    try:
        return TableInfo(
            group=str(told["group"]), name=str(told["name"]), title=str(told["title"]), rows=int(told["rows"]),
            columns=tuple(ColumnInfo(**column) for column in told["columns"]), source=str(told["source"]), licence=str(told["licence"]),
            file=f"{IMPORTED}/{told['group']}/{path.name}", tasks=tuple(told["tasks"]), notes=str(told["notes"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{path}: does not describe itself as an imported table: delete it, and import the release again") from None
