"""How unlike a network is to those that a predictor was trained on.

A predictor answers whatever it is asked. So each network has a short description: shares of operations, and logarithms of size and
cost; and what is unlike is far from the nearest of training, in units of what is usual among those of training themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasopt.graphs.computational_graph import VOCABULARY, CGFeatures

__all__ = ["TINY", "Likeness", "description", "descriptions", "usual"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

USUAL = 95
"""Percentile of the distances within training that counts as 1."""
KEPT = 400
"""Descriptions kept of training at most."""
TINY = 1e-4
"""What is added to costs before their logarithm."""
FLOOR = 0.02
"""Least deviation of a share that distances are measured in, or a word that training never saw would be infinitely far."""


def description(graph: CGFeatures, gflops: float, params: float) -> Floats:
    """Shares of the vocabulary's words, then log2 of nodes, largest image side, FLOPs and parameters: (31,).

    Args:
        graph: features.
        gflops: 2 x MACs / 1e9.
        params: parameters / 1e6.
    """
    words = np.bincount(np.concatenate([graph.weighted_ops, graph.regular_ops]), minlength=len(VOCABULARY))
    nodes = len(graph.resolutions)
    sizes = [nodes, 256 * graph.resolutions[:, :4].max(initial=1 / 256), gflops + TINY, params + TINY]
    return np.concatenate([words / nodes, np.log2(sizes)])


def descriptions(graphs: Sequence[CGFeatures], gflops: Floats, params: Floats) -> Floats:
    """Of several networks: (n, 31); arguments as of `description`."""
    return np.stack([description(*one) for one in zip(graphs, gflops, params, strict=True)])


def usual(descriptions: Floats) -> tuple[Floats, Floats]:
    """Mean of descriptions, and what each number is measured in, (31,) both."""
    floor = np.concatenate([np.full(len(VOCABULARY), FLOOR), np.full(4, 0.25)])
    return descriptions.mean(axis=0), np.maximum(descriptions.std(axis=0), floor)


class Likeness:
    """Remembers descriptions of training networks."""

    def __init__(self, known: Floats, scale: Floats, usual: float) -> None:
        """Takes what `of` found.

        Args:
            known: descriptions, (n, 31).
            scale: what each number is measured in, (31,).
            usual: distance that counts as 1.
        """
        self.known, self.scale, self.usual = known, scale, usual

    @classmethod
    def of(cls, descriptions: Floats, seed: int = 0, *, also: Floats | None = None) -> Likeness:
        """Learns what is usual; of many networks, a random part is kept.

        Args:
            descriptions: of networks, (n, 31).
            seed: of the part.
            also: of the same networks in another form, which is as familiar, (n, 31); what is usual is measured without it.
        """
        rows = np.sort(np.random.default_rng(seed).permutation(len(descriptions))[:KEPT])
        known = descriptions[rows]
        _, scale = usual(known)
        nearest = [_nearest(np.delete(known, row, axis=0), one, scale) for row, one in enumerate(known)] if len(known) > 1 else [1.0]
        kept = known if also is None else np.concatenate([known, also[rows]])
        return cls(kept, scale, max(float(np.percentile(nearest, USUAL)), 0.1))

    def unlikeness(self, described: Floats) -> float:
        """Distance to the nearest training network; 1 is what 95 % of those stay below among themselves."""
        return _nearest(self.known, described, self.scale) / self.usual


def _nearest(known: Floats, one: Floats, scale: Floats) -> float:
    return float(np.sqrt((((known - one) / scale) ** 2).sum(axis=1)).min())
