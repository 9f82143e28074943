"""Architectures of a space with what a table says of them: what predictors learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.spaces.space import Genes, Space
from nasopt.spaces.tables.query import join

__all__ = ["Labelled", "labelled"]


@dataclass(frozen=True)
class Labelled:
    """Aligned.

    Attributes:
        genes: of the architectures.
        keys: as the tables name them.
        values: as the table has them, (n,).
        unit: of the values.
        factor: the unit's value of a label of 1: 100 for percents.
        source: who published them.
        licence: of the values, as their publishers state it.
    """

    genes: tuple[Genes, ...]
    keys: tuple[str, ...]
    values: np.ndarray[Any, np.dtype[np.float64]]
    unit: str
    factor: float
    source: str
    licence: str

    @property
    def labels(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Fractions where the values are percents: (n,)."""
        return self.values / self.factor


def labelled(space: Space, metric: str) -> Labelled:
    """All architectures that have a value, in the order of the metric's table.

    Args:
        space: whose tables are read.
        metric: as ``nasopt tables query`` takes it.

    Raises:
        UsageError: no such metric, or it is not a number; or a table is not here.
    """
    cell = ("accuracy_30001/adjacency", "accuracy_30001/ops") if space.name == "nasbench101" else ()  # its keys are hashes
    found = join(space.name, [metric, *cell])
    values = found.values[metric]
    if not np.issubdtype(values.dtype, np.number) or np.issubdtype(values.dtype, np.bool_):
        raise UsageError(f"{space.name}: '{metric}' is not a number that could be learned")
    texts = map("|".join, zip(*(found.values[one] for one in cell), strict=True)) if cell else found.keys
    unit = found.units[metric]
    return Labelled(
        tuple(space.parse(text) for text in texts), found.keys, np.asarray(values, np.float64), unit, 100.0 if unit == "%" else 1.0,
        found.sources[metric], found.licences[metric],
    )  # fmt: skip
