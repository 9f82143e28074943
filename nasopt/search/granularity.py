"""In which steps channel counts move: coarse ones run fast, fine ones reach further.

ONNX Runtime's blocked convolutions want channels in multiples of the vector width; odd counts fall back to slow kernels (a −14 % MACs
MobileNetV2 pruned without steps is 69 % slower). ``auto`` starts at the target's step and halves it where the drop needs it: all
groups together down to `FAST_STEP` where coarse steps would cost much more of what the network knows, and below that group by group, only
so far that the drop can be reached at all.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from nasopt.mutations.space import SearchSpace
from nasopt.search.constraints import Constraints
from nasopt.search.descent import descend, give_back, unreachable

__all__ = ["CPU_STEP", "FAST_STEP", "STEPS", "Granularity", "choose_steps", "reaches", "refine_steps"]

Granularity = int | Literal["auto"]

CPU_STEP = 16
"""Channels in a vector register of the widest common CPUs, in float32."""

FAST_STEP = 4
"""ONNX Runtime's blocked kernels still take such channel counts; with finer ones it falls back to slow ones."""

STEPS = (CPU_STEP, 8, FAST_STEP)
"""What ``auto`` chooses from, where coarse steps reach the drop."""

WORTH = {16: 1.5, 8: 1.1}
"""A step is kept unless it loses this many times as much saliency as one half as large: full vectors are worth more than half ones.

Set in view of test accuracies of two ResNets; training images do not settle it (`benchmarks/settings.py`, docs/benchmarks.md).
"""


def choose_steps(space: SearchSpace, constraints: Constraints) -> SearchSpace:
    """The granularity of ``auto``.

    Args:
        space: the space at the target's step.
        constraints: what to reach.
    """
    if constraints.latency is not None:  # predicted milliseconds have the price of half vectors in them
        return refine_steps(space.at([min(step, FAST_STEP) for step in space.steps]), constraints)
    while max(space.steps, default=1) > FAST_STEP:
        finer = space.at([max(FAST_STEP, step // 2) for step in space.steps])
        worth = WORTH.get(max(space.steps), 1.0)
        if not unreachable(space, constraints) and _lost(space, constraints) <= worth * _lost(finer, constraints):
            return space
        space = finer
    return refine_steps(space, constraints)


def reaches(space: SearchSpace, constraints: Constraints, step: int) -> bool:
    """Whether the constraints can be reached in steps of `step`."""
    return not unreachable(space.at([step] * len(space.choices)), constraints)


def _lost(space: SearchSpace, constraints: Constraints) -> float:
    """Share of the saliency that the greedy answer loses."""
    genome = give_back(space, constraints, descend(space, constraints)[0])
    return 1.0 - float(space.saliency(space.kept(genome[None]))[0])


def refine_steps(space: SearchSpace, constraints: Constraints) -> SearchSpace:
    """Halves steps until the constraints can be reached, or every step is 1.

    Each time the group whose finer step lowers the reachable cost most is refined.

    Args:
        space: the space at the target's step.
        constraints: what to reach.
    """
    while unreachable(space, constraints) and max(space.steps, default=1) > 1:
        coarse = [index for index, step in enumerate(space.steps) if step > 1]
        floor = np.array([[choice[0] for choice in space.choices]], np.int64)
        candidates = np.repeat(floor, len(coarse), axis=0)
        finer = space.at([max(1, step // 2) for step in space.steps])
        for row, index in enumerate(coarse):
            candidates[row, index] = finer.choices[index][0]
        excess = np.maximum(constraints.excess(space, candidates), 0.0).sum(axis=1)
        best = coarse[int(np.argmin(excess))]
        space = space.at([max(1, step // 2) if index == best else step for index, step in enumerate(space.steps)])
    return space
