"""Multi-Predict's latency predictor: an architecture's embedding and a device's, and what they make of each other (extra ``torch``).

Sizes and initial weights are those of the published code (Appendix, Table 15).
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["DenseTrunk", "GraphTrunk", "LatencyPredictor", "index_vectors"]

Floats = np.ndarray[Any, np.dtype[np.float32]]

EMBEDDING, GRAPH_WIDTH, GRAPH_LAYERS, DENSE_WIDTH = 30, 200, 4, 100
DEVICE, INTERACTION = 8, 1000
WEIGHTS = 0.05
"""Graph convolutions begin uniform in plus or minus this."""


class GraphTrunk(nn.Module):
    """Graph convolutions over cells of one shape, then dense layers; measurements are read beside the embedding."""

    adjacency: Tensor

    def __init__(self, features: int, adjacency: Floats, metrics: int = 0) -> None:
        """Draws weights.

        Args:
            features: of a node.
            adjacency: [to, from], (nodes, nodes); the last node is the global one.
            metrics: how many measurements are read as well.
        """
        super().__init__()
        self.register_buffer("adjacency", torch.from_numpy(adjacency))
        widths = [features] + [GRAPH_WIDTH] * GRAPH_LAYERS
        self.layers = nn.ModuleList(nn.Linear(before, after, bias=False) for before, after in pairwise(widths))
        for layer in self.layers:
            nn.init.uniform_(layer.weight, -WEIGHTS, WEIGHTS)  # type: ignore[arg-type]  # torch types a module's attributes loosely
        self.dense = nn.Sequential(
            nn.Linear(GRAPH_WIDTH, GRAPH_WIDTH), nn.ReLU(), nn.Linear(GRAPH_WIDTH, GRAPH_WIDTH), nn.ReLU(),
            nn.Linear(GRAPH_WIDTH, EMBEDDING),
        )  # fmt: skip
        self.width = EMBEDDING + metrics

    def forward(self, structure: Tensor, metrics: Tensor) -> Tensor:
        """(n, nodes, features) and (n, m) to (n, 30 + m)."""
        x = structure
        for layer in self.layers:
            x = torch.relu(self.adjacency @ layer(x))
        return torch.cat([self.dense(x[:, -1]), metrics], 1)


class DenseTrunk(nn.Module):
    """Three dense layers over a vector and measurements."""

    def __init__(self, features: int, metrics: int = 0) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(features + metrics, DENSE_WIDTH), nn.ReLU(), nn.Linear(DENSE_WIDTH, DENSE_WIDTH), nn.ReLU(),
            nn.Linear(DENSE_WIDTH, EMBEDDING), nn.ReLU(),
        )  # fmt: skip
        self.width = EMBEDDING

    def forward(self, structure: Tensor, metrics: Tensor) -> Tensor:
        """(n, features) and (n, m) to (n, 30)."""
        found: Tensor = self.dense(torch.cat([structure, metrics], 1))
        return found


class LatencyPredictor(nn.Module):
    """Latencies of architectures on devices, as shares of a device's range."""

    devices: Tensor

    def __init__(self, trunk: GraphTrunk | DenseTrunk, count: int, *, vectors: Floats | None = None) -> None:
        """Draws weights.

        Args:
            trunk: of architectures.
            count: devices.
            vectors: what is known of the devices, (count, m): indices or samples, which stay; None: a table that is learned, 8 wide
                (Section 3.1).
        """
        super().__init__()
        self.trunk = trunk
        if vectors is None:
            self.devices = nn.Parameter(torch.randn(count, DEVICE))
        else:
            self.register_buffer("devices", torch.from_numpy(vectors))
        inputs = trunk.width + self.devices.shape[1]
        self.interaction = nn.Sequential(nn.Linear(inputs, INTERACTION), nn.ReLU(), nn.Linear(INTERACTION, 1))
        for layer in (self.interaction[0], self.interaction[2]):
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=(2 / (layer.in_features + layer.out_features)) ** 0.5)
            nn.init.normal_(layer.bias, std=(1 / layer.out_features) ** 0.5)

    def forward(self, structure: Tensor, metrics: Tensor) -> Tensor:
        """(n, devices), each in (0, 1)."""
        embedding = self.trunk(structure, metrics)
        pairs = torch.cat(
            [
                embedding[:, None].expand(-1, len(self.devices), -1),
                self.devices[None].expand(len(embedding), -1, -1),
            ],
            2,
        )
        return torch.sigmoid(self.interaction(pairs)[..., 0])

    def for_device(self, vector: Tensor) -> LatencyPredictor:
        """A copy for one other device, whose row begins as this vector."""
        found = copy.deepcopy(self)
        row = vector.detach().clone()[None]
        if isinstance(self.devices, nn.Parameter):
            found.devices = nn.Parameter(row)
        else:
            found.devices = row
        return found


def index_vectors(count: int) -> Floats:
    """Devices' numbers as bits, (count, 8)."""
    return ((np.arange(count)[:, None] >> np.arange(DEVICE)) & 1).astype(np.float32)
