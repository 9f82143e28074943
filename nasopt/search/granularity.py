"""In which steps channel counts move: coarse ones run fast, fine ones reach further.

ONNX Runtime's blocked convolutions want channels in multiples of the vector width; odd counts fall back to slow kernels (a −14 % MACs
MobileNetV2 pruned without steps is 69 % slower). ``auto`` starts at the target's step and halves it, group by group, where the drop
needs it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from nasopt.mutations.space import SearchSpace
from nasopt.search.constraints import Constraints
from nasopt.search.descent import unreachable

__all__ = ["CPU_STEP", "Granularity", "refine_steps"]

Granularity = int | Literal["auto"]

CPU_STEP = 16


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
