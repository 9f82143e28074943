"""The latency of everything that one network can be pruned to, on one device.

What is believed of the device holds for classes of operators. A network adds what is its own: layers of one shape (class, size of image,
kernel) may be faster or slower than their class, and single layers than their shape. Timed variants of the network tell all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.predictors.latency.bayes import Gaussian, adapted
from nasopt.predictors.latency.encoding import CLASSES, MEASURES, LatencyTable

if TYPE_CHECKING:
    from nasopt.predictors.latency.bayes import Forward

__all__ = ["LatencyPredictor"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

SHAPE, LAYER = 0.3, 0.1
"""Deviations of the logarithm of what layers of a shape take, and single layers: guesses, and twice or thrice as much is as good."""
TOGETHER = 256
"""Candidates whose measures are held at once."""


@dataclass(frozen=True)
class LatencyPredictor:
    """Milliseconds of candidates, with deviations.

    Attributes:
        table: of the network.
        belief: about classes, then shapes, then layers: `LatencyTable` has their order.
    """

    table: LatencyTable
    belief: Gaussian

    @classmethod
    def of(cls, table: LatencyTable, device: Gaussian, *, shape: float = SHAPE, layer: float = LAYER) -> LatencyPredictor:
        """What is believed before the network itself, or a variant of it, was timed.

        Args:
            table: of the network.
            device: what is believed of the device, (classes x measures,).
            shape: deviation of shapes.
            layer: deviation of single layers.
        """
        count, shapes, nodes = len(device.mean), int(table.shapes.max()) + 1, len(table.classes)
        mean = np.concatenate([device.mean, np.zeros(shapes + nodes)])
        covariance = np.diag(np.concatenate([np.zeros(count), np.full(shapes, shape**2), np.full(nodes, layer**2)]))
        covariance[:count, :count] = device.covariance
        return cls(table, Gaussian(mean, covariance, device.noise, device.noise_spread))

    def adapted(self, kept: Ints, milliseconds: Floats) -> LatencyPredictor:
        """What is believed after variants were timed.

        Args:
            kept: units kept per group of each, (n, groups).
            milliseconds: of each, (n,).
        """
        return LatencyPredictor(self.table, adapted(self.belief, self._forward(kept), np.log(milliseconds)))

    def milliseconds(self, kept: Ints) -> Floats:
        """Means of candidates, (population,)."""
        weights = np.exp(self._log_weights(self.belief.mean))
        rows = [kept[begin : begin + TOGETHER] for begin in range(0, len(kept), TOGETHER)]
        return np.concatenate([np.einsum("mpn,mn->p", self.table.measures(some), weights) for some in rows] or [np.zeros(0)])

    def predict(self, kept: Ints) -> tuple[Floats, Floats]:
        """Means and deviations in ms, (population,) both."""
        logs, spreads = self.belief.predict(self._forward(kept))
        return np.exp(logs), np.exp(logs) * spreads

    def _log_weights(self, theta: Floats) -> Floats:
        """Of every measure of every node, (measures, nodes)."""
        table, width = self.table, len(CLASSES) * len(MEASURES)
        shapes = int(table.shapes.max()) + 1
        by_class = theta[:width].reshape(len(CLASSES), len(MEASURES))[table.classes]
        own = theta[width : width + shapes][table.shapes] + theta[width + shapes :]
        return np.asarray(np.clip(by_class.T + own, -60.0, 60.0))

    def _forward(self, kept: Ints) -> Forward:
        table = self.table
        measures = table.measures(kept)
        of_class, of_shape = np.eye(len(CLASSES))[table.classes], np.eye(int(table.shapes.max()) + 1)[table.shapes]

        def forward(theta: Floats) -> tuple[Floats, Floats]:
            parts = measures * np.exp(self._log_weights(theta))[:, None]
            whole = parts.sum(axis=(0, 2))
            shares = parts / whole[:, None]
            nodes = shares.sum(axis=0)
            classes = (shares @ of_class).transpose(1, 2, 0).reshape(len(whole), -1)
            return np.log(whole), np.concatenate([classes, nodes @ of_shape, nodes], axis=1)

        return forward
