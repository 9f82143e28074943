"""zen: how much a random network of this architecture moves with its input."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nasopt.predictors.proxies.contract import Evidence, Proxy
from nasopt.predictors.proxies.observed import Norms, Observer

__all__ = ["ZEN"]

_STEP = 1e-2


def _score(evidence: Evidence) -> float:
    """``log E |f(x) - f(x + 0.01 e)|_1 + sum over norms of log sqrt(mean running variance)``.

    f are the features before the last pool over the whole image (the answers where there is none), x and e are standard normal, of the
    batch's shape. All weights of products are standard normal, biases 0, scales 1, shifts 0; norms use the batch's statistics, which both
    passes move into running variances that began at 1, a tenth each time. So was it published, and so are tables made.
    """
    subject, random = evidence.subject, torch.Generator().manual_seed(evidence.subject.seed)
    drawn: dict[int, Tensor] = {}

    def redraw(parameter: nn.Parameter, operand: Tensor) -> Tensor:
        if id(parameter) not in drawn:
            drawn[id(parameter)] = torch.empty_like(parameter).normal_(generator=random)
        return drawn[id(parameter)].as_strided(operand.size(), operand.stride(), operand.storage_offset())

    at = tuple(_normal(value, random) for value in subject.inputs)
    beside = tuple(x + _STEP * _normal(x, random) if x.is_floating_point() else x for x in at)
    observer = Observer(subject.rows, norms=Norms.FRESH, redraw=redraw)
    with torch.no_grad():
        features, moved = ((subject.run(observer, inputs), observer.pooled) for inputs in (at, beside))
    first, second = (answer if pooled is None else pooled for answer, pooled in (features, moved))
    apart = float((first - second).double().abs().sum()) / subject.rows
    scaling = sum(math.log(float(variance.mean())) / 2 for variance in observer.variances)
    return math.log(apart) + scaling if apart > 0 else -math.inf


def _normal(value: Tensor, random: torch.Generator) -> Tensor:
    return torch.randn(value.shape, generator=random, dtype=value.dtype) if value.is_floating_point() else value


ZEN = Proxy("zen", "Lin et al., ICCV 2021 (arXiv:2102.01063), Algorithm 1", frozenset(), _score)
