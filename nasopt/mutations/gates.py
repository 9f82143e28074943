"""What a set of units costs by the derivatives of the outputs: for small damage, and by first order."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasopt.graphs.units import Units

__all__ = ["by_derivatives"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def by_derivatives(units: Units, derivatives: Floats) -> list[tuple[Ints, Floats] | None]:
    """For each group the order in which its units should go, and what is lost with the first 0, 1, … of them.

    A unit costs the mean square of its derivatives (`nasopt.runtime.fisher`, where they are explained): the diagonal of the Fisher
    information of gates, as in Theis et al. (2018) and Liu et al. (ICML 2021), or the squared first-order Taylor term of Molchanov et al.
    (CVPR 2019, Eq. 8), with the gradients of random signs times outputs.

    Args:
        units: the solved couplings.
        derivatives: (rows, units), NaN where nothing is known.

    Returns:
        Once a group: places in `group.units`, and losses in shares of the outputs' variance, the same currency for all groups; None where
        nothing is known of a unit of it.
    """
    found: list[tuple[Ints, Floats] | None] = []
    for group in units.groups:
        scores = np.square(derivatives[:, group.units]).mean(axis=0) if len(derivatives) else np.full(len(group), np.nan)
        if not np.isfinite(scores).all():
            found.append(None)
            continue
        order = np.argsort(scores, kind="stable")
        found.append((order, np.concatenate([[0.0], np.cumsum(scores[order])])))
    return found
