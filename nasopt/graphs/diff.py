"""What differs between two models: nodes, attributes, weights, shapes, interface.

Nodes are matched by their first output, which is unique in a graph, or by their name where the output has another name now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto

from nasopt.graphs.graph import Graph, Node, Weight
from nasopt.results import LayerChange

__all__ = ["changes", "interface_changes"]


def changes(before: Graph, after: Graph) -> tuple[LayerChange, ...]:
    """Every difference, nodes first, then weights, then shapes of what nodes compute.

    The values of a weight are compared only where its shape is the same.
    """
    pairs = _pairs(before, after)
    matched = {second.index for _, second in pairs}
    first = {node.index for node, _ in pairs}
    found = [LayerChange(node.name, "node removed", node.qualified, "") for node in before.nodes if node.index not in first]
    found += [LayerChange(node.name, "node added", "", node.qualified) for node in after.nodes if node.index not in matched]
    for one, other in pairs:
        found += _node_changes(before, one, after, other)
    found += _weight_changes(before.weights, after.weights)
    for one, other in pairs:
        for old, new in zip(one.outputs, other.outputs, strict=False):
            shapes = before.shapes.get(old), after.shapes.get(new)
            if shapes[0] != shapes[1] and old not in before.weights:
                found.append(LayerChange(one.name, "shape", _shape(shapes[0]), _shape(shapes[1])))
    return tuple(found)


def interface_changes(before: Graph, after: onnx.ModelProto) -> list[str]:
    """How the interface differs: inputs, outputs, opsets, metadata, functions. Entries that nasopt adds to the metadata do not count."""
    found = []
    original = before.model
    inputs = [value for value in original.graph.input if value.name in before.bound]
    others = [value for value in after.graph.input if value.name not in {tensor.name for tensor in after.graph.initializer}]
    if inputs != others:
        found.append(f"inputs: {_signature(inputs)} became {_signature(others)}")
    if list(original.graph.output) != list(after.graph.output):
        found.append(f"outputs: {_signature(original.graph.output)} became {_signature(after.graph.output)}")
    opsets = [{entry.domain: entry.version for entry in model.opset_import} for model in (original, after)]
    if opsets[0] != opsets[1]:
        found.append(f"opsets: {opsets[0]} became {opsets[1]}")
    metadata = [{entry.key: entry.value for entry in model.metadata_props} for model in (original, after)]
    lost = [key for key, value in metadata[0].items() if metadata[1].get(key) != value and not key.startswith("nasopt.")]
    if lost:
        found.append(f"metadata: '{lost[0]}' is lost or changed")
    if list(original.functions) != list(after.functions):
        found.append("model functions differ")
    return found


def _pairs(before: Graph, after: Graph) -> list[tuple[Node, Node]]:
    """Nodes of the same operator that are the same node in both models, in the order of the first."""
    by_output = {node.outputs[0]: node for node in after.nodes if node.outputs}
    by_name, names = _by_name(after), _by_name(before)
    twins: dict[int, Node] = {}
    for node in before.nodes:
        twin = by_output.get(node.outputs[0]) if node.outputs else None
        if twin is not None and twin.qualified == node.qualified:
            twins[node.index] = twin
    taken = {twin.index for twin in twins.values()}
    for name, node in names.items():
        twin = by_name.get(name)
        if node.index not in twins and twin is not None and twin.index not in taken and twin.qualified == node.qualified:
            twins[node.index] = twin
    return [(before.nodes[index], twins[index]) for index in sorted(twins)]


def _by_name(graph: Graph) -> dict[str, Node]:
    """Nodes by the name that the file gives them, where it is not given twice."""
    table: dict[str, Node] = {}
    repeated = set()
    for node in graph.nodes:
        name = graph.model.graph.node[node.index].name
        if name in table:
            repeated.add(name)
        elif name:
            table[name] = node
    return {name: node for name, node in table.items() if name not in repeated}


def _node_changes(before: Graph, one: Node, after: Graph, other: Node) -> Iterator[LayerChange]:
    if one.inputs != other.inputs:
        yield LayerChange(one.name, "inputs", ", ".join(one.inputs), ", ".join(other.inputs))
    if one.outputs != other.outputs:
        yield LayerChange(one.name, "outputs", ", ".join(one.outputs), ", ".join(other.outputs))
    if one.outputs and one.outputs[0] in before.weights and other.outputs[0] in after.weights:
        return  # its value is compared as a weight
    old, new = ({a.name: a for a in graph.model.graph.node[node.index].attribute} for graph, node in ((before, one), (after, other)))
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new or old[name] != new[name]:
            yield LayerChange(f"{one.name}.{name}", "attribute", _attribute(one, old.get(name)), _attribute(other, new.get(name)))


def _weight_changes(before: Mapping[str, Weight], after: Mapping[str, Weight]) -> Iterator[LayerChange]:
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            yield LayerChange(name, "weight removed", _describe(old), "")
        elif (old.shape, old.dtype) != (new.shape, new.dtype):
            yield LayerChange(name, "weight shape", _describe(old), _describe(new))
        else:
            difference = _difference(old.array(), new.array())
            if difference:
                yield LayerChange(name, "weight values", _describe(old), difference)
    yield from (LayerChange(name, "weight added", "", _describe(new)) for name, new in after.items() if name not in before)


def _difference(old: np.ndarray[Any, Any], new: np.ndarray[Any, Any]) -> str:
    """How the values of two equally shaped tensors differ; empty where they do not."""
    if old.tobytes() == new.tobytes():
        return ""
    differ = int((old != new).sum())
    largest = f", by at most {np.abs(old.astype(np.float64) - new).max():.3g}" if np.issubdtype(old.dtype, np.number) else ""
    return f"{differ} of {old.size} elements differ{largest}"


def _attribute(node: Node, proto: AttributeProto | None) -> str:
    if proto is None:
        return "default"
    return str(node.attrs[proto.name]) if proto.name in node.attrs else "subgraph"


def _describe(weight: Weight) -> str:
    kind = TensorProto.DataType.Name(weight.dtype).lower()
    return _shape(weight.shape) if kind == "float" else f"{kind} {_shape(weight.shape)}"


def _shape(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "?"
    return "x".join(map(str, shape)) or "scalar"


def _signature(values: Any) -> str:
    described = []
    for value in values:
        tensor = value.type.tensor_type
        dims = "x".join(str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim)
        described.append(f"{value.name} {TensorProto.DataType.Name(tensor.elem_type).lower()} {dims}".rstrip())
    return ", ".join(described)
