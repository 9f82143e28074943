"""A surrogate that learns from measurements: every group's losses get a factor of their own.

The damage of a candidate is predicted as the sum of what its groups lose, each cut alone. What was measured of whole candidates corrects
the factors of the groups: nonnegative least squares on relative errors, with a prior that keeps all factors near a common one, so that a
handful of measurements moves only what they speak about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasopt.mutations.space import SearchSpace

__all__ = ["refitted"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

LEAST = 0.05
"""No group is free to cut, whatever a handful of measurements says."""

ERROR, PRIOR = 0.05, 0.5
"""Relative standard deviations: of what is measured, and of a group's factor around the common one."""


def refitted(space: SearchSpace, kept: Sequence[Ints], damages: Sequence[float]) -> SearchSpace:
    """The space with losses that agree better with what was measured.

    Args:
        space: as it was before anything was measured.
        kept: units kept per group, once a measured candidate.
        damages: what was measured of each, in any unit; those that are not positive or not finite say nothing.
    """
    lost = np.array([[space.lost(place, int(units)) for place, units in enumerate(row)] for row in kept], np.float64)
    measured = np.asarray(damages, np.float64)
    told = np.isfinite(measured) & (measured > 0) & (lost.sum(axis=1) > 0) if len(lost) else np.zeros(0, np.bool_)
    if not told.any():
        return space
    from scipy.optimize import nnls

    lost, measured = lost[told], measured[told]
    common = float(np.median(measured / lost.sum(axis=1)))
    groups = lost.shape[1]
    # In units of the common factor, so that both halves are relative.
    rows = np.concatenate([lost * common / measured[:, None] / ERROR, np.eye(groups) / PRIOR])
    factors, _ = nnls(rows, np.concatenate([np.full(len(lost), 1 / ERROR), np.full(groups, 1 / PRIOR)]))
    return space.weighted(list(np.maximum(factors, LEAST) * common))
