"""jacov: how differently a network sees the rows of a batch."""

from __future__ import annotations

import math

import numpy as np

from nasopt.predictors.proxies.contract import Evidence, Need, Proxy

__all__ = ["JACOV"]

_FLOOR = 1e-5


def _score(evidence: Evidence) -> float:
    """``- sum over eigenvalues v of (log(v + k) + 1 / (v + k))``, k = 1e-5, of the correlations between rows of the Jacobian.

    A row is the derivative of the sum of all outputs by one row of the inputs. NaN if one of them is constant.
    """
    assert evidence.by_inputs is not None
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.corrcoef(evidence.by_inputs.double().numpy())
    if not np.isfinite(correlations).all():
        return math.nan
    values = np.linalg.eigvalsh(correlations).clip(min=0) + _FLOOR  # a matrix of correlations has none below 0 but by rounding
    return float(-np.sum(np.log(values) + 1 / values))


JACOV = Proxy("jacov", "Mellor et al., first version (arXiv:2006.04647v1), Section 3", frozenset({Need.BY_INPUTS}), _score)
