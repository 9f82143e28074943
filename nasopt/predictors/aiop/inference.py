"""AIO-P's predictor in NumPy and SciPy: neither torch nor PyTorch Geometric is loaded to ask it.

Per layer one sparse product sums what each node reads, and dense ones apply the weights of GraphConv (Morris et al., AAAI 2019, Eq. 1) to
the node and to that sum, which adapters share. Blocks of 4 to 8 graphs keep matrices in the cache, and those of a block are allocated once:
new ones for every product cost more than the products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.predictors.aiop.block import Block

__all__ = ["ADAPTER", "FARTHEST", "LAYERS", "WIDTH", "Backbone", "Head"]

Floats = np.ndarray[Any, np.dtype[np.float32]]
Parameters = Mapping[str, Floats]

ADAPTER = "adapter"
"""First part of the names of an adapter's weights."""
LAYERS = 6
WIDTH = 32
"""Features of a node."""
FARTHEST = 5.0
"""Deviations at which descriptions are cut off."""
HEAD = 5
"""Dense layers of a head; a rectifier stands behind the second."""


@dataclass(frozen=True)
class _Layer:
    weights: tuple[Floats, ...]
    """Of a node's own features, and of the sum of those it reads, for each 32 of the inputs in turn: (32, 32) each."""
    bias: Floats

    @classmethod
    def of(cls, parameters: Parameters, name: str) -> _Layer:
        own, read = (parameters[f"{name}.{part}.weight"].T for part in ("lin_root", "lin_rel"))
        parts = [half[begin : begin + WIDTH] for begin in range(0, len(own), WIDTH) for half in (own, read)]
        return cls(tuple(map(np.ascontiguousarray, parts)), parameters[f"{name}.lin_rel.bias"])

    def __call__(self, inputs: Sequence[Floats], into: Floats, spare: Floats) -> None:
        """Applies the layer.

        Args:
            inputs: for each 32 of them the features and their sums over what nodes read, in turn: (nodes, 32) each.
            into: for what comes out, (nodes, 32).
            spare: as large.
        """
        np.matmul(inputs[0], self.weights[0], out=into)
        for x, weight in zip(inputs[1:], self.weights[1:], strict=True):
            into += np.matmul(x, weight, out=spare)
        into += self.bias
        np.tanh(into, out=into)


class Head:
    """The dense layers behind a graph's embedding, and what they read beside it."""

    def __init__(self, parameters: Parameters, name: str) -> None:
        """Takes the weights whose names begin with `name`."""
        about = f"{name.removesuffix('head')}about"
        self._about = (parameters[f"{about}.mean"], parameters[f"{about}.scale"]) if f"{about}.mean" in parameters else None
        self._layers = [(parameters[f"{name}.{layer}.weight"].T, parameters[f"{name}.{layer}.bias"]) for layer in range(HEAD)]

    def __call__(self, embedding: Floats, described: Floats | None = None) -> Floats:
        """One number a graph: (graphs,).

        Args:
            embedding: of the graphs.
            described: descriptions of the networks, (graphs, 31); heads that do not read them do without.
        """
        x = embedding
        if self._about is not None:
            assert described is not None, "this head reads descriptions"
            mean, scale = self._about
            x = np.concatenate([x, np.clip((described - mean) / scale, -FARTHEST, FARTHEST)], axis=1)
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
        x = np.empty((len(resolution), WIDTH), np.float32)
        kernels = self._kernel[block.kernels].reshape(len(block.kernels), -1)
        x[block.weighted] = np.concatenate(
            [self._weighted[block.weighted_ops], resolution[block.weighted], kernels, self._bias[block.biases]], axis=1
        )
        x[block.regular] = np.concatenate([self._regular[block.regular_ops], resolution[block.regular]], axis=1)
        return x

    def __call__(self, block: Block) -> tuple[Floats, list[Floats]]:
        """Embeddings of graphs: of the backbone, (graphs, 32), and for each adapter backbone and adapter side by side, (graphs, 64)."""
        adjacency, x = block.adjacency, self.embed(block)
        beside = [x] * len(self._adapters)
        after, spare = np.empty_like(x), np.empty_like(x)
        results = [np.empty_like(x) for _ in self._adapters]
        read = adjacency @ x
        for place, layer in enumerate(self._layers):
            layer((x, read), after, spare)
            x, after = after, np.empty_like(x) if not place and beside else x  # the embedding is every adapter's first input
            read = adjacency @ x if beside or place + 1 < LAYERS else read
            for number, adapter in enumerate(self._adapters):
                other = beside[number]
                adapter[place]((x, read, other, adjacency @ other), results[number], spare)
                beside[number], results[number] = results[number], np.empty_like(x) if not place else other
        mean = _means(block, x)
        return mean, [np.concatenate([mean, _means(block, other)], axis=1) for other in beside]


def _means(block: Block, x: Floats) -> Floats:
    """Over the nodes of each graph."""
    sums = np.add.reduceat(x, block.begins[:-1], axis=0)
    return np.asarray(sums / np.diff(block.begins)[:, None], np.float32)
