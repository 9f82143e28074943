"""BatchNormalization before training: what a network needs so that training mode begins where evaluation mode ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from nasopt.graphs.graph import Graph, Node
from nasopt.runtime.bridge import TorchNetwork

__all__ = ["settle", "steady"]

Array = np.ndarray[Any, Any]

MOMENTUM = 0.9
"""What running averages keep at each step. An exporter's 0.999 would not move them in a few hundred steps."""


def steady(graph: Graph) -> Graph:
    """The same network with the momentum that suits a short training."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    for node in model.graph.node:
        if node.op_type == "BatchNormalization" and node.domain in ("", "ai.onnx"):
            kept = [attribute for attribute in node.attribute if attribute.name != "momentum"]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute("momentum", MOMENTUM)])
    return Graph(model, graph.bound, origin=graph.origin)


def settle(network: TorchNetwork, graph: Graph, batches: Iterable[Mapping[str, Array]]) -> None:
    """Sets running statistics to those of inputs, and scales and shifts so that every normalisation still computes what it did.

    What feeds a normalisation may have changed since its statistics were taken: neurons were removed, weights fitted. In evaluation mode
    that does no harm, since the weights were fitted with the statistics as they are; training mode, which normalises by what it sees,
    would undo it at the first step. A normalisation that shares its tensors with another is left alone.
    """
    tensors, trained = network.state_dict(), dict(network.named_parameters())
    norms = [node for node in graph.nodes if _own(graph, node, trained)]
    moments: dict[str, list[Tensor]] = {node.name: [] for node in norms}
    if not norms:
        return
    with torch.no_grad():
        for batch in batches:
            _, seen = network.run(batch, watch=[node.inputs[0] for node in norms])
            for node in norms:
                value = seen[node.inputs[0]].transpose(0, 1).flatten(1).double()
                moments[node.name].append(torch.stack([value.mean(1), value.square().mean(1)]))
        for node in norms:
            mean, square = torch.stack(moments[node.name]).mean(0)
            variance, epsilon = (square - mean.square()).clamp_min(0), node.attrs.get("epsilon", 1e-5)
            scale, shift, old_mean, old_variance = (tensors[name] for name in node.inputs[1:])
            slope = scale.double() / (old_variance.double() + epsilon).sqrt()
            shift.copy_(shift + slope * (mean - old_mean))
            scale.copy_(slope * (variance + epsilon).sqrt())
            old_mean.copy_(mean)
            old_variance.copy_(variance)


def _own(graph: Graph, node: Node, trained: Mapping[str, Tensor]) -> bool:
    """Whether a node is a normalisation with four stored tensors that nobody else reads."""
    if node.op != "BatchNormalization" or node.domain or node.attrs.get("training_mode", 0):
        return False
    names = node.inputs[1:]
    return all(name in graph.weights and len(graph.consumers[name]) == 1 for name in names) and all(name in trained for name in names[:2])
