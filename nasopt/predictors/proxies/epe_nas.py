"""epe_nas: how differently a network sees the rows of one class."""

from __future__ import annotations

import math

import numpy as np

from nasopt.predictors.proxies.contract import Evidence, Need, Proxy

__all__ = ["EPE_NAS"]

_FLOOR = 1e-5
_MANY = 100
"""Classes from which on they are compared with each other."""


def _score(evidence: Evidence) -> float:
    """Scores s = sum of ``log(|r| + k)`` over the correlations r of the Jacobian's rows of one class, k = 1e-5; see `jacov` for rows.

    Up to 100 classes it is the sum of ``|s|`` over classes; with more, s is divided by the rows of the class, and it is the sum of
    ``|s - s'|`` over pairs of classes, divided by the classes (those with one row are left out). NaN if a row is constant, or has
    no class of its own.
    """
    assert evidence.by_inputs is not None
    assert evidence.labels is not None
    if evidence.labels.ndim != 1:
        return math.nan
    rows, labels = evidence.by_inputs.double().numpy(), evidence.labels.numpy()
    many, found = evidence.classes > _MANY, []
    for label in np.unique(labels):
        members = rows[labels == label]
        if many and len(members) < 2:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            correlations = np.abs(np.corrcoef(members))
        if not np.isfinite(correlations).all():
            return math.nan
        found.append(float(np.log(correlations + _FLOOR).sum()) / (len(members) if many else 1))
    scores = np.array(found)
    if not many:
        return float(np.abs(scores).sum())
    return float(np.abs(scores[:, None] - scores).sum() / len(scores)) if len(scores) else 0.0


EPE_NAS = Proxy("epe_nas", "Lopes et al., ICANN 2021 (arXiv:2102.08099), Section 3", frozenset({Need.BY_INPUTS, Need.LABELS}), _score)
