"""AIO-P's predictor in PyTorch Geometric: the reference that is trained (extra ``torch``).

Sizes are those of the paper's appendix and of its code: features of 32, six GraphConv layers with tanh, a mean over nodes, five dense
layers; an adapter's layers read the backbone's and their own last output (Eq. 1), and its head both embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn import GraphConv

from nasopt.graphs.computational_graph import KERNELS, VOCABULARY
from nasopt.predictors.aiop.block import Block
from nasopt.predictors.aiop.inference import FARTHEST, LAYERS, WIDTH

__all__ = ["About", "Adapter", "Network", "beside", "head", "means", "parameters", "restored", "run_head", "tensors"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

REGULAR, WEIGHTED, RESOLUTION, KERNEL, BIAS = 24, 14, 8, 4, 2
"""Widths of the parts of a node's features: 24 + 8, or 14 + 8 + 2 x 4 + 2."""
WORDS = 32
"""Entries of a table of operations: the vocabulary and reserved ones."""

assert len(VOCABULARY) <= WORDS


class Embedding(nn.Module):
    """Features of nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.regular, self.weighted = nn.Embedding(WORDS, REGULAR), nn.Embedding(WORDS, WEIGHTED)
        self.resolution = nn.Linear(6, RESOLUTION)
        self.kernel = nn.Embedding(KERNELS, KERNEL)
        self.bias = nn.Linear(2, BIAS)

    def forward(self, block: dict[str, Tensor]) -> Tensor:
        """(nodes, 32), in the rows of the block."""
        resolution = self.resolution(block["resolutions"])
        biases = self.bias(nn.functional.one_hot(block["biases"], 2).float())
        kernels = self.kernel(block["kernels"]).flatten(1)
        x: Tensor = resolution.new_empty(len(resolution), WIDTH)
        weighted = [self.weighted(block["weighted_ops"]), resolution[block["weighted"]], kernels, biases]
        regular = torch.cat([self.regular(block["regular_ops"]), resolution[block["regular"]]], 1)
        return x.index_copy(0, block["weighted"], torch.cat(weighted, 1)).index_copy(0, block["regular"], regular)


class About(nn.Module):
    """Descriptions of whole networks for a head to read: standardised, and cut off where training saw nothing."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: np.ndarray[Any, Any], scale: np.ndarray[Any, Any]) -> None:
        """Takes what is usual.

        Args:
            mean: of descriptions, (31,).
            scale: what each number is measured in, (31,).
        """
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("scale", torch.from_numpy(scale.astype(np.float32)))

    def forward(self, described: Tensor) -> Tensor:
        """(graphs, 31)."""
        return ((described - self.mean) / self.scale).clamp(-FARTHEST, FARTHEST)


class Network(nn.Module):
    """Embedding, backbone and head."""

    def __init__(self, about: About | None = None) -> None:
        """Draws weights.

        Args:
            about: what the head reads beside the mean over nodes, which cannot tell how many nodes there are: not in the paper.
        """
        super().__init__()
        self.embedding = Embedding()
        self.layers = nn.ModuleList(GraphConv(WIDTH, WIDTH) for _ in range(LAYERS))
        self.about = about
        self.head = head(WIDTH + (0 if about is None else len(about.mean)))

    def forward(self, block: dict[str, Tensor]) -> Tensor:
        """One number a graph."""
        return run_head(self.head, self.reading(block))

    def reading(self, block: dict[str, Tensor]) -> Tensor:
        """What the head reads: the mean over nodes of the last layer, and the description."""
        return beside(self.about, block, [means(block, self.states(block)[-1])])

    def states(self, block: dict[str, Tensor]) -> list[Tensor]:
        """Features of nodes before the first layer and after each."""
        found = [self.embedding(block)]
        for layer in self.layers:
            found.append(torch.tanh(layer(found[-1], block["edges"])))
        return found


