"""AdaProxy (Lu et al. 2021), the baseline of AIO-P's Tables 6 and 7: a few labels scale a predictor's last layer, all else stays."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nasopt.predictors.aiop.finetune import Transfer
from nasopt.predictors.aiop.network import run_head
from nasopt.predictors.aiop.training import LARGE, Data

__all__ = ["AdaProxy", "ada_proxied"]


@dataclass(frozen=True)
class AdaProxy:
    """How to fit, by default as AIO-P's appendix says.

    Attributes:
        epochs: rounds through the labels, all at once in each.
        sparsity: lambda, what the vector's absolute values cost.
        rate: of Adam, falling to 0; ten times that of `Few`, since a round is one step here and not one for each label.
    """

    epochs: int = 1000
    sparsity: float = 1e-5
    rate: float = 5e-3


def ada_proxied(transfer: Transfer, few: Data, how: AdaProxy | None = None) -> Transfer:
    """A copy whose last weights w are (alpha + b) * w, with alpha and b of the least |((alpha + b) * w) x - y|^2 + lambda |b|.

    It starts at alpha = 1, b = 0, the predictor as it was; the bias stays. Every head that is asked is fitted by itself.

    Args:
        transfer: stays as it is.
        few: the labels, as they are: AdaProxy takes the place of their scaling.
        how: to fit.
    """
    how = how or AdaProxy()
    tuned = copy.deepcopy(transfer)
    targets = torch.from_numpy(few.targets).float()
    with torch.no_grad():
        read = tuned.readings(few.blocks(LARGE))
    for head, inputs in zip(tuned.heads(), read, strict=True):
        _fit(head, inputs, targets, how)
    return tuned


def _fit(head: nn.ModuleList, inputs: Tensor, targets: Tensor, how: AdaProxy) -> None:
    last = head[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        features = run_head(head, inputs, until=-1)
        terms = features * last.weight[0]
    alpha, sparse = torch.ones(1, requires_grad=True), torch.zeros(terms.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([alpha, sparse], lr=how.rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.epochs)
    for _ in range(how.epochs):
        errors = terms @ (alpha + sparse) + last.bias.detach() - targets
        loss = errors.square().mean() + how.sparsity * sparse.abs().sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        optimizer.step()
        falling.step()
    with torch.no_grad():
        last.weight.mul_((alpha + sparse)[None])
