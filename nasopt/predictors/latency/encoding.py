"""A network as what its operators have to do, by class: a latency encoding that needs no search space.

Every node belongs to a class (dense, pointwise, depthwise and grouped convolutions, products of matrices, norms, activations, …), and has
eight measures: MACs; MACs with channel counts filled up to whole vector registers; MACs of layers whose channel counts are no multiples of
4, 8 and 16, for which libraries have slower kernels; bytes of activations read and written; bytes of weights; 1. Pruning changes only
lengths of axes, so the measures of a whole population are filled from tables and no candidate is built.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.graphs.axis_forms import AxisForms, Term, Terms
from nasopt.graphs.cost import node_macs
from nasopt.graphs.graph import Graph, Node

if TYPE_CHECKING:
    from nasopt.graphs.units import Units

__all__ = ["CLASSES", "MEASURES", "LatencyTable", "class_of", "encode", "names", "stored_values"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

STEPS = (4, 8, 16)
"""Multiples of channels that libraries have kernels for: whole, half and quarter vectors of the widest common CPUs, in float32."""

MEASURES = ("macs", "full macs", *(f"macs off {step}" for step in STEPS), "bytes", "weight bytes", "count")
"""Millions of MACs, megabytes, 1."""

CLASSES = (
    "first conv", "dense conv", "large conv", "pointwise conv", "grouped conv", "depthwise conv", "linear", "product", "norm", "statistics",
    "clip", "curve", "sum", "pool", "global pool", "move", "resize", "softmax", "other", "network",
)  # fmt: skip
"""Of operators; ``network`` is the whole: once a run."""

OF_OPERATOR = {
    "BatchNormalization": "norm", "LayerNormalization": "statistics", "InstanceNormalization": "statistics",
    "GroupNormalization": "statistics", "LpNormalization": "statistics", "LRN": "statistics", "MeanVarianceNormalization": "statistics",
    **dict.fromkeys(("Relu", "LeakyRelu", "PRelu", "Clip", "ThresholdedRelu", "Abs", "Neg", "Sign", "Floor", "Ceil", "Round"), "clip"),
    **dict.fromkeys(
        (
            "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu", "Celu", "Gelu", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Mish",
            "Softplus", "Softsign", "Swish", "Sin", "Cos",
        ), "curve",
    ),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Mean", "Pow", "Where", "Mod"), "sum"),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), "pool"),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), "global pool"),
    **dict.fromkeys(
        ("Concat", "Split", "Slice", "Pad", "Transpose", "Tile", "Expand", "Gather", "SpaceToDepth", "DepthToSpace", "Cast"), "move"
    ),
    **dict.fromkeys(("Resize", "Upsample"), "resize"), **dict.fromkeys(("Softmax", "LogSoftmax"), "softmax"),
}  # fmt: skip
FREE = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Shape", "Size", "Constant", "ConstantOfShape"})
"""They run, but move nothing."""

VECTOR = STEPS[-1]
FEW = 4
"""Channels of an image: convolutions of as many have kernels of their own."""
LARGE = 9
"""Positions of a kernel beyond which it counts as large."""
MILLION = 1e6


def class_of(graph: Graph, node: Node, stored: AbstractSet[str]) -> str | None:
    """The class of a node; None where it does nothing at run time.

    Args:
        graph: the network.
        node: one of its nodes.
        stored: values that are known before it runs (`stored_values`).
    """
    if node.op in FREE or all(not name or name in stored for name in node.outputs):
        return None
    if node.op in ("Conv", "ConvTranspose") and not node.domain:
        return _convolution(graph, node)
    if node.op in ("Gemm", "MatMul") and not node.domain:
        return "linear" if any(name in stored for name in node.inputs[:2]) else "product"
    if node.op.startswith("Reduce"):
        return "global pool"
    return OF_OPERATOR.get(node.op, "other")


def stored_values(graph: Graph) -> AbstractSet[str]:
    """Weights, constants, and what is computed of these alone: a runtime does that once, when it loads the network."""
    stored = {*graph.weights, *graph.constants}
    for node in graph.nodes:
        if node.inputs and not node.captured and all(not name or name in stored for name in node.inputs):
            stored.update(node.outputs)
    return stored


def _convolution(graph: Graph, node: Node) -> str:
    shape, groups = graph.shape(node.inputs[1]), int(node.attrs.get("group", 1))
    positions = int(np.prod(shape[2:]))
    if groups > 1:
        return "depthwise conv" if shape[1] == 1 else "grouped conv"
    if node.op == "Conv" and shape[1] <= FEW:
        return "first conv"
    return "pointwise conv" if positions == 1 else "dense conv" if positions <= LARGE else "large conv"


class LatencyTable:
    """The measures of a network, and of everything that it can be pruned to.

    Attributes:
        classes: of every node that takes time, a place in `CLASSES`; the last is the network's own: (nodes,).
        shapes: of every node, a number that it shares with those of the same class, sizes of image and kernel: (nodes,).
        nodes: their names.
    """

    def __init__(self, graph: Graph, units: Units | None = None) -> None:
        """Compiles the table.

        Args:
            graph: the network.
            units: its couplings; without them the network is all there is.
        """
        self._forms = forms = AxisForms(graph, units)
        stored = stored_values(graph)
        macs, full, into, out, moved, weights, classes, named = [], [], [], [], [], [], [], []
        shapes: dict[tuple[object, ...], int] = {}
        shape_of = []
        for node in graph.nodes:
            kind = class_of(graph, node, stored)
            if kind is None:
                continue
            cost = node_macs(graph, node)
            macs.append(forms.term(cost.coefficient, cost.dims) if cost is not None else (0, []))
            channels = [forms.term(1, [axis]) for axis in _channel_axes(graph, node, stored)]
            into.append(channels[1] if len(channels) > 1 else (VECTOR, []))
            out.append(channels[0] if channels else (VECTOR, []))
            full.append(bool(channels))
            values = [name for name in (*node.inputs, *node.outputs) if name in graph.shapes]
            moved.append([_size(forms, graph, name) for name in values if name not in stored])
            weights.append([_size(forms, graph, name) for name in values if name in stored and graph.is_float(name)])
            classes.append(CLASSES.index(kind))
            named.append(node.name)
            shape_of.append(shapes.setdefault((kind, *_shape(graph, node)), len(shapes)))
        self.classes: Ints = np.array([*classes, CLASSES.index("network")], np.int64)
        self.shapes: Ints = np.array([*shape_of, len(shapes)], np.int64)
        self.nodes = (*named, "")
        self._macs, self._into, self._out = Terms.plain(macs), Terms.plain(into), Terms.plain(out)
        self._filled = np.array(full, np.bool_)
        self._moved, self._weights = _Sums.of(moved), _Sums.of(weights)
        self._groups = 0 if units is None else len(units.groups)

    def measures(self, kept: Ints | None = None) -> Floats:
        """Every measure of every node: (measures, population, nodes).

        Args:
            kept: units kept per group, (population, groups); the network itself if left out, which only tables without units allow.
        """
        sizes = self._forms.sizes(np.zeros((1, self._groups), np.int64) if kept is None else kept)
        macs, into, out = self._macs.each(sizes) / MILLION, self._into.each(sizes), self._out.each(sizes)
        filled = np.where(self._filled, macs * (np.ceil(into / VECTOR) * VECTOR / into) * (np.ceil(out / VECTOR) * VECTOR / out), macs)
        off = [np.where((into % step != 0) | (out % step != 0), macs, 0.0) for step in STEPS]
        result = np.zeros((len(MEASURES), len(sizes), len(self.classes)))
        for place, values in enumerate((macs, filled, *off, self._moved.each(sizes), self._weights.each(sizes), np.ones_like(macs))):
            result[place, :, :-1] = values
        result[-1, :, -1] = 1.0
        return result

    def encodings(self, kept: Ints | None = None) -> Floats:
        """Sums by class: (population, classes x measures), as `names` has them."""
        return by_class(self.measures(kept), self.classes)


def by_class(measures: Floats, classes: Ints) -> Floats:
    """Sums (measures, population, nodes) by class: (population, classes x measures)."""
    summed = measures @ np.eye(len(CLASSES))[classes]
    return np.asarray(summed.transpose(1, 2, 0).reshape(measures.shape[1], -1))


def encode(graph: Graph) -> Floats:
    """One network: (classes x measures,)."""
    return np.asarray(LatencyTable(graph).encodings()[0])


def names() -> tuple[str, ...]:
    """What the numbers of an encoding are."""
    return tuple(f"{kind}: {measure}" for kind in CLASSES for measure in MEASURES)


class _Sums:
    """Sums of terms, in megabytes."""

    def __init__(self, terms: Terms, owners: Floats) -> None:
        self._terms, self._owners = terms, owners

    @classmethod
    def of(cls, rows: list[list[Term]]) -> _Sums:
        owners = np.zeros((sum(map(len, rows)), len(rows)))
        owners[np.arange(len(owners)), np.repeat(np.arange(len(rows)), [len(row) for row in rows])] = 1 / MILLION
        return cls(Terms.plain([term for row in rows for term in row]), owners)

    def each(self, sizes: Floats) -> Floats:
        """(population, nodes)."""
        return np.asarray(self._terms.each(sizes) @ self._owners)


def _size(forms: AxisForms, graph: Graph, name: str) -> Term:
    """Bytes of a tensor, in float32 whatever it is: devices choose precisions of their own."""
    return forms.term(4, [(name, axis) for axis in range(len(graph.shape(name)))])


def _shape(graph: Graph, node: Node) -> tuple[object, ...]:
    """What pruning leaves as it is: sizes of the images read and made, and of the kernel."""
    images = [graph.shapes.get(name, ())[2:] for name in (*node.inputs[:1], *node.outputs[:1])]
    kernel = graph.shapes.get(node.inputs[1], ())[2:] if len(node.inputs) > 1 and node.op in ("Conv", "ConvTranspose") else ()
    return (*images, kernel)


def _channel_axes(graph: Graph, node: Node, stored: AbstractSet[str]) -> list[tuple[str, int]]:
    """Axes of a layer's weight: channels out, channels in (the first alone of depthwise convolutions and those that read an image)."""
    if node.domain or node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return []
    weight = node.inputs[1]
    shape = graph.shapes.get(weight, ())
    if weight not in stored or len(shape) < 2:
        return []
    match node.op:
        case "Conv":
            out, into = 0, 1
        case "ConvTranspose":
            out, into = 1, 0
        case "Gemm":
            out, into = (0, 1) if node.attrs.get("transB", 0) else (1, 0)
        case _:
            out, into = len(shape) - 1, len(shape) - 2
    one_sided = node.op == "Conv" and (shape[1] == 1 or (shape[1] <= FEW and int(node.attrs.get("group", 1)) == 1))
    return [(weight, out)] if one_sided else [(weight, out), (weight, into)]
