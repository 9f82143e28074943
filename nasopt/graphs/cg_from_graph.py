"""A network as AIO-P's computational graph, by the simplification rules of its code, which were written for TensorFlow's graphs.

Kept are the operations of the vocabulary; what only moves, cuts or casts data is left out, and its readers read what it read. A bias added
behind a weighted node is the node's own; sums and products with stored numbers are left out, but for a product with 0 ("zero");
`x · sigmoid(x)` is one "swish".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from nasopt.graphs.computational_graph import CGNode, ComputationalGraph, Resolution
from nasopt.graphs.graph import Graph, Node

__all__ = ["channel_axes", "computational_graph"]

WORDS = {
    "BatchNormalization": "batchnorm", "InstanceNormalization": "batchnorm", "LayerNormalization": "batchnorm",
    "GroupNormalization": "batchnorm", "LpNormalization": "batchnorm", "Relu": "relu", "LeakyRelu": "relu", "PRelu": "relu", "Elu": "relu",
    "Selu": "relu", "Celu": "relu", "ThresholdedRelu": "relu", "MaxPool": "maxpool", "AveragePool": "avgpool", "LpPool": "avgpool",
    "GlobalAveragePool": "mean", "GlobalMaxPool": "global", "Sigmoid": "sigmoid", "HardSigmoid": "sigmoid", "Tanh": "tanh",
    "HardSwish": "swish", "Swish": "swish", "Mish": "swish", "Gelu": "gelu", "FastGelu": "gelu", "QuickGelu": "gelu", "BiasGelu": "gelu",
    "Resize": "identity", "Upsample": "identity", "SpaceToDepth": "spacetodepthnd", "DepthToSpace": "depthtospacend", "Pad": "paddings",
}  # fmt: skip
JOINS = {"Add": "add", "Sum": "add", "Mul": "mul", "Concat": "concat"}
LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
"""Transpositions after which channels stand last, and first again."""

MEANS_OVER = 2
"""A mean over as many axes is one over an image."""

Image = tuple[int, int, int]
Axis = tuple[str, int]
"""A value and one of its axes."""


@dataclass
class _Draft:
    """The graph in the making: which nodes stand behind each value."""

    graph: Graph
    nodes: list[CGNode] = field(default_factory=list)
    edges: set[tuple[int, int]] = field(default_factory=set)
    ends: list[tuple[str, str]] = field(default_factory=list)
    """Of each node the values whose channels go in and come out."""
    behind: dict[str, tuple[int, ...]] = field(default_factory=dict)
    last: set[str] = field(default_factory=set)
    """Values whose channels stand last."""
    swishes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Products of a value and its own sigmoid, with both."""
    gates: set[str] = field(default_factory=set)
    """Those sigmoids."""

    def image(self, value: str) -> Image:
        """Height, width and channels."""
        shape = self.graph.shapes.get(value, ())
        match len(shape):
            case 4:
                return (shape[1], shape[2], shape[3]) if value in self.last else (shape[2], shape[3], shape[1])
            case 3:
                return shape[1], 1, shape[2]
            case 0:
                return 1, 1, 1
            case _:
                return 1, 1, shape[1] if len(shape) > 1 else shape[0]

    def channels(self, value: str) -> Axis | None:
        """The axis that `image` takes the channels from."""
        match len(self.graph.shapes.get(value, ())):
            case 4:
                return value, 3 if value in self.last else 1
            case 3:
                return value, 2
            case 0:
                return None
            case rank:
                return value, min(1, rank - 1)

    def add(self, node: CGNode, *, read: tuple[int, ...], before: str, made: str) -> None:
        place = len(self.nodes)
        self.nodes.append(node)
        self.ends.append((before, made))
        self.edges |= {(begin, place) for begin in read}
        self.behind[made] = (place,)


