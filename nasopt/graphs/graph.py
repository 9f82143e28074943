"""A network as analyses see it: nodes, values, weights, shapes and small constants under bound input shapes.

A `Graph` is a read-only view of a `ModelProto`; edits make a new model (see `nasopt.mutations`) and a new view of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto
from onnx.helper import get_attribute_value
from onnx.numpy_helper import to_array

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs import shapes as shape_analysis
from nasopt.graphs.admission import admit
from nasopt.graphs.binding import bind_inputs
from nasopt.graphs.model_file import read_model

__all__ = ["Graph", "Node", "Weight", "load_graph"]

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

LARGEST = 1 << 40
"""Elements of a value: more are a defect of the model or of its input shapes."""

FLOAT_TYPES = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the main graph. Attribute tensors are arrays, strings are `str`; subgraphs appear only through `captured`."""

    index: int
    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    """Input value names, ``""`` for an optional input left out."""
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    captured: tuple[str, ...] = ()
    """Values of the main graph that subgraphs of this node read."""

    @property
    def qualified(self) -> str:
        """``Conv``, or ``com.microsoft::FusedConv`` outside the default domain."""
        return f"{self.domain}::{self.op}" if self.domain else self.op


@dataclass(frozen=True, slots=True)
class Weight:
    """A stored tensor: an initializer, the value of a Constant node, or a ConstantOfShape node with a constant shape (``fill``).

    A ``blank`` is an initializer that has a shape but no data yet, as in a network that `nasopt.spaces` has just built: files hold none.
    """

    name: str
    shape: Shape
    dtype: int
    """`TensorProto.DataType`."""
    kind: str
    """``initializer``, ``constant``, ``fill`` or ``blank``."""
    proto: TensorProto = field(repr=False)
    """Where the data is; for a fill, the one-element value."""

    def array(self) -> Array:
        """The data, read from the protobuf at each call (nothing is cached: weights are large).

        Raises:
            ModelNotSupportedError: there is none (a ``blank``).
        """
        if self.kind == "blank":
            raise ModelNotSupportedError(f"weight '{self.name}' has a shape but no data; draw the network's weights first")
        data: Array = to_array(self.proto)
        return np.full(self.shape, data.reshape(-1)[0], data.dtype) if self.kind == "fill" else data

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Graph:
    """A model under bound input shapes.

    Attributes:
        model: the carrier; never changed through the view.
        bound: every graph input's name and the shape that the analysis uses for it.
        nodes: the main graph's nodes in file order, which is topological.
        weights: every stored tensor of the main graph by value name.
        shapes: every value's shape; a value whose shape is unknown is absent.
        dtypes: every value's `TensorProto.DataType`, where known.
        constants: values known at analysis time that are small enough to be shape arithmetic.
        opset: version of the default domain.
    """

    def __init__(self, model: onnx.ModelProto, input_shapes: Mapping[str, Sequence[int]] | None = None, *, origin: str = "model") -> None:
        """Reads `model` as it stands; prefer `load_graph` for files.

        Args:
            model: the carrier.
            input_shapes: shapes for inputs with dynamic dimensions; a dynamic batch alone is bound to 1.
            origin: what error messages call the model.

        Raises:
            UsageError: `input_shapes` does not fit the inputs, or a dynamic dimension is left unbound.
            ModelNotSupportedError: the model is quantised, half-precision, invalid, …
        """
        self.model = model
        self.origin = origin
        self.opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
        self.nodes = tuple(_node(index, node) for index, node in enumerate(model.graph.node))
        self.weights = {weight.name: weight for weight in _weights(model, self.nodes)}
        admit(self)
        self.inputs = tuple(value.name for value in model.graph.input if value.name not in self.weights)
        self.outputs = tuple(value.name for value in model.graph.output)
        self.bound: dict[str, Shape] = bind_inputs(self, input_shapes or {})
        facts = shape_analysis.infer(self)
        for name, shape in facts.shapes.items():
            if min(shape, default=0) < 0:
                raise ModelNotSupportedError(f"{origin}: '{name}' would have a negative size ({'x'.join(map(str, shape))})")
            if math.prod(shape) > LARGEST:
                raise ModelNotSupportedError(f"{origin}: '{name}' would hold {math.prod(shape):,} elements ({'x'.join(map(str, shape))})")
        self.shapes, self.dtypes, self.constants, self.shape_sources = facts.shapes, facts.dtypes, facts.constants, facts.shape_sources

    @cached_property
    def producers(self) -> dict[str, Node]:
        """The node that makes each value."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def consumers(self) -> dict[str, list[tuple[Node, int]]]:
        """For each value, the nodes that read it and at which input (-1 where a subgraph captures it)."""
        table: dict[str, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for slot, name in enumerate(node.inputs):
                if name:
                    table.setdefault(name, []).append((node, slot))
            for name in node.captured:
                table.setdefault(name, []).append((node, -1))
        return table

    def shape(self, name: str) -> Shape:
        """The value's shape; raises KeyError where it is unknown."""
        return self.shapes[name]

    def constant(self, node: Node, slot: int) -> Array | None:
        """The value of an input known at analysis time, or None."""
        return self.constants.get(node.inputs[slot]) if slot < len(node.inputs) and node.inputs[slot] else None

    def operand(self, node: Node, slot: int, attribute: str) -> Array | None:
        """A parameter that older opsets carry as an attribute and newer ones as an input; None where it is absent or unknown."""
        if attribute in node.attrs:
            return np.asarray(node.attrs[attribute])
        return self.constant(node, slot)

    def is_float(self, name: str) -> bool:
        return self.dtypes.get(name) in FLOAT_TYPES


