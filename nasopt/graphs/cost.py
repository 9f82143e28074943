"""What a network costs, and what every choice of channels would cost.

MACs are multiply-accumulates of Conv, ConvTranspose, Gemm and MatMul under the bound input shape, bias excluded. Parameters are the
elements of all floating-point weights except the running statistics of BatchNormalization and stored scalars (the bounds of a Clip, a
factor: settings, not parameters). Activation bytes are the tensors that nodes
produce; the peak is the largest sum of live ones while nodes run in file order, inputs included.

Each of these is a sum of products of axis lengths, and each axis length is an affine function of how many units each group keeps.
`CostTable` holds these forms as arrays, so that a population is costed by a few matrix products and never by building models.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

from nasopt.graphs.axis_forms import AxisForms, Terms
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops import Macs, operator_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from nasopt.graphs.units import Units

__all__ = ["COUNTED", "CostTable", "NodeUse", "Totals", "node_macs", "node_uses", "totals", "unknown_operators"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


COUNTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""The operators that the definition of MACs counts."""


@dataclass(frozen=True, slots=True)
class NodeUse:
    """One node's share of the costs; `macs` is None where its operator is not known."""

    node: Node
    macs: int | None
    params: int
    activation_bytes: int


@dataclass(frozen=True, slots=True)
class Totals:
    macs: int
    params: int
    activation_bytes: int
    peak_activation_bytes: int


def node_macs(graph: Graph, node: Node) -> Macs | None:
    """The cost form of a node; None where the operator is not known, or its shapes are not or make no sense."""
    operator = operator_of(node)
    if operator is None:
        return None
    try:
        form = operator.macs(graph, node)
    except (KeyError, IndexError):  # unknown shapes, or too few dimensions for the operator
        return None
    known = form is not None and all(axis < len(graph.shapes.get(value, ())) for value, axis in form.dims)
    return form if known else None


def node_uses(graph: Graph) -> list[NodeUse]:
    """Every node's share. A weight that several nodes read is counted at the first."""
    counted: set[str] = set()
    settings = _settings(graph)
    uses = []
    for node in graph.nodes:
        form = node_macs(graph, node)
        macs = None if form is None else form.coefficient * math.prod(graph.shape(value)[axis] for value, axis in form.dims)
        own = [name for name in node.inputs if name in graph.weights and graph.is_float(name) and name not in counted | settings]
        counted.update(own)
        params = sum(graph.weights[name].size for name in dict.fromkeys(own))
        uses.append(NodeUse(node, macs, params, sum(_bytes(graph, name) for name in _produced(graph, node))))
    return uses


def totals(graph: Graph, uses: Sequence[NodeUse] | None = None) -> Totals:
    """The network's costs; `uses` are those of its nodes, where they are known already."""
    uses = node_uses(graph) if uses is None else uses
    sizes = np.array([_bytes(graph, name) for name in _live_values(graph)], np.int64)
    born, dies = _lives(graph)
    change = np.zeros(len(graph.nodes) + 2, np.int64)
    np.add.at(change, born, sizes)
    np.add.at(change, dies + 1, -sizes)
    peak = int(np.cumsum(change).max(initial=0))
    return Totals(sum(use.macs or 0 for use in uses), sum(use.params for use in uses), sum(use.activation_bytes for use in uses), peak)


def unknown_operators(graph: Graph, uses: Sequence[NodeUse] | None = None) -> dict[str, int]:
    """Operators that have no cost rule here, or whose shapes depend on the data, and how often they occur."""
    return dict(Counter(use.node.qualified for use in uses or node_uses(graph) if use.macs is None))


class CostTable:
    """Costs of a whole population at once.

    A candidate is a row of integers: how many units each group of `units.groups` keeps.
    """

    def __init__(self, units: Units) -> None:
        self.units = units
        graph = units.graph
        self._forms = AxisForms(units.graph, units)
        macs: list[tuple[int, list[int]]] = []
        for node in graph.nodes:
            form = node_macs(graph, node)
            if form is not None and form.coefficient:
                macs.append(self._forms.term(form.coefficient, form.dims))
        settings = _settings(graph)
        params = [
            self._forms.term(1, [(name, axis) for axis in range(len(weight.shape))])
            for name, weight in graph.weights.items()
            if graph.is_float(name) and name in graph.consumers and name not in settings
        ]
        self._live = _liveness(graph)
        names = _live_values(graph)
        activations = [self._forms.term(_item(graph, name), [(name, axis) for axis in range(len(graph.shape(name)))]) for name in names]
        self._macs, self._params = Terms.merged(macs), Terms.merged(params)
        self._activations = Terms.plain(activations)
        self._produced = np.array([name not in graph.inputs for name in names])

    def macs(self, kept: Ints) -> Floats:
        """MACs of each candidate; `kept` is (population, groups)."""
        return self._macs.total(self._forms.sizes(kept))

    def params(self, kept: Ints) -> Floats:
        """Parameters of each candidate."""
        return self._params.total(self._forms.sizes(kept))

    def activation_bytes(self, kept: Ints) -> Floats:
        """Bytes of all tensors that nodes produce, per candidate."""
        each = self._activations.each(self._forms.sizes(kept))
        return np.asarray(each[:, self._produced].sum(axis=1))

    def peak_activation_bytes(self, kept: Ints) -> Floats:
        """Peak of live activation bytes, per candidate."""
        each = self._activations.each(self._forms.sizes(kept))
        return np.asarray((self._live @ each.T).max(axis=0)) if each.shape[1] else np.zeros(len(kept))


def _settings(graph: Graph) -> set[str]:
    """Stored numbers that are no parameters."""
    scalars = {name for name, weight in graph.weights.items() if not weight.shape}
    return scalars | {name for node in graph.nodes if node.op == "BatchNormalization" and not node.domain for name in node.inputs[3:5]}


def _produced(graph: Graph, node: Node) -> list[str]:
    """Outputs that exist at run time: not the stored and folded ones."""
    return [name for name in node.outputs if name in graph.shapes and name not in graph.weights and name not in graph.constants]


def _live_values(graph: Graph) -> list[str]:
    return [name for name in graph.inputs if name in graph.shapes] + [name for node in graph.nodes for name in _produced(graph, node)]


def _item(graph: Graph, name: str) -> int:
    dtype = graph.dtypes.get(name, 1)
    try:
        return int(np.dtype(tensor_dtype_to_np_dtype(dtype)).itemsize)
    except (KeyError, TypeError):
        return 0


def _bytes(graph: Graph, name: str) -> int:
    return math.prod(graph.shape(name)) * _item(graph, name)


def _lives(graph: Graph) -> tuple[Ints, Ints]:
    """For each of `_live_values`: the first and the last node during which it is alive."""
    names = _live_values(graph)
    ends = set(graph.outputs)
    born = [graph.producers[name].index if name in graph.producers else 0 for name in names]
    last = [
        len(graph.nodes) - 1 if name in ends else max((node.index for node, _ in graph.consumers.get(name, ())), default=-1)
        for name in names
    ]
    first = np.array(born, np.int64)
    return first, np.maximum(first, np.array(last, np.int64))


def _liveness(graph: Graph) -> csr_array:
    """Which values are alive while each node runs: (nodes, values)."""
    from scipy.sparse import csr_array

    born, dies = _lives(graph)
    lengths = dies - born + 1
    columns = np.repeat(np.arange(len(born)), lengths)
    rows = np.arange(len(columns)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(born, lengths)
    shape = max(1, len(graph.nodes)), len(born)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape)