def computational_graph(graph: Graph, name: str = "") -> ComputationalGraph:
    """Makes the CG of a network; its weights need no data.

    Args:
        graph: the network, channels first or (behind a transposition) last.
        name: of the result; without it that of the graph.
    """
    draft = _drafted(graph)
    shape = graph.bound[graph.inputs[0]] if graph.inputs else ()
    last_first = (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else shape
    return ComputationalGraph.ordered(name or graph.model.graph.name, last_first, draft.nodes, draft.edges)


def channel_axes(graph: Graph) -> list[tuple[Axis | None, Axis | None]]:
    """For each node of the CG, in its order: the axes whose lengths are its channels in and out; None where there is none."""
    draft = _drafted(graph)
    order = ComputationalGraph.order(draft.nodes)
    return [(draft.channels(draft.ends[place][0]), draft.channels(draft.ends[place][1])) for place in order]


def _drafted(graph: Graph) -> _Draft:
    draft = _Draft(graph)
    for value in graph.inputs:
        height, width, channels = draft.image(value)
        entry = CGNode("input", (height, height, width, width, channels, channels), name=value, label="input")
        draft.add(entry, read=(), before=value, made=value)
    draft.swishes = dict(_swishes(graph))
    draft.gates = {gate for _, gate in draft.swishes.values()}
    for node in graph.nodes:
        if all(not value or value in graph.weights or value in graph.constants for value in node.outputs):
            continue
        _visit(draft, node)
    for value in graph.outputs:
        height, width, channels = draft.image(value)
        end = CGNode("output", (height, height, width, width, channels, channels), name=value, label="output")
        draft.add(end, read=draft.behind.get(value, ()), before=value, made=value)
    return draft


def _visit(draft: _Draft, node: Node) -> None:
    graph, made = draft.graph, node.outputs[0]
    values = [name for name in node.inputs if name and name not in graph.weights and name not in graph.constants]
    read = tuple(dict.fromkeys(place for name in values for place in draft.behind.get(name, ())))
    if not read:  # made of stored numbers alone: standardised weights, tables of positions
        draft.behind |= dict.fromkeys(node.outputs, ())
        return
    if node.op == "Transpose":
        _turn(draft, node)
    elif any(name in draft.last for name in values) and len(graph.shapes.get(made, ())) == 4:
        draft.last.add(made)
    word = _word(draft, node, values)
    if node.op in LAYERS and values:
        draft.add(_layer(draft, node, values[0]), read=read, before=values[0], made=made)
    elif made in draft.swishes:
        value, _ = draft.swishes[made]
        draft.add(_regular(draft, node, "swish", value), read=draft.behind.get(value, ()), before=value, made=made)
    elif _is_bias(draft, node, values, read):
        (place,) = read
        draft.nodes[place] = replace(draft.nodes[place], bias=True)
        draft.behind[made] = read
    elif word is None or made in draft.gates:
        draft.behind[made] = read
    else:
        draft.add(_regular(draft, node, word, values[0]), read=read, before=values[0], made=made)
    for value in node.outputs[1:]:
        draft.behind[value] = draft.behind[made]


def _word(draft: _Draft, node: Node, values: list[str]) -> str | None:
    """The word of a node without weights; None where it is left out."""
    graph = draft.graph
    if node.domain and node.op not in WORDS:
        return None
    if node.op in JOINS:
        if len(values) > 1:
            return JOINS[node.op]
        return "zero" if node.op == "Mul" and _times_zero(graph, node) else None
    if node.op == "Clip":
        low, high = (graph.operand(node, slot, name) for slot, name in ((1, "min"), (2, "max")))
        zero = low is not None and float(np.asarray(low).reshape(-1)[0]) == 0
        return ("relu6" if high is not None else "relu") if zero else None
    if node.op == "ReduceMean":
        return "mean" if len(graph.shapes.get(node.inputs[0], ())) - _kept(graph, node) >= MEANS_OVER else None
    if node.op == "Pad":
        pads = graph.operand(node, 1, "pads")
        return "paddings" if pads is not None and np.any(pads) else None
    return WORDS.get(node.op)


def _kept(graph: Graph, node: Node) -> int:
    """Axes that a reduction leaves as they are."""
    before, after = graph.shapes.get(node.inputs[0], ()), graph.shapes.get(node.outputs[0], ())
    axes = graph.operand(node, 1, "axes")
    return len(before) - len(np.unique(axes)) if axes is not None else len(after) if len(after) < len(before) else 0


def _times_zero(graph: Graph, node: Node) -> bool:
    factors = [graph.constants[name] for name in node.inputs if name in graph.constants]
    return bool(factors) and not np.any(factors[0])


def _is_bias(draft: _Draft, node: Node, values: list[str], read: tuple[int, ...]) -> bool:
    """Whether a node adds stored numbers to a weighted node that has no bias yet, and which nobody else reads."""
    stored = [name for name in node.inputs if name in draft.graph.weights]
    if node.op != "Add" or len(values) != 1 or not stored or len(read) != 1:
        return False
    before = draft.nodes[read[0]]
    return before.weighted and not before.bias and draft.graph.weights[stored[0]].size in (1, draft.image(values[0])[2])


def _layer(draft: _Draft, node: Node, value: str) -> CGNode:
    graph, made = draft.graph, node.outputs[0]
    before, after = draft.image(value), draft.image(made)
    if node.op in ("Gemm", "MatMul"):
        shape: tuple[int, ...] = (before[2], after[2], 0, 0)
        bias = node.op == "Gemm" and len(node.inputs) > 2 and bool(node.inputs[2])
        return CGNode("matmul", _resolution(before, after), shape, bias, None, node.name, "matmul")
    kernel = graph.shape(node.inputs[1])[2:]
    sizes = (*kernel, 1)[:2] if len(kernel) < 2 else kernel[-2:]
    groups = int(node.attrs.get("group", 1))
    depthwise = 1 < groups == before[2]
    bias = len(node.inputs) > 2 and bool(node.inputs[2])
    shape = (before[2], after[2] // before[2] if depthwise else after[2], *sizes)
    word = "depthwise" if depthwise else "conv"
    strides = tuple(node.attrs.get("strides", (1, 1)))
    return CGNode(word, _resolution(before, after), shape, bias, (1, *(strides * 2)[:2], 1), node.name, word if depthwise else "conv2d")


def _regular(draft: _Draft, node: Node, word: str, value: str) -> CGNode:
    strides = node.attrs.get("strides") if node.op in ("MaxPool", "AveragePool", "LpPool") else None
    slid = None if strides is None else (1, *(tuple(strides) * 2)[:2], 1)
    if word == "concat":
        before, after = draft.image(value), draft.image(node.outputs[0])
        return CGNode(word, _resolution((after[0], after[1], before[2]), after), None, False, slid, node.name, word)
    return CGNode(word, _resolution(draft.image(value), draft.image(node.outputs[0])), None, False, slid, node.name, word)


def _resolution(before: Image, after: Image) -> Resolution:
    return before[0], after[0], before[1], after[1], before[2], after[2]


def _turn(draft: _Draft, node: Node) -> None:
    """Follows where channels stand through a transposition."""
    order, value, made = tuple(node.attrs.get("perm", ())), node.inputs[0], node.outputs[0]
    if (order == TO_LAST and value not in draft.last) or (order != TO_FIRST and value in draft.last):
        draft.last.add(made)


def _swishes(graph: Graph) -> Iterator[tuple[str, tuple[str, str]]]:
    """Products of a value and its own sigmoid, which has no other reader."""
    for node in graph.nodes:
        if node.op != "Mul" or len(node.inputs) != 2:
            continue
        for value, gate in (node.inputs, node.inputs[::-1]):
            maker = graph.producers.get(gate)
            sigmoid = maker is not None and maker.op in ("Sigmoid", "HardSigmoid") and maker.inputs[0] == value
            if sigmoid and len(graph.consumers[gate]) == 1:
                yield node.outputs[0], (value, gate)
                break
