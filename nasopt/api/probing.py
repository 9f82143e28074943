"""Measured per-group divergence: how much a cut in each group alone moves the network's answers.

Losses of `surgery` are relative to one product; how much a product counts for the answers is not in them. Each group is cut alone, to a
few sizes, its readers are fitted in closed form, and the answers are compared with the original's on inputs that nothing was fitted
to. What that is worth: `benchmarks/ranking.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasopt.api.request import Progress
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.graphs.write_back import write_weights
from nasopt.mutations.rewrite import remove_units
from nasopt.mutations.space import SearchSpace
from nasopt.runtime.calibration import first_of
from nasopt.runtime.closed_form import fitted
from nasopt.runtime.fidelity import answers, divergence

__all__ = ["probed"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

SHARES = (0.25, 0.5, 0.75)
"""How much of a group is cut."""

WORK, WORK_WITHOUT_DATA = 1e12, 5e10
"""MACs that all probes may take together: a minute, or less; seconds where nobody brought data."""

DIRE = 10
"""Where answers are not finite any more, so many times the largest factor that was measured."""

FEWEST = 4
"""Inputs below which a probe says nothing; where not even they can be paid for, one cut a group has to do."""


def probed(
    space: SearchSpace, grams: Mapping[str, Floats], inputs: Sequence[Mapping[str, Array]], report: Progress, *, work: float = WORK
) -> SearchSpace:
    """The space with losses in units of measured divergence.

    Args:
        space: with the losses of a ranking that counts on least squares.
        grams: second moments by node name.
        inputs: to compare answers on, once a batch; nothing was fitted to them.
        report: is told how far it is.
        work: MACs that all probes may take together.
    """
    graph = space.units.graph
    whole = [len(group) for group in space.units.groups]
    macs = max(totals(graph).macs, 1) / max(_count_of_a_call(graph), 1)
    shares = SHARES if len(SHARES) * len(whole) * macs * FEWEST <= work else (0.5,)
    few = first_of(inputs, max(FEWEST, int(work / (len(shares) * max(len(whole), 1) * macs))))
    expected = answers(graph.model, few, origin=graph.origin)
    factors = []
    for place, size in enumerate(whole):
        report("probe", place / len(whole), space.units.groups[place].name)
        gone, factor = [], []
        for keep in sorted({max(1, round(size * (1 - share))) for share in shares}, reverse=True):
            kept = [keep if other == place else units for other, units in enumerate(whole)]
            lost = space.lost(place, keep)
            if keep == size or lost <= 0:
                continue
            removed = space.removed(kept)
            model = write_weights(remove_units(space.units, removed), fitted(space.units, removed, grams))
            found = divergence(expected, answers(model, few, origin=graph.origin))
            gone.append(size - keep)
            factor.append(found / lost if np.isfinite(found) else np.inf)
        factors.append((gone, factor))
    typical = [value for _, factor in factors for value in factor if 0 < value < np.inf]
    if not typical:
        return space
    middle, dire = float(np.median(typical)), DIRE * max(typical)
    return space.weighted(
        [
            np.interp(np.arange(size, -1, -1), gone, np.minimum(factor, dire)) if gone else np.full(size + 1, middle)
            for size, (gone, factor) in zip(whole, factors, strict=True)
        ]
    )


def _count_of_a_call(graph: Graph) -> int:
    return max((shape[0] for shape in graph.bound.values() if shape), default=1)