class Adapter(nn.Module):
    """Layers beside a frozen backbone, and a head of their own."""

    def __init__(self, about: About | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(GraphConv(2 * WIDTH, WIDTH) for _ in range(LAYERS))
        self.about = about
        self.head = head(2 * WIDTH + (0 if about is None else len(about.mean)))

    def forward(self, block: dict[str, Tensor], states: list[Tensor]) -> Tensor:
        """One number a graph.

        Args:
            block: of graphs.
            states: of the backbone (`Network.states`).
        """
        return run_head(self.head, self.reading(block, states))

    def reading(self, block: dict[str, Tensor], states: list[Tensor]) -> Tensor:
        """What the head reads: the backbone's mean over nodes, its own, and the description."""
        return beside(self.about, block, [means(block, states[-1]), self.embedding(block, states)])

    def embedding(self, block: dict[str, Tensor], states: list[Tensor]) -> Tensor:
        """The mean over nodes of its last layer, (graphs, 32)."""
        x = states[0]
        for layer, state in zip(self.layers, states[1:], strict=True):
            x = torch.tanh(layer(torch.cat([state, x], 1), block["edges"]))
        return means(block, x)


def beside(about: About | None, block: dict[str, Tensor], embeddings: list[Tensor]) -> Tensor:
    """What a head reads."""
    return torch.cat(embeddings if about is None else [*embeddings, about(block["described"])], 1)


def head(inputs: int) -> nn.ModuleList:
    """Five dense layers, the last to one number."""
    return nn.ModuleList(nn.Linear(inputs if not layer else WIDTH, WIDTH if layer < 4 else 1) for layer in range(5))


def run_head(layers: nn.ModuleList, x: Tensor, *, until: int | None = None) -> Tensor:
    """With a rectifier behind the second layer and nothing behind the others, as in the published code.

    Args:
        layers: of a head.
        x: what it reads, (graphs, n).
        until: place of a layer whose input is wanted, not the answers.
    """
    for place, layer in enumerate(list(layers)[:until]):
        x = torch.relu(layer(x)) if place == 1 else layer(x)
    return x[:, 0] if until is None else x


def tensors(block: Block, described: Floats | None = None) -> dict[str, Tensor]:
    """A block as the modules take it.

    Args:
        block: graphs.
        described: descriptions of the networks (`nasopt.predictors.aiop.likeness`), (graphs, 31), where heads read them.
    """
    graphs = np.repeat(np.arange(block.count), np.diff(block.begins))
    named: dict[str, Any] = {
        "weighted": block.weighted, "regular": block.regular, "weighted_ops": block.weighted_ops, "kernels": block.kernels,
        "biases": block.biases, "regular_ops": block.regular_ops, "resolutions": block.resolutions, "edges": block.edges, "graphs": graphs,
    }  # fmt: skip
    if described is not None:
        named["described"] = described.astype(np.float32)
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in named.items()}


def parameters(network: Network, adapters: dict[str, Adapter] | None = None) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """All weights by the names that `nasopt.predictors.aiop.inference` reads; an adapter's begin with its own name."""
    found = dict(network.state_dict())
    for name, adapter in (adapters or {}).items():
        found |= {f"{name}.{key}": value for key, value in adapter.state_dict().items()}
    return {name: value.detach().numpy().astype(np.float32) for name, value in found.items()}


def restored(weights: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]) -> Network:
    """The network of what `parameters` gave, without its adapters."""
    about = About(weights["about.mean"], weights["about.scale"]) if "about.mean" in weights else None
    network = Network(about)
    known = network.state_dict()
    network.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(weights[name])) for name in known})
    return network


def means(block: dict[str, Tensor], x: Tensor) -> Tensor:
    """Over the nodes of each graph."""
    graphs = block["graphs"]
    count = int(graphs[-1]) + 1
    sums = x.new_zeros(count, x.shape[1]).index_add(0, graphs, x)
    return sums / torch.bincount(graphs, minlength=count)[:, None]
