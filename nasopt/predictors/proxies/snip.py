"""snip: what the loss feels of single weights."""

from __future__ import annotations

from nasopt.predictors.proxies.contract import Evidence, Need, Proxy

__all__ = ["SNIP"]


def _score(evidence: Evidence) -> float:
    """The sum over all elements w of weights of products of ``|w dL/dw|`` (which is the derivative by a mask on w)."""
    pairs = zip(evidence.weights, evidence.by_weights, strict=True)
    return float(sum((weight.detach() * gradient).abs().double().sum() for weight, gradient in pairs))


SNIP = Proxy("snip", "Lee et al., ICLR 2019 (arXiv:1810.02340), Eq. 5; Abdelfattah et al., Eq. 1", frozenset({Need.BY_WEIGHTS}), _score)