def load_graph(path: str | Path, input_shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """Reads a file and analyses it; see `Graph` for the errors."""
    return Graph(read_model(path), input_shapes, origin=str(path))


def _node(index: int, proto: onnx.NodeProto) -> Node:
    attrs: dict[str, Any] = {}
    captured: dict[str, None] = {}
    for attribute in proto.attribute:
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            for graph in [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs:
                captured.update(dict.fromkeys(_captured(graph)))
        else:
            attrs[attribute.name] = _attribute(attribute)
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    name = proto.name or f"{proto.op_type}#{index}"
    return Node(index, name, proto.op_type, domain, tuple(proto.input), tuple(proto.output), attrs, tuple(captured))


def _attribute(attribute: AttributeProto) -> Any:
    if attribute.type == AttributeProto.TENSOR:
        if not attribute.HasField("t"):
            return None  # the checker will say so
        # A Constant's tensor may be a whole layer: it is read through `Weight`, not here.
        return attribute.t if math.prod(attribute.t.dims) > shape_analysis.LIMIT else to_array(attribute.t)
    value = get_attribute_value(attribute)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _captured(graph: onnx.GraphProto) -> Iterator[str]:
    """Names that a subgraph reads from outside itself."""
    local = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        yield from (name for name in node.input if name and name not in local)
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from (name for name in _captured(inner) if name not in local)
        local.update(node.output)
    yield from (value.name for value in graph.output if value.name not in local)


def _weights(model: onnx.ModelProto, nodes: Sequence[Node]) -> Iterator[Weight]:
    shape_values: dict[str, Array] = {}
    for tensor in model.graph.initializer:
        kind = "blank" if _blank(tensor) else "initializer"
        weight = Weight(tensor.name, tuple(tensor.dims), tensor.data_type, kind, tensor)
        if weight.dtype == TensorProto.INT64 and weight.size <= shape_analysis.LIMIT:
            shape_values[weight.name] = weight.array()
        yield weight
    for node, proto in zip(nodes, model.graph.node, strict=True):
        if not node.outputs:
            continue
        if node.op == "Constant" and not node.domain:
            tensor = _constant_tensor(proto)
            if tensor is not None:
                weight = Weight(node.outputs[0], tuple(tensor.dims), tensor.data_type, "constant", tensor)
                if weight.dtype == TensorProto.INT64 and weight.size <= shape_analysis.LIMIT:
                    shape_values[weight.name] = weight.array()
                yield weight
        elif node.op == "ConstantOfShape" and not node.domain and node.inputs and node.inputs[0] in shape_values:
            value = next((attribute.t for attribute in proto.attribute if attribute.name == "value"), None)
            if value is None:
                value = TensorProto(dims=[1], data_type=TensorProto.FLOAT, float_data=[0.0])
            shape = tuple(int(n) for n in shape_values[node.inputs[0]].reshape(-1))
            yield Weight(node.outputs[0], shape, value.data_type, "fill", value)


def _blank(tensor: TensorProto) -> bool:
    missing = tensor.data_type == TensorProto.FLOAT and not tensor.HasField("raw_data") and not tensor.float_data
    return missing and 0 not in tensor.dims


def _constant_tensor(proto: onnx.NodeProto) -> TensorProto | None:
    """A Constant node's value as a tensor, however it is spelt; None for sparse and string values."""
    attribute = proto.attribute[0] if proto.attribute else None
    if attribute is None:
        return None
    if attribute.name == "value" and attribute.HasField("t"):
        tensor: TensorProto = attribute.t
        return tensor
    if attribute.name in ("value_float", "value_floats"):
        data = [attribute.f] if attribute.name == "value_float" else list(attribute.floats)
        return TensorProto(dims=[] if attribute.name == "value_float" else [len(data)], data_type=TensorProto.FLOAT, float_data=data)
    if attribute.name in ("value_int", "value_ints"):
        ints = [attribute.i] if attribute.name == "value_int" else list(attribute.ints)
        return TensorProto(dims=[] if attribute.name == "value_int" else [len(ints)], data_type=TensorProto.INT64, int64_data=ints)
    return None
