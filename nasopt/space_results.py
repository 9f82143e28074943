"""What the verbs about search spaces and benchmark tables return: frozen records, like `nasopt.results`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasopt.drawings import Drawing

__all__ = [
    "Architecture",
    "BuiltNetwork",
    "DrawnArchitecture",
    "ImportResult",
    "QueryResult",
    "SampledArchitectures",
    "SpaceDetail",
    "SpaceSummary",
    "SpacesResult",
    "TableColumn",
    "TableDetail",
    "TableSummary",
    "TablesDetail",
    "TablesResult",
]


@dataclass(frozen=True, slots=True)
class SpaceSummary:
    """One search space; `settings` are those of the published one."""

    name: str
    title: str
    architectures: int
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SpacesResult:
    """All search spaces."""

    spaces: tuple[SpaceSummary, ...]


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture: its official text, its isomorphism class, its genes."""

    text: str
    key: str
    genes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SpaceDetail:
    """What there is to know of a space before one uses it."""

    summary: SpaceSummary
    source: str
    options: tuple[int, ...]
    """How many values each gene takes."""
    operations: tuple[str, ...]
    example: Architecture


@dataclass(frozen=True, slots=True)
class SampledArchitectures:
    """Random architectures of a space, in the order in which they were drawn."""

    space: str
    settings: Mapping[str, Any]
    seed: int
    architectures: tuple[Architecture, ...]


@dataclass(frozen=True, slots=True)
class BuiltNetwork:
    """A network that was written. ``macs`` and ``params`` are the project's; tables count in ways of their own (docs/spaces.md)."""

    space: str
    settings: Mapping[str, Any]
    architecture: Architecture
    output: Path
    macs: int
    params: int
    nodes: int
    input_shape: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class DrawnArchitecture:
    """Pictures of an architecture, by the name of the part: of its cells, or ``network``."""

    space: str
    architecture: Architecture
    drawings: Mapping[str, Drawing]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a benchmark table; `device` is set where ``latency:DEVICE`` means it."""

    name: str
    kind: str
    unit: str
    device: str


@dataclass(frozen=True, slots=True)
class TableSummary:
    """A benchmark table; `path` is None, and `rows` 0, where it is not here."""

    name: str
    space: str
    about: str
    rows: int
    path: Path | None
    fetch: str


@dataclass(frozen=True, slots=True)
class TableDetail:
    """A benchmark table with all that is known of it."""

    summary: TableSummary
    source: str
    licence: str
    settings: Mapping[str, Mapping[str, Any]]
    """Of the space, under which it was made, by task; under the empty name those of all rows."""
    tasks: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    sha256: str
    verified: bool | None
    """Whether the file's checksum is the one on record; None where none is."""


@dataclass(frozen=True, slots=True)
class TablesResult:
    """Benchmark tables."""

    tables: tuple[TableSummary, ...]


@dataclass(frozen=True, slots=True)
class TablesDetail:
    """The tables of a group."""

    group: str
    tables: tuple[TableDetail, ...]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What tables say of an architecture: values by metric, unrounded, None where it is missing or could not be measured.

    Attributes:
        group: of the tables.
        architecture: its key in them.
        values: by metric, as is all that follows.
        units: empty for texts.
        sources: the table of each.
        elsewhere: of missing values, the names under which other tables have them.
    """

    group: str
    architecture: str
    values: Mapping[str, float | int | str | bool | None]
    units: Mapping[str, str]
    sources: Mapping[str, str]
    elsewhere: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """A release that was imported."""

    table: TableSummary
    columns: tuple[str, ...]
    notes: str
