"""FLOPs as published tables count them, where that is not the project's MACs."""

from __future__ import annotations

import math

from nasopt.graphs.cost import node_macs
from nasopt.graphs.graph import Graph, Node

__all__ = ["flopth_flops", "naslib_flops", "thop_macs"]


def naslib_flops(graph: Graph) -> int:
    """The FLOPs of NASLib's proxy, as in the columns ``flops`` of NAS-Bench-Suite-Zero and ``flops_m`` of NAS-Bench-201.

    Multiply-accumulates of convolutions and dense layers (bias included for convolutions), 2 an element of a norm (1 without scale and
    shift), 1 of a rectifier, the window an output of a pool, and (height + 1) x (width + 1) a channel of a global one. All else is free,
    transposed convolutions too. Of a batch one row is counted, and so one of a jigsaw puzzle's tiles.
    """
    return sum(_flops(graph, node) for node in graph.nodes)


def _flops(graph: Graph, node: Node) -> int:
    shape = graph.shape(node.outputs[0])
    size = math.prod(shape[1:])
    match node.op:
        case "BatchNormalization":
            return (2 if node.inputs[1] in graph.weights else 1) * size
        case "Relu" | "LeakyRelu":
            return size
        case "MaxPool" | "AveragePool":
            return math.prod((size, *node.attrs["kernel_shape"]))
        case "GlobalAveragePool":
            _, channels, height, width = graph.shape(node.inputs[0])
            return channels * (height + 1) * (width + 1)
        case "Conv" | "Gemm":
            return _macs(graph, node) // shape[0] + (size if node.op == "Conv" and len(node.inputs) > 2 else 0)
        case _:
            return 0


def thop_macs(graph: Graph) -> int:
    """The "MACs" of thop 0.1, as in the columns ``macs`` of Accel-NASBench and ``flop`` of OnceNAS-Bench.

    Those of layers, 4 an element of a norm, 1 an output of a mean over windows, and a sum over the image and a division a channel for a
    global pool.
    """
    total = 0
    for node in graph.nodes:
        if node.op == "BatchNormalization":
            total += 4 * math.prod(graph.shape(node.outputs[0]))
        elif node.op == "AveragePool":
            total += math.prod(graph.shape(node.outputs[0]))
        elif node.op == "GlobalAveragePool":
            _, channels, height, width = graph.shape(node.inputs[0])
            total += channels * (height * width + 1)
        else:
            total += _macs(graph, node)
    return total


def flopth_flops(graph: Graph) -> int:
    """The FLOPs of flopth, as in the column ``flops`` of FBNet's proxies.

    MACs of layers, 2 an element of a norm, 1 of a rectifier and of what is pooled. A module that a block uses twice is counted
    for its last use: of an inverted residual's two rectifiers only the second.
    """
    total = 0
    for node in graph.nodes:
        size = math.prod(graph.shape(node.outputs[0]))
        if node.op == "BatchNormalization":
            total += 2 * size
        elif node.op == "Relu":
            total += 0 if ".expand." in node.name else size
        elif node.op == "GlobalAveragePool":
            total += math.prod(graph.shape(node.inputs[0]))
        else:
            total += _macs(graph, node)
    return total


def _macs(graph: Graph, node: Node) -> int:
    form = node_macs(graph, node)
    return form.coefficient * math.prod(graph.shape(value)[axis] for value, axis in form.dims) if form else 0
