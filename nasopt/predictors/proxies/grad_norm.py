"""grad_norm: how large the gradients are."""

from __future__ import annotations

from nasopt.predictors.proxies.contract import Evidence, Need, Proxy

__all__ = ["GRAD_NORM"]


def _score(evidence: Evidence) -> float:
    """The sum over the weights w of products of ``|dL/dw|``, the Euclidean norm; L is the mean cross-entropy."""
    return float(sum(gradient.double().norm() for gradient in evidence.by_weights))


GRAD_NORM = Proxy("grad_norm", "Abdelfattah et al., ICLR 2021 (arXiv:2101.08134), Section 3.1", frozenset({Need.BY_WEIGHTS}), _score)
