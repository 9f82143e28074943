"""The front of a set of candidates."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasopt.mutations.space import SearchSpace

__all__ = ["front_of"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


def front_of(space: SearchSpace, genomes: Ints, *, chosen: Ints | None = None) -> Ints:
    """Different candidates that no other beats in both saliency and MACs, by ascending MACs.

    Args:
        space: the compiled space.
        genomes: candidates, one a row.
        chosen: one of them that is kept wherever it lies.
    """
    genomes = np.unique(genomes, axis=0)
    kept = space.kept(genomes)
    macs, saliency = space.costs.macs(kept), space.saliency(kept)
    order = np.lexsort((-saliency, macs))
    cheaper = np.fmax.accumulate(np.append(-np.inf, saliency[order][:-1]))  # the best of those that cost less
    stays = saliency[order] > cheaper
    if chosen is not None:
        stays |= (genomes[order] == chosen).all(axis=1)
    return np.asarray(genomes[order[stays]])
