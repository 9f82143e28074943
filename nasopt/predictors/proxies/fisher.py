"""fisher: what the loss feels of whole channels."""

from __future__ import annotations

import math

from torch import Tensor

from nasopt.predictors.proxies.contract import Evidence, Need, Proxy

__all__ = ["FISHER"]


def _score(evidence: Evidence) -> float:
    """The sum over products and their channels c of ``n_c mean over rows of (sum over places of a dL/da)^2 / 2``.

    a is the product's output, bias included, before norm and rectifier, and n_c the weights that a channel has: the published code gives
    each weight the score of its channel, and adds up weights.
    """
    found = 0.0
    for product, output, gradient in zip(evidence.products, evidence.outputs, evidence.by_outputs, strict=True):
        assert product.weight is not None
        felt = _by_channel(output * gradient, product.axis, evidence.subject.rows).double()
        found += product.weight.numel() / product.channels * float(felt.square().mean(0).sum()) / 2
    return found


def _by_channel(values: Tensor, axis: int, rows: int) -> Tensor:
    """Sums over all axes but the first and that of channels: (rows, channels)."""
    moved = values.movedim(axis, -1)
    channels = moved.shape[-1]
    return moved.reshape(rows, math.prod(moved.shape[:-1]) // rows, channels).sum(1)


FISHER = Proxy(
    "fisher",
    "Theis et al., 2018 (arXiv:1801.05787); Turner et al., ICLR 2020; Abdelfattah et al., Eq. 3",
    frozenset({Need.BY_OUTPUTS}),
    _score,
)
