"""Allocation without search: walk down the steps that cost least saliency, then take back what was not needed.

Saliency is a sum over groups and costs are nearly so, hence the classical greedy of the knapsack problem: from the whole network take,
again and again, the step that loses least saliency per unit of cost saved. The walk seeds the search, traces its front and is the
answer where no search is wanted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nasopt.mutations.space import SearchSpace
from nasopt.search.constraints import Constraints

__all__ = ["descend", "give_back", "unreachable"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


def descend(space: SearchSpace, constraints: Constraints, start: Ints | None = None) -> tuple[Ints, list[Ints]]:
    """Walks down until the constraints hold, or nothing is left to take.

    Args:
        space: the compiled space.
        constraints: what to reach.
        start: a genome to begin at; the whole network if left out.

    Returns:
        The genome reached, and every genome on the way.
    """
    genome = (space.lengths - 1 if start is None else start).copy()
    path = [genome.copy()]
    while True:
        movable = np.flatnonzero(genome > 0)
        candidates = np.repeat(genome[None], len(movable) + 1, axis=0)  # the last stays where we are
        candidates[np.arange(len(movable)), movable] -= 1
        kept = space.kept(candidates)
        excess = np.maximum(constraints.excess(space, kept), 0.0).sum(axis=1)
        if excess[-1] <= 0 or not len(movable):
            break
        saliency = space.saliency(kept)
        saved, lost = excess[-1] - excess[:-1], saliency[-1] - saliency[:-1]
        if saved.max() <= 0:
            # No single step helps (a peak held by several tensors): take the cheapest one in activation bytes saved.
            volume = space.costs.activation_bytes(kept)
            saved = (volume[-1] - volume[:-1]) / max(float(volume[-1]), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            price = np.where(saved > 0, lost / saved, np.inf)
        best = int(np.argmin(price))
        if not np.isfinite(price[best]):
            break
        genome = candidates[best]
        path.append(genome.copy())
    return genome, path


def give_back(space: SearchSpace, constraints: Constraints, genome: Ints) -> Ints:
    """Takes steps back, the most saliency for its MACs first, until no admissible single step would still satisfy the constraints."""
    genome = genome.copy()
    while True:
        movable = np.flatnonzero(genome < space.lengths - 1)
        if not len(movable):
            return genome
        candidates = np.repeat(genome[None], len(movable), axis=0)
        candidates[np.arange(len(movable)), movable] += 1
        kept = space.kept(candidates)
        allowed = constraints.hold(space, kept)
        if not allowed.any():
            return genome
        gain = space.saliency(kept) - space.saliency(space.kept(genome[None]))[0]
        price = np.maximum(space.costs.macs(kept) - space.costs.macs(space.kept(genome[None]))[0], 1.0)
        genome = candidates[int(np.argmax(np.where(allowed, gain / price, -np.inf)))]


def unreachable(space: SearchSpace, constraints: Constraints) -> bool:
    """True where even the smallest network of the space violates a constraint."""
    return not bool(constraints.hold(space, space.kept(np.zeros((1, len(space.choices)), np.int64)))[0])
