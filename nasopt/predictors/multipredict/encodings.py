"""What a predictor reads of an architecture: its structure ("Vec"), or measurements of it (proxies, latencies on other devices)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nasopt.spaces.nasbench201 import EDGES
from nasopt.spaces.registry import get_space
from nasopt.spaces.space import Genes, Space

__all__ = ["MinMax", "adjacency", "cell_nodes", "structures"]

Floats = np.ndarray[Any, np.dtype[np.float32]]
Values = np.ndarray[Any, np.dtype[np.float64]]

SAME = 1e-12
"""Width of a column's range, relative to its values, below which it says nothing."""
INPUT, OUTPUT, WHOLE = range(3)
"""Features of nodes that are no operations; `WHOLE` is the global node, whose embedding is read."""


@dataclass(frozen=True)
class MinMax:
    """Columns to [0, 1], by the rows that it was fitted on; others may fall outside.

    Attributes:
        low: least values, (m,).
        high: largest values, (m,).
        logged: columns that spread over orders of magnitude, of which the signed logarithm is taken first, (m,).
    """

    low: Values
    high: Values
    logged: np.ndarray[Any, np.dtype[np.bool_]] = field(default_factory=lambda: np.zeros(0, np.bool_))

    @classmethod
    def fit(cls, values: Values, *, log: bool = False) -> MinMax:
        """Takes limits from rows.

        Args:
            values: of training rows only, (n, m).
            log: for proxies, whose largest may be 1e6 times their median.
        """
        spread = np.abs(values).max(axis=0) > 100 * (np.median(np.abs(values), axis=0) + 1e-12)
        logged = spread if log else np.zeros(values.shape[1], np.bool_)
        taken = _taken(values, logged)
        return cls(taken.min(axis=0), taken.max(axis=0), logged)

    def apply(self, values: Values) -> Floats:
        """Scaled, (n, m); what lies far outside the fitted range is cut off at a range's width."""
        width = self.high - self.low
        width = np.where(width > SAME * np.maximum(1.0, np.abs(self.high)), width, 1.0)
        return np.clip((_taken(values, self.logged) - self.low) / width, -1, 2).astype(np.float32)


def _taken(values: Values, logged: np.ndarray[Any, np.dtype[np.bool_]]) -> Values:
    return np.asarray(np.where(logged, np.sign(values) * np.log1p(np.abs(values)), values), np.float64)


def structures(space: str, architectures: Sequence[Genes]) -> Floats:
    """Nodes of graphs where the space's cell is one (NAS-Bench-201: (n, 9, 8)), else the space's own vector (FBNet: (n, 132))."""
    if space == "nasbench201":
        return cell_nodes(architectures)
    known: Space = get_space(space)
    return np.stack([known.vec(genes) for genes in architectures]).astype(np.float32)


def cell_nodes(architectures: Sequence[Genes]) -> Floats:
    """NAS-Bench-201's cells with operations as nodes: input, six edges, output, and a global node, one-hot: (n, 9, 8)."""
    genes = np.array(architectures)
    nodes = np.zeros((len(genes), len(EDGES) + 3, 8), np.float32)
    nodes[:, 0, INPUT] = nodes[:, len(EDGES) + 1, OUTPUT] = nodes[:, -1, WHOLE] = 1
    rows, places = np.indices(genes.shape)
    nodes[rows, 1 + places, 3 + genes] = 1
    return nodes


def adjacency() -> Floats:
    """Of these graphs, (9, 9): entry [to, from] is 1 where a node reads another; each reads itself, and the global node reads all."""
    count = len(EDGES) + 3
    reads = np.eye(count, dtype=np.float32)
    for place, (begin, end) in enumerate(EDGES, start=1):
        if begin == 0:
            reads[place, 0] = 1
        if end == EDGES[-1][1]:
            reads[count - 2, place] = 1
        for other, (start, _) in enumerate(EDGES, start=1):
            if start == end:
                reads[other, place] = 1
    reads[-1] = 1
    return reads
