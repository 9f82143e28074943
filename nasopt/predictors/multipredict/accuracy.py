"""Multi-Predict's accuracy predictor: dense layers over zero-cost proxies, which any space and task has (Section 5; extra ``torch``)."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nasopt.predictors.multipredict.transfer import Inputs, Recipe, predicted, trained

__all__ = ["ADAPT", "PRETRAIN", "ProxyPredictor", "centred", "taken_to"]

Values = np.ndarray[Any, np.dtype[np.float64]]

WIDTH, LAYERS = 128, 4
PRETRAIN = Recipe(epochs=60, batch=32, rate=1e-3)
ADAPT = Recipe(epochs=100, batch=10, rate=1e-3)
"""Table 14 has 250 epochs in batches of 128 at 4e-3, and 50 of one batch at 4e-4. On 140 rows that learns these by heart: with it transfer
gave a Spearman correlation of 0.51 where this gives 0.62 (four sources of `benchmarks.multipredict_accuracy`, one draw)."""
MIDDLE = 0.25, 0.75
"""Where the labels of pre-training lie mostly: a sigmoid leaves room on both sides for what another task has."""


class ProxyPredictor(nn.Module):
    """Four dense layers, as Table 14 has them."""

    def __init__(self, proxies: int) -> None:
        """Draws weights.

        Args:
            proxies: how many are read.
        """
        super().__init__()
        widths = [proxies] + [WIDTH] * (LAYERS - 1)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.dense = nn.Sequential(*layers, nn.Linear(WIDTH, 1))

    def forward(self, _structure: Tensor, metrics: Tensor) -> Tensor:
        """(n, proxies) to (n, 1), in (0, 1); structures are not looked at."""
        return torch.sigmoid(self.dense(metrics))

    def answers(self, proxies: np.ndarray[Any, np.dtype[np.float32]]) -> Values:
        """To scaled proxies, (n,)."""
        return predicted(self, measured_only(proxies))[:, 0]


def measured_only(proxies: np.ndarray[Any, np.dtype[np.float32]]) -> Inputs:
    """Architectures of which nothing but measurements is read."""
    return Inputs.of(np.empty((len(proxies), 0), np.float32), proxies)


def centred(labels: Values) -> Values:
    """Labels in the middle of (0, 1), by their mean and deviation: (n,)."""
    low, high = MIDDLE
    deviation = float(labels.std()) or 1.0
    return np.asarray((low + high) / 2 + (labels - labels.mean()) / deviation * (high - low) / 2)


def taken_to(
    predictor: ProxyPredictor, proxies: np.ndarray[Any, np.dtype[np.float32]], labels: Values, recipe: Recipe = ADAPT
) -> ProxyPredictor:
    """A copy that has learned a few labels of another space or task.

    Args:
        predictor: pre-trained, or with weights just drawn; stays as it is.
        proxies: of the few, scaled, (k, proxies).
        labels: theirs, in any unit: they are brought to the mean and deviation that pre-training had, (k,).
        recipe: how.
    """
    found = copy.deepcopy(predictor)
    trained(found, measured_only(proxies), centred(labels)[:, None], recipe)
    return found
