"""Graphs as exporters leave them: norms folded into the layers before them.

Most files that users have were exported for inference, without the norms that the network was trained with. A predictor that has seen only
the one form takes the other for another network. A layer norm has the word of a batch norm: where one stands directly behind a layer, the
second form is one that nobody exports.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nasopt.graphs.computational_graph import VOCABULARY, CGFeatures

__all__ = ["folded"]

NORM = VOCABULARY.index("batchnorm")
Ints = np.ndarray[Any, np.dtype[np.int64]]


def folded(graph: CGFeatures) -> CGFeatures:
    """The graph without norms that read nothing but a weighted node which nobody else reads; that node has a bias then.

    Args:
        graph: as the network was trained. It is given back as it is where nothing can be folded.
    """
    weighted, nodes = len(graph.weighted_ops), len(graph.resolutions)
    begins, ends = graph.edges
    reads, read_by = np.bincount(ends, minlength=nodes), np.bincount(begins, minlength=nodes)
    into = np.full(nodes, -1, np.int64)
    into[ends] = begins  # the one that a node of a single edge reads
    norms = weighted + np.flatnonzero(graph.regular_ops == NORM)
    gone = norms[(reads[norms] == 1) & (into[norms] < weighted)]
    gone = gone[read_by[into[gone]] == 1]
    if not len(gone):
        return graph
    biases = graph.biases.copy()
    biases[into[gone]] = 1
    stands_for = np.arange(nodes)
    stands_for[gone] = into[gone]
    stays = np.ones(nodes, np.bool_)
    stays[gone] = False
    place = np.cumsum(stays) - 1
    edges = np.unique(place[stands_for[graph.edges]], axis=1)
    edges = edges[:, edges[0] != edges[1]]
    return CGFeatures(
        graph.weighted_ops, graph.kernels, biases, graph.regular_ops[stays[weighted:]], graph.resolutions[stays], edges
    )  # fmt: skip
