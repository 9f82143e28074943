"""grasp: what weights do to the flow of the gradient."""

from __future__ import annotations

from nasopt.predictors.proxies.contract import Evidence, Need, Proxy

__all__ = ["GRASP"]


def _score(evidence: Evidence) -> float:
    """The sum over all elements w of weights of products of ``-w (H g)``, g the gradient of the loss and H its Hessian."""
    pairs = zip(evidence.weights, evidence.curvature, strict=True)
    return float(-sum((weight.detach() * curvature).double().sum() for weight, curvature in pairs))


GRASP = Proxy("grasp", "Wang et al., ICLR 2020 (arXiv:2002.07376), Eq. 8; Abdelfattah et al., Eq. 1", frozenset({Need.CURVATURE}), _score)
