"""nwot: how differently rectifiers split the rows of a batch."""

from __future__ import annotations

import math

import numpy as np

from nasopt.predictors.proxies.contract import Evidence, Need, Proxy

__all__ = ["NWOT"]


def _score(evidence: Evidence) -> float:
    """``log |det K|``, K_ij how many rectified elements rows i and j agree on, on or off, over all rectifiers.

    -inf if two rows agree on all; NaN without a rectifier.
    """
    if evidence.agreement is None:
        return math.nan
    return float(np.linalg.slogdet(evidence.agreement.numpy())[1])


NWOT = Proxy("nwot", "Mellor et al., ICML 2021 (arXiv:2006.04647v3), Section 3", frozenset({Need.AGREEMENT}), _score)
