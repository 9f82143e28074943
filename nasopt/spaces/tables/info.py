"""What is known of a benchmark table before it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nasopt.errors import UsageError
from nasopt.spaces.tables.columns import ColumnInfo
from nasopt.spaces.tables.keys import Key

__all__ = ["Asset", "Group", "TableInfo"]


@dataclass(frozen=True)
class TableInfo:
    """One table.

    Attributes:
        group: of tables whose architectures have the same keys, such as ``nasbench201``.
        name: in the group.
        title: what it holds, in a line.
        rows: how many.
        columns: all of them, with kinds and units.
        source: who published the figures, where.
        licence: of the figures, as far as their publishers say.
        file: below the data directory, or below the directory of imported tables.
        tasks: that its rows are of: the values of the column ``task`` where it has one.
        settings: of the space under which the figures were found, by task (``""``: all rows): `get_space` takes them. A task whose network
            is not one of the space's is not listed.
        notes: what one has to know to use it.
        short: another name of it, as in ``latency:help/pixel3``.
        fetch: what to download from where to have these figures.
        imports: the part of the download that `import_table` takes; empty where nasopt cannot read what there is.
    """

    group: str
    name: str
    title: str
    rows: int
    columns: tuple[ColumnInfo, ...]
    source: str
    licence: str
    file: str
    tasks: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: str = ""
    short: str = ""
    fetch: str = ""
    imports: str = ""

    @property
    def label(self) -> str:
        """``GROUP/NAME``."""
        return f"{self.group}/{self.name}"

    def column(self, name: str) -> ColumnInfo:
        """The column of this name.

        Raises:
            UsageError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise UsageError(f"{self.label} has no column '{name}' (columns: {', '.join(column.name for column in self.columns)})")

    def of_kind(self, *kinds: str) -> tuple[ColumnInfo, ...]:
        """Its columns of these kinds."""
        return tuple(column for column in self.columns if column.kind in kinds)


@dataclass(frozen=True)
class Group:
    """Tables whose architectures have the same keys, so that they can be joined.

    Attributes:
        name: what users type: the space's, where the registry has it.
        title: as people call it.
        key: how a row names its architecture.
        tables: in the order in which a device or another name of an architecture is looked for.
        space: whose architectures these are, in the registry of spaces; None where it has no such space.
        settings: with which that space reads the architectures.
        aliases: columns that name an architecture in another way, by which it may be asked for, too.
        also: another name of the group.
    """

    name: str
    title: str
    key: Key
    tables: tuple[TableInfo, ...]
    space: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    also: str = ""


@dataclass(frozen=True)
class Asset:
    """A published file that is not a table: weights of a surrogate, or graphs.

    Attributes:
        files: below the data directory; a pattern where there are several.
    """

    name: str
    title: str
    files: str
    source: str
    licence: str
    notes: str = ""
