"""Predictors that read measurements of an architecture alone, so that they go from one space or task to another (Sections 3.3 and 5).

A vector of zero-cost proxies or of latencies on other devices has the same meaning in every space. Each space's own columns are scaled by
its own rows (`nasopt.predictors.multipredict.encodings.MinMax`); the network stays (extra ``torch``).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nasopt.predictors.multipredict.transfer import Inputs, Recipe, trained

__all__ = ["ACCURACY", "ACCURACY_FEW", "ACCURACY_WIDTH", "LATENCY", "LATENCY_FEW", "LATENCY_WIDTH", "MetricPredictor", "carried"]

Values = np.ndarray[Any, np.dtype[np.float64]]

ACCURACY_WIDTH, LATENCY_WIDTH = 128, 256
"""Of hidden layers: of accuracy across tasks (Table 14), of latency across spaces (Figure 7; the published code)."""
ACCURACY, ACCURACY_FEW = Recipe(epochs=60, batch=32, rate=1e-3), Recipe(epochs=100, batch=5, rate=1e-3)
"""Accuracy: pre-training, and adaptation by a few labels. Table 14 (250 epochs in batches of 128 at 4e-3, then 50 of one batch at 4e-4)
learns some hundred rows by heart; this was settled on the nine sets of even place in `benchmarks.multipredict_accuracy`, under seed 100."""
LATENCY, LATENCY_FEW = Recipe(epochs=250, batch=32, rate=4e-4), Recipe(epochs=50, batch=40, rate=4e-4)
"""Latency across spaces: the same (the published code)."""


class MetricPredictor(nn.Module):
    """Four dense layers over measurements, and a sigmoid."""

    def __init__(self, metrics: int, width: int = ACCURACY_WIDTH) -> None:
        """Draws weights.

        Args:
            metrics: how many measurements are read.
            width: of the three hidden layers.
        """
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(metrics, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, structure: Tensor, metrics: Tensor) -> Tensor:  # noqa: ARG002 - structures differ between spaces
        """(n, m) measurements to (n, 1), in (0, 1); the structure is not looked at."""
        return torch.sigmoid(self.dense(metrics))


def carried(network: MetricPredictor, inputs: Inputs, targets: Values, recipe: Recipe = ACCURACY_FEW) -> MetricPredictor:
    """A copy that has learned a few architectures of another space or task (Eq. 3).

    Args:
        network: pre-trained; stays as it is.
        inputs: the few architectures.
        targets: of the same, scaled to [0, 1], (k,).
        recipe: how.
    """
    found = copy.deepcopy(network)
    trained(found, inputs, targets[:, None], recipe)
    return found
