"""params: how many numbers a network learns."""

from __future__ import annotations

from nasopt.predictors.proxies.contract import Evidence, Proxy

__all__ = ["PARAMS"]


def _score(evidence: Evidence) -> float:
    """Elements of all parameters, each counted once: weights, biases, scales and shifts of norms."""
    return float(sum(parameter.numel() for parameter in evidence.subject.network.parameters()))


PARAMS = Proxy("params", "NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS 2022), Table 1", frozenset(), _score)
