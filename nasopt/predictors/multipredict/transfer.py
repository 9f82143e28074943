"""Pre-training on several devices, and adaptation to another by a few measurements (Section 3.3; extra ``torch``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from nasopt.predictors.multipredict.network import LatencyPredictor

__all__ = ["ADAPT", "PRETRAIN", "Inputs", "Recipe", "adapted", "most_alike", "predicted", "trained"]

Floats = np.ndarray[Any, np.dtype[np.float32]]
Values = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

LARGE = 2048
"""Architectures at a time when nothing is learned."""


@dataclass(frozen=True)
class Inputs:
    """Encoded architectures.

    Attributes:
        structure: nodes (n, nodes, features) or vectors (n, features).
        metrics: measurements, (n, m); m may be 0.
    """

    structure: Tensor
    metrics: Tensor

    @classmethod
    def of(cls, structure: Floats, metrics: Floats | None = None) -> Inputs:
        """Of arrays."""
        beside = np.empty((len(structure), 0), np.float32) if metrics is None else metrics
        return cls(torch.from_numpy(structure), torch.from_numpy(beside))

    @classmethod
    def measured(cls, metrics: Values | Floats) -> Inputs:
        """Of measurements alone, (n, m)."""
        return cls.of(np.empty((len(metrics), 0), np.float32), metrics.astype(np.float32))

    def rows(self, rows: Ints) -> Inputs:
        """Some of them."""
        return Inputs(self.structure[rows], self.metrics[rows])

    def __len__(self) -> int:
        return len(self.structure)


@dataclass(frozen=True)
class Recipe:
    """How to train; the rates, decay and batches of the published code.

    Attributes:
        epochs: rounds through the architectures.
        batch: pairs of architecture and device a step; an architecture comes with all devices, which costs its embedding once.
        rate: of AdamW, falling to 0.
        decay: of its weights.
        loss: absolute errors, as in the published code, or squared ones, as in the paper.
        seed: of the order.
    """

    epochs: int = 250
    batch: int = 128
    rate: float = 4e-4
    decay: float = 5e-4
    loss: Literal["absolute", "squared"] = "absolute"
    seed: int = 0


PRETRAIN = Recipe()
ADAPT = Recipe(epochs=50, batch=5, rate=1e-4)
"""Table 15 adapts at 1e-3, the published code at 4e-4: on NAS-Bench-201, with four of the nine devices of pre-training set aside to adapt
to by ten measurements, smaller steps did better down to this one."""


def trained(network: nn.Module, inputs: Inputs, targets: Values, recipe: Recipe) -> None:
    """Trains in place.

    Args:
        network: of structures and measurements, with as many outputs as targets have columns.
        inputs: architectures.
        targets: their latencies, scaled to [0, 1] or so, (n, devices).
        recipe: how.
    """
    wanted = torch.from_numpy(np.asarray(targets, np.float32))
    size = max(1, recipe.batch // wanted.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs)
    rng = np.random.default_rng(recipe.seed)
    lose = nn.functional.l1_loss if recipe.loss == "absolute" else nn.functional.mse_loss
    for _ in range(recipe.epochs):
        order = rng.permutation(len(inputs))
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            part = inputs.rows(rows)
            loss = lose(network(part.structure, part.metrics), wanted[rows], reduction="sum")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch
            optimizer.step()
        falling.step()


def most_alike(few: Values, known: Values) -> int:
    """The device whose latencies rank the same architectures most alike (Eq. 1).

    Args:
        few: latencies on the new device, (k,).
        known: of the same architectures on devices of pre-training, (k, devices).
    """
    agreements = [float(spearmanr(few, column).statistic) if np.ptp(column) and np.ptp(few) else -1.0 for column in known.T]
    return int(np.argmax(agreements))


def adapted(
    network: LatencyPredictor, inputs: Inputs, few: Values, scaled: Values, vector: Tensor, recipe: Recipe = ADAPT
) -> LatencyPredictor:
    """A copy that has learned a few measurements on one other device.

    They are scaled to the mean and deviation that the same architectures have where the device resembles most: a few measurements say
    little of a range.

    Args:
        network: pre-trained; stays as it is.
        inputs: the architectures measured.
        few: latencies, (k,).
        scaled: of the same, as pre-training had them on the device that is most alike, (k,).
        vector: what the device's row begins as: that device's row of the table, or the device's own index or sample.
        recipe: how.
    """
    found = network.for_device(vector)
    deviation = float(np.std(few))
    targets = scaled.mean() + (few - few.mean()) * (scaled.std() / deviation if deviation else 0.0)
    trained(found, inputs, targets[:, None], recipe)
    return found


def predicted(network: nn.Module, inputs: Inputs) -> Values:
    """(n, devices)."""
    with torch.no_grad():
        found = []
        for first in range(0, len(inputs), LARGE):
            part = inputs.rows(np.arange(first, min(first + LARGE, len(inputs))))
            found.append(network(part.structure, part.metrics).numpy())
    return np.concatenate(found).astype(np.float64)
