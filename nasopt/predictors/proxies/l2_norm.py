"""l2_norm: how large the weights are."""

from __future__ import annotations

from nasopt.predictors.proxies.contract import Evidence, Proxy

__all__ = ["L2_NORM"]


def _score(evidence: Evidence) -> float:
    """The sum over the weights w of products of ``|w|``, their Euclidean norm."""
    return float(sum(weight.detach().double().norm() for weight in evidence.weights))


L2_NORM = Proxy("l2_norm", "Abdelfattah et al., ICLR 2021 (arXiv:2101.08134), their code's l2_norm", frozenset(), _score)
