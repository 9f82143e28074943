"""Several computational graphs as one: rows of all nodes, who reads whom as a sparse matrix, and where each graph begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.graphs.computational_graph import CGFeatures

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Block"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Block:
    """Graphs one behind the other, in each the weighted nodes first.

    Attributes:
        weighted: rows of weighted nodes.
        regular: rows of the other nodes.
        weighted_ops: indices of words, (weighted,).
        kernels: indices, (weighted, 2).
        biases: 0 or 1, (weighted,).
        regular_ops: indices of words, (regular,).
        resolutions: (nodes, 6).
        edges: rows from and to, (2, edges).
        begins: first row of each graph, and the number of rows, (graphs + 1,).
    """

    weighted: Ints
    regular: Ints
    weighted_ops: Ints
    kernels: Ints
    biases: Ints
    regular_ops: Ints
    resolutions: Floats
    edges: Ints
    begins: Ints

    @classmethod
    def of(cls, graphs: Sequence[CGFeatures]) -> Block:
        """Stacks graphs.

        Args:
            graphs: one or more.
        """
        sizes = np.array([len(graph.resolutions) for graph in graphs])
        begins = np.concatenate([[0], np.cumsum(sizes)])
        parts = list(zip(graphs, begins, strict=False))
        return cls(
            np.concatenate([begin + np.arange(len(graph.weighted_ops)) for graph, begin in parts]),
            np.concatenate([begin + np.arange(len(graph.weighted_ops), len(graph.resolutions)) for graph, begin in parts]),
            np.concatenate([graph.weighted_ops for graph in graphs]),
            np.concatenate([graph.kernels for graph in graphs]),
            np.concatenate([graph.biases for graph in graphs]),
            np.concatenate([graph.regular_ops for graph in graphs]),
            np.concatenate([graph.resolutions for graph in graphs]),
            np.concatenate([graph.edges + begin for graph, begin in parts], axis=1),
            begins,
        )

    @property
    def count(self) -> int:
        """How many graphs."""
        return len(self.begins) - 1

    @cached_property
    def adjacency(self) -> csr_array:
        """Sums over what each node reads: (nodes, nodes)."""
        from scipy.sparse import csr_array

        count = len(self.resolutions)
        begin, end = self.edges
        return csr_array((np.ones(len(begin), np.float32), (end, begin)), shape=(count, count))
