"""Values between that both networks have: what the original computes there guides a training from closer by than its outputs do."""

from __future__ import annotations

import numpy as np
import torch

from nasopt.graphs.graph import Graph
from nasopt.runtime.bridge import TorchNetwork
from nasopt.runtime.sessions import random_inputs

__all__ = ["hints", "in_rows"]

_SUMS = frozenset({"Add", "Sum"})
_ACTIVATIONS = frozenset({"Clip", "Elu", "HardSwish", "LeakyRelu", "PRelu", "Relu"})
"""What the next block reads where one stands right behind a sum."""


def hints(original: Graph, smaller: Graph) -> list[str]:
    """The last residual sum of every stage, where it kept all channels; a stage is what has the same height and width.

    Residual streams are the values that a choice of channels most often leaves whole. A network without them has no hints.
    """
    found: dict[tuple[int, ...], str] = {}
    for node in smaller.nodes:
        if node.op not in _SUMS or node.domain or not all(name in smaller.producers for name in node.inputs):
            continue
        readers = smaller.consumers.get(node.outputs[0], [])
        if len(readers) == 1 and readers[0][0].op in _ACTIVATIONS and not readers[0][0].domain:
            node = readers[0][0]
        name = node.outputs[0]
        shape = smaller.shapes.get(name, ())
        if len(shape) > 2 and original.shapes.get(name) == shape and name in original.producers and smaller.is_float(name):
            found[shape[2:]] = name
    return [name for name in found.values() if name not in smaller.outputs]


def in_rows(network: TorchNetwork, graph: Graph, names: list[str]) -> list[str]:
    """Those of some values that hold the rows of a batch one after the other, of a network that takes batches."""
    feed = {name: np.concatenate([value, value]) for name, value in random_inputs(graph, 0).items()}
    with torch.no_grad():
        seen = network.run(feed, names)[1]
    return [name for name in names if seen[name].shape == (2 * graph.shape(name)[0], *graph.shape(name)[1:])]
