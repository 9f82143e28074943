"""What a reader of a benchmark's files gives: columns, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Column", "Release"]

Column = np.ndarray | list[str]
"""Numbers ``[n]``, or n texts."""


@dataclass(frozen=True)
class Release:
    """A benchmark as its authors released it, read into columns of one length.

    Attributes:
        name: what the table is called, such as ``nats_bench``.
        space: whose architectures the rows are: a name of the registry of spaces, or another group such as ``timm``.
        columns: by name; the first ones tell the rows apart (``index``, ``arch_str``, ``hash``, ``model``, …).
        units: of the columns that have one: ``%``, ``ms``, ``mJ``, ``s``, ``millions``, …
        source: who published the data, where.
        licence: of the data, as their authors state it.
        notes: what one has to know to use the columns.
    """

    name: str
    space: str
    columns: dict[str, Column]
    units: dict[str, str] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()), []))
