"""FLOPs as published tables count them, where that is not the project's MACs."""

from __future__ import annotations

import math

from nasopt.graphs.cost import node_macs
from nasopt.graphs.graph import Graph, Node

__all__ = ["naslib_flops"]


def naslib_flops(graph: Graph) -> int:
    """The FLOPs of NASLib's proxy, as in the columns ``flops`` of NAS-Bench-Suite-Zero and ``flops_m`` of NAS-Bench-201.

    Multiply-accumulates of convolutions and dense layers (bias excluded), 2 an element for a batch normalisation, 1 for a rectifier, the
    window an output for a pool, and (height + 1) x (width + 1) a channel for a global one. Sums, products and ``none`` are free.
    """
    return sum(_flops(graph, node) for node in graph.nodes)


def _flops(graph: Graph, node: Node) -> int:
    shape = graph.shape(node.outputs[0])
    match node.op:
        case "BatchNormalization":
            return 2 * math.prod(shape)
        case "Relu":
            return math.prod(shape)
        case "MaxPool" | "AveragePool":
            return math.prod((*shape, *node.attrs["kernel_shape"]))
        case "GlobalAveragePool":
            _, channels, height, width = graph.shape(node.inputs[0])
            return channels * (height + 1) * (width + 1)
        case _:
            form = node_macs(graph, node)
            return form.coefficient * math.prod(graph.shape(value)[axis] for value, axis in form.dims) if form else 0
