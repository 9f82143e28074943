"""Products with stored weights (Conv, Gemm, MatMul): what multiplies what, and the value whose error a weight can make good.

A product's output often passes through channelwise affine steps (BatchNormalization, a bias added afterwards) into a residual sum. The
weight is then best fitted to the *sum*: so it also makes good what earlier layers did to the other operand (the block-wise
reconstruction of He et al., ICCV 2017, Section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.graphs.graph import Graph, Node

__all__ = ["Product", "products"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Product:
    """A node that multiplies its input by a stored weight which no other node reads.

    Attributes:
        node: the node.
        weight: name of the weight.
        outputs: its axis of output channels.
        inputs: its axis of input channels (of one group).
        groups: 1, or the number of a grouped convolution.
        axis: the channel axis of the node's output and of `target`.
        target: the value to fit to: the node's output, or what channelwise affine steps and one residual sum make of it.
        scale: derivative of the target by the output, per channel.
        shift: a stored vector, one number a channel, that is added on the way; "" where there is none.
        shift_scale: derivative of the target by the shift, per channel.
    """

    node: Node
    weight: str
    outputs: int
    inputs: int
    groups: int
    axis: int
    target: str
    scale: Floats
    shift: str
    shift_scale: Floats

    def matrix(self, array: Array) -> Floats:
        """A weight as (output channels, input channels of a group × kernel positions)."""
        moved = np.moveaxis(array, (self.outputs, self.inputs), (0, 1))
        return np.asarray(moved.reshape(moved.shape[0], -1), np.float64)

    def kernel(self, array: Array) -> tuple[int, ...]:
        """The spatial shape of a weight; empty but for convolutions."""
        shape: tuple[int, ...] = np.moveaxis(array, (self.outputs, self.inputs), (0, 1)).shape[2:]
        return shape

    def array(self, matrix: Floats, like: Array) -> Array:
        """The inverse of `matrix`, in the shape and type of `like`."""
        moved = np.moveaxis(like, (self.outputs, self.inputs), (0, 1))
        return np.ascontiguousarray(np.moveaxis(matrix.reshape(moved.shape), (0, 1), (self.outputs, self.inputs)).astype(like.dtype))


def products(graph: Graph) -> list[Product]:
    """Every product of a graph in file order, but for those that share a weight or compute it."""
    return list(_products(graph))


def _products(graph: Graph) -> Iterator[Product]:
    for node in graph.nodes:
        if node.domain or node.op not in ("Conv", "Gemm", "MatMul") or len(node.inputs) < 2 or not _whole(graph, node):
            continue
        name = node.inputs[1]
        if not _own(graph, name) or len(graph.shape(name)) < 2 or name in graph.outputs:
            continue
        if node.op == "MatMul" and len(graph.shape(name)) > 2:
            continue  # one matrix a batch entry
        if node.op == "Gemm" and (node.attrs.get("transA", 0) or float(node.attrs.get("alpha", 1.0)) != 1.0):
            continue
        transposed = node.op == "MatMul" or (node.op == "Gemm" and not node.attrs.get("transB", 0))
        outputs, inputs = (1, 0) if transposed else (0, 1)
        axis = len(graph.shape(node.outputs[0])) - 1 if node.op == "MatMul" else 1
        yield _followed(graph, node, name, outputs, inputs, axis)


def _followed(graph: Graph, node: Node, weight: str, outputs: int, inputs: int, axis: int) -> Product:
    """Follows the output through affine steps."""
    size = graph.shape(weight)[outputs]
    value, scale, shift, shift_scale = node.outputs[0], np.ones(size), "", np.ones(size)
    if len(node.inputs) > 2 and node.inputs[2] and _vector(graph, node.inputs[2], size) and float(node.attrs.get("beta", 1.0)) == 1.0:
        shift = node.inputs[2]
    while (step := _only_consumer(graph, value)) is not None and _whole(graph, step):
        other = next((name for name in step.inputs[:2] if name != value), value)
        if step.op == "BatchNormalization" and axis == 1 and all(name in graph.weights for name in step.inputs[1:5]):
            gamma, _, _, variance = (graph.weights[name].array().astype(np.float64) for name in step.inputs[1:5])
            factor = gamma / np.sqrt(variance + float(step.attrs.get("epsilon", 1e-5)))
            scale, shift_scale = scale * factor, shift_scale * factor
            if not shift and _own(graph, step.inputs[2]):
                shift, shift_scale = step.inputs[2], np.ones(size)
        elif step.op == "Add" and other in graph.weights and _channelwise(graph, other, value, axis):
            if not shift and _own(graph, other):
                shift, shift_scale = other, np.ones(size)
        elif step.op == "Add" and other != value and _earlier_sum(graph, node, value, other):
            value = step.outputs[0]
            break
        else:
            break
        value = step.outputs[0]
    return Product(node, weight, outputs, inputs, int(node.attrs.get("group", 1)), axis, value, scale, shift, shift_scale)


def _earlier_sum(graph: Graph, node: Node, value: str, other: str) -> bool:
    """Whether the other operand of a sum of equal shapes is settled before this product is: the last one makes good for both."""
    producer = graph.producers.get(other)
    return graph.shape(other) == graph.shape(value) and other not in graph.weights and (producer is None or producer.index < node.index)


def _only_consumer(graph: Graph, value: str) -> Node | None:
    readers = graph.consumers.get(value, ())
    return readers[0][0] if len(readers) == 1 and readers[0][1] >= 0 and value not in graph.outputs and not readers[0][0].domain else None


def _whole(graph: Graph, node: Node) -> bool:
    return all(name in graph.shapes for name in (*node.inputs, *node.outputs[:1]) if name)


def _own(graph: Graph, name: str) -> bool:
    """A stored float tensor that exactly one node reads, once."""
    return name in graph.weights and graph.is_float(name) and len(graph.consumers.get(name, ())) == 1


def _vector(graph: Graph, name: str, size: int) -> bool:
    return _own(graph, name) and graph.shape(name) == (size,)


def _channelwise(graph: Graph, name: str, value: str, axis: int) -> bool:
    """Whether a stored operand holds one number a channel of the value it is added to."""
    shape = graph.shape(value)
    own = (1,) * (len(shape) - len(graph.shape(name))) + graph.shape(name)
    return len(own) == len(shape) and own[axis] == shape[axis] and all(size == 1 for place, size in enumerate(own) if place != axis)
