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
    "SampledArchitectures",
    "SpaceDetail",
    "SpaceSummary",
    "SpacesResult",
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
