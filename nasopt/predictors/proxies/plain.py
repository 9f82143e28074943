"""plain: snip without its absolute value."""

from __future__ import annotations

from nasopt.predictors.proxies.contract import Evidence, Need, Proxy

__all__ = ["PLAIN"]


def _score(evidence: Evidence) -> float:
    """The sum over all elements w of weights of products of ``w dL/dw``.

    A norm behind a layer makes its sum 0, as the loss does not change with the scale of that layer: what is left is of layers without.
    """
    pairs = zip(evidence.weights, evidence.by_weights, strict=True)
    return float(sum((weight.detach() * gradient).double().sum() for weight, gradient in pairs))


PLAIN = Proxy("plain", "Mozer and Smolensky, NeurIPS 1988; Abdelfattah et al., their code's plain", frozenset({Need.BY_WEIGHTS}), _score)
