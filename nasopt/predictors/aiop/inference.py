"""AIO-P's predictor in NumPy and SciPy: neither torch nor PyTorch Geometric is loaded to ask it.

Per layer one sparse product sums what each node reads, and one dense product applies both weights of GraphConv (Morris et al., AAAI 2019,
Eq. 1) to the node and to that sum. Blocks of 4 to 8 graphs keep the matrices in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.predictors.aiop.block import Block

__all__ = ["LAYERS", "Backbone", "Head"]

Floats = np.ndarray[Any, np.dtype[np.float32]]
Parameters = Mapping[str, Floats]

LAYERS = 6
HEAD = 5
"""Dense layers of a head; a rectifier stands behind the second."""


@dataclass(frozen=True)
class _Layer:
    weight: Floats
    """Of the node's own features and of the sum of those it reads, one above the other: (2 x inputs, outputs)."""
    bias: Floats

    @classmethod
    def of(cls, parameters: Parameters, name: str) -> _Layer:
        own, read = parameters[f"{name}.lin_root.weight"], parameters[f"{name}.lin_rel.weight"]
        return cls(np.ascontiguousarray(np.concatenate([own, read], axis=1).T), parameters[f"{name}.lin_rel.bias"])

    def __call__(self, adjacency: Any, x: Floats) -> Floats:
        both = np.empty((len(x), 2 * x.shape[1]), np.float32)
        both[:, : x.shape[1]] = x
        both[:, x.shape[1] :] = adjacency @ x
        result: Floats = both @ self.weight
        result += self.bias
        return np.tanh(result, out=result)


class Head:
    """The dense layers behind a graph's embedding."""

    def __init__(self, parameters: Parameters, name: str) -> None:
        """Takes the weights whose names begin with `name`."""
        self._layers = [(parameters[f"{name}.{layer}.weight"].T, parameters[f"{name}.{layer}.bias"]) for layer in range(HEAD)]

    def __call__(self, embedding: Floats) -> Floats:
        """One number a graph: (graphs,)."""
        x = embedding
        for layer, (weight, bias) in enumerate(self._layers):
            x = x @ weight + bias
            x = np.maximum(x, 0) if layer == 1 else x
        return np.asarray(x[:, 0])


class Backbone:
    """Node embedding and graph convolutions, with any number of adapters beside them."""

    def __init__(self, parameters: Parameters, adapters: Sequence[str] = ()) -> None:
        """Reads weights by the names of `nasopt.predictors.aiop.network`.

        Args:
            parameters: arrays by name.
            adapters: the first parts of their adapters' names.
        """
        self._regular = parameters["embedding.regular.weight"]
        self._weighted = parameters["embedding.weighted.weight"]
        self._kernel = parameters["embedding.kernel.weight"]
        self._resolution = parameters["embedding.resolution.weight"].T, parameters["embedding.resolution.bias"]
        self._bias = parameters["embedding.bias.weight"].T + parameters["embedding.bias.bias"]  # of a one-hot: its rows
        self._layers = [_Layer.of(parameters, f"layers.{layer}") for layer in range(LAYERS)]
        self._adapters = [[_Layer.of(parameters, f"{name}.layers.{layer}") for layer in range(LAYERS)] for name in adapters]

    def embed(self, block: Block) -> Floats:
        """Features of nodes: (nodes, 32)."""
        weight, bias = self._resolution
        resolution = block.resolutions @ weight + bias
        x = np.empty((len(resolution), 32), np.float32)
        kernels = self._kernel[block.kernels].reshape(len(block.kernels), -1)
        x[block.weighted] = np.concatenate(
            [self._weighted[block.weighted_ops], resolution[block.weighted], kernels, self._bias[block.biases]], axis=1
        )
        x[block.regular] = np.concatenate([self._regular[block.regular_ops], resolution[block.regular]], axis=1)
        return x

    def __call__(self, block: Block) -> tuple[Floats, list[Floats]]:
        """Embeddings of graphs: of the backbone, (graphs, 32), and for each adapter backbone and adapter side by side, (graphs, 64)."""
        adjacency, x = block.adjacency(), self.embed(block)
        beside = [x] * len(self._adapters)
        for place, layer in enumerate(self._layers):
            x = layer(adjacency, x)
            beside = [
                adapter[place](adjacency, np.concatenate([x, other], axis=1)) for adapter, other in zip(self._adapters, beside, strict=True)
            ]
        mean = _means(block, x)
        return mean, [np.concatenate([mean, _means(block, other)], axis=1) for other in beside]


def _means(block: Block, x: Floats) -> Floats:
    """Over the nodes of each graph."""
    sums = np.add.reduceat(x, block.begins[:-1], axis=0)
    return np.asarray(sums / np.diff(block.begins)[:, None], np.float32)
