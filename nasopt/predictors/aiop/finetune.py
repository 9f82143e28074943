"""A predictor taken to another task: zero-shot, or with a few labels (extra ``torch``).

Adapters are asked one by one and their answers averaged, as AIO-P's code does, or have one head (`nasopt.predictors.aiop.joint`). What is
trained on the few labels is what its documented command trains (``k_adapt`` 1): the backbone's layers and the adapters' heads; the
embedding and the adapters' own layers stay. Without adapters all of the network is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nasopt.predictors.aiop.network import Adapter, Network, beside, means, run_head
from nasopt.predictors.aiop.training import CLIP, LARGE, Data

__all__ = ["Few", "Transfer", "fine_tuned", "matched"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

LEAST = 1e-3
"""Deviation below which answers to a target's networks are taken for equal."""


@dataclass(frozen=True)
class Transfer:
    """A trained network with any number of adapters beside it.

    Attributes:
        network: embedding, backbone, and the head that is asked where there are no adapters.
        adapters: on it.
        joint: one head for all adapters (`nasopt.predictors.aiop.joint`), asked in place of theirs.
    """

    network: Network
    adapters: tuple[Adapter, ...] = ()
    joint: nn.ModuleList | None = None

    def heads(self) -> list[nn.ModuleList]:
        """Those that are asked."""
        if self.joint is not None:
            return [self.joint]
        return [adapter.head for adapter in self.adapters] or [self.network.head]

    def read(self, block: dict[str, Tensor]) -> list[Tensor]:
        """What each of them reads, (graphs, n)."""
        if self.joint is not None:
            return [self.embedding(block)]
        if not self.adapters:
            return [self.network.reading(block)]
        states = self.network.states(block)
        return [adapter.reading(block, states) for adapter in self.adapters]

    def readings(self, blocks: Iterable[dict[str, Tensor]]) -> list[Tensor]:
        """The same of many blocks."""
        return [torch.cat(parts) for parts in zip(*map(self.read, blocks), strict=True)]

    def embedding(self, block: dict[str, Tensor]) -> Tensor:
        """Means over nodes of the backbone and of all adapters, and the description where adapters read it: (graphs, n)."""
        states = self.network.states(block)
        each = [means(block, states[-1]), *(adapter.embedding(block, states) for adapter in self.adapters)]
        return beside(self.adapters[0].about if self.adapters else self.network.about, block, each)

    def embeddings(self, blocks: Iterable[dict[str, Tensor]]) -> Tensor:
        """The same of many blocks."""
        return torch.cat([self.embedding(block) for block in blocks])

    def answers(self, block: dict[str, Tensor]) -> list[Tensor]:
        """Of each head: (graphs,) each."""
        return [run_head(head, read) for head, read in zip(self.heads(), self.read(block), strict=True)]

    def outputs(self, data: Data) -> Floats:
        """The mean of the answers, (n,); targets are not looked at."""
        with torch.no_grad():
            found = [torch.stack(self.answers(block)).mean(0) for block in data.blocks(LARGE)]
        return torch.cat(found).numpy().astype(np.float64)

    def trainable(self) -> list[nn.Parameter]:
        """What a few labels change."""
        if not self.adapters:
            return list(self.network.parameters())
        parts: Sequence[nn.Module] = [self.network.layers, *self.heads()]
        return [parameter for part in parts for parameter in part.parameters()]


@dataclass(frozen=True)
class Few:
    """How to train on a few labels.

    Attributes:
        epochs: rounds through them.
        batch: graphs a step.
        rate: of Adam, falling to 0.
        seed: of the order.
    """

    epochs: int = 100
    batch: int = 5
    rate: float = 5e-4
    seed: int = 0


def matched(transfer: Transfer, target: Data) -> Transfer:
    """A copy whose every head answers a target's networks with mean 0 and deviation 1, as its own task's labels were scaled.

    Networks of another space are all alike to an adapter: far off on one side. What is said of them is their order; mean and deviation of
    the labels come from elsewhere (Eq. 4). Not in the paper.

    Args:
        transfer: stays as it is.
        target: networks of the target, two or more that differ; their labels are not looked at.
    """
    found = copy.deepcopy(transfer)
    with torch.no_grad():
        for head, inputs in zip(found.heads(), found.readings(target.blocks(LARGE)), strict=True):
            answers, last = run_head(head, inputs), head[-1]
            assert isinstance(last, nn.Linear)
            deviation = answers.std(unbiased=False).clamp_min(LEAST)
            last.bias.copy_((last.bias - answers.mean()) / deviation)
            last.weight.div_(deviation)
    return found


def fine_tuned(transfer: Transfer, few: Data, how: Few | None = None) -> Transfer:
    """A copy that has learned a few labels; the last epoch is kept, as there is nothing to choose by.

    Args:
        transfer: stays as it is.
        few: the labels, scaled as the target's are.
        how: to train.
    """
    how = how or Few()
    tuned = copy.deepcopy(transfer)
    parameters = tuned.trainable()
    optimizer = torch.optim.Adam(parameters, lr=how.rate)
    targets = torch.from_numpy(few.targets.astype(np.float32))
    rng = np.random.default_rng(how.seed)
    for epoch in range(how.epochs):
        for group in optimizer.param_groups:
            group["lr"] = how.rate * 0.5 * (1 + float(np.cos(np.pi * epoch / how.epochs)))
        order = rng.permutation(len(few.graphs))
        for first in range(0, len(order), how.batch):
            rows = order[first : first + how.batch]
            answers = tuned.answers(few.block(rows))
            loss = torch.stack([nn.functional.mse_loss(answer, targets[rows]) for answer in answers]).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch
            nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
    return tuned
