"""How well predictions agree with what was measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasopt.predictor_results import Agreement

__all__ = ["agreement"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


def agreement(found: Floats, truth: Floats, *, same_unit: bool = True) -> Agreement:
    """Kendall's and Spearman's rank correlation (0 where either side does not differ), and the mean absolute error.

    Args:
        found: predictions, (n,).
        truth: of the same rows.
        same_unit: whether there is an error to speak of.
    """
    from scipy.stats import kendalltau, spearmanr

    if np.ptp(found) == 0 or np.ptp(truth) == 0:
        tau = srcc = 0.0
    else:
        tau, srcc = (float(statistic(found, truth)[0]) for statistic in (kendalltau, spearmanr))
    return Agreement(tau, srcc, float(np.abs(found - truth).mean()) if same_unit else None)
