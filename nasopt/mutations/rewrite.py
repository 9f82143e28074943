"""Removing units from a model: every tensor loses its slices, every node that spells out a channel count is told the new one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import defs
from onnx.helper import make_attribute, make_node, make_tensor_value_info, np_dtype_to_tensor_dtype
from onnx.numpy_helper import from_array

from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops import operator_of
from nasopt.graphs.shapes import fold_constants
from nasopt.graphs.units import Mask, Units

__all__ = ["remove_units"]

Array = np.ndarray[Any, Any]


def remove_units(units: Units, removed: Mask) -> onnx.ModelProto:
    """The model without the flagged units.

    Args:
        units: the solved couplings of the model's graph.
        removed: one flag a unit.

    Returns:
        A new model; the one that `units` was made from is untouched.

    Raises:
        InvalidEditError: a frozen unit is flagged, or all units of a group.
    """
    for frozen in units.frozen:
        if removed[frozen.units].any():
            raise InvalidEditError(f"'{frozen.name}' cannot lose channels: {frozen.barrier.reason}")
    for group in units.groups:
        if removed[group.units].all():
            raise InvalidEditError(f"'{group.name}' would lose all its channels")
    return _Rewriter(units, removed).run()


class _Rewriter:
    """The `Rewrite` that operator rules talk to, over one new model."""

    def __init__(self, units: Units, removed: Mask) -> None:
        self.units, self.removed = units, removed
        self.graph: Graph = units.graph
        self.model = onnx.ModelProto()
        self.model.CopyFrom(self.graph.model)
        self._taken = set(self.graph.shapes) | {name for node in self.graph.nodes for name in (*node.inputs, *node.outputs)}
        self._initializers = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self._computed: list[tuple[Node, int, str, Array]] = []
        self._inserted: dict[int, list[onnx.NodeProto]] = {}

    def run(self) -> onnx.ModelProto:
        for node in self.graph.nodes:
            operator = operator_of(node)
            if operator is not None and all(name in self.graph.shapes for name in (*node.inputs, *node.outputs[:1]) if name):
                operator.rewrite(self, node)
        self._slice_weights()
        self._declare_shapes()
        self._correct_computed_sizes()
        self._insert_nodes()
        return self.model

    # -- what operator rules use -----------------------------------------------------------------------------------------------

    def keep(self, value: str, axis: int) -> Mask | None:
        return self.units.keep(value, axis, self.removed)

    def set_attribute(self, node: Node, name: str, value: int | list[int] | None) -> None:
        proto = self.model.graph.node[node.index]
        kept = [attribute for attribute in proto.attribute if attribute.name != name]
        del proto.attribute[:]
        proto.attribute.extend(kept if value is None else [*kept, make_attribute(name, value)])

    def set_operand(self, node: Node, slot: int, attribute: str, value: Array) -> None:
        if attribute in defs.get_schema(node.op, self.graph.opset).attributes:
            self.set_attribute(node, attribute, [int(n) for n in value.reshape(-1)])
            return
        name = node.inputs[slot] if slot < len(node.inputs) else ""
        if name in self.graph.shape_sources:
            self._computed.append((node, slot, name, value))
            return
        known = self.graph.constants.get(name)
        if known is not None and known.shape == value.shape and (known == value).all():
            return
        fresh = self._store(f"{node.name}.{attribute}", value)
        proto = self.model.graph.node[node.index]
        proto.input.extend([""] * (slot + 1 - len(proto.input)))
        proto.input[slot] = fresh

    # -- the rest of the model -------------------------------------------------------------------------------------------------

    def _slice_weights(self) -> None:
        for name, weight in self.graph.weights.items():
            keeps = {axis: keep for axis in range(len(weight.shape)) if (keep := self.keep(name, axis)) is not None}
            if not keeps:
                continue
            if weight.kind == "fill":
                node = self.graph.producers[name]
                self.set_operand(node, 0, "shape", np.array(self._new_shape(name), np.int64))
                continue
            array = weight.array()
            for axis, keep in keeps.items():
                array = np.compress(keep, array, axis)
            tensor = from_array(array, name)
            if weight.kind == "initializer":
                tensor.doc_string = weight.proto.doc_string
                self._initializers[name].CopyFrom(tensor)
            else:
                proto = self.model.graph.node[self.graph.producers[name].index]
                del proto.attribute[:]
                proto.attribute.append(make_attribute("value", tensor))

    def _declare_shapes(self) -> None:
        """Intermediate values, and weights that old models list among the inputs, declare their new sizes; dynamic ones stay so."""
        for value in [*self.model.graph.value_info, *(v for v in self.model.graph.input if v.name in self.graph.weights)]:
            if value.name in self.graph.shapes and value.type.HasField("tensor_type"):
                for dim, size, old in zip(
                    value.type.tensor_type.shape.dim, self._new_shape(value.name), self.graph.shape(value.name), strict=False
                ):
                    if size != old and dim.HasField("dim_value"):
                        dim.dim_value = size

    def _correct_computed_sizes(self) -> None:
        """Sizes computed from shapes mostly follow by themselves; where a constant was baked in, the difference is added."""
        if not self._computed:
            return
        follows, _ = fold_constants(self.graph, {name: self._new_shape(name) for name in self.graph.shapes}, self.graph.dtypes)
        for node, slot, name, wanted in self._computed:
            # Only sizes that pruning changes are ours to set: others may be dynamic, "0" or "-1".
            current = self.graph.constants[name]
            ours = (wanted != current) | (follows[name] != current)
            delta = np.where(ours, wanted - follows[name], 0).astype(wanted.dtype)
            if delta.any():
                step, total = self._store(f"{node.name}.fewer", delta), self._name(f"{node.name}.size")
                self._insert(node, make_node("Add", [name, step], [total], name=self._name(f"{node.name}.correct")))
                self.model.graph.node[node.index].input[slot] = total

    def _store(self, name: str, value: Array) -> str:
        """A new initializer; before IR version 4 they are listed among the inputs, as this file's others are."""
        name = self._name(name)
        self.model.graph.initializer.append(from_array(value, name))
        if self.model.ir_version < 4:
            self.model.graph.input.append(make_tensor_value_info(name, np_dtype_to_tensor_dtype(value.dtype), value.shape))
        return name

    def _insert(self, before: Node, proto: onnx.NodeProto) -> None:
        self._inserted.setdefault(before.index, []).append(proto)

    def _insert_nodes(self) -> None:
        if self._inserted:
            nodes = [part for index, proto in enumerate(self.model.graph.node) for part in (*self._inserted.get(index, ()), proto)]
            ordered = onnx.GraphProto(node=nodes)
            self.model.graph.ClearField("node")
            self.model.graph.node.extend(ordered.node)

    def _new_shape(self, name: str) -> tuple[int, ...]:
        return tuple(
            size if (keep := self.keep(name, axis)) is None else int(keep.sum()) for axis, size in enumerate(self.graph.shape(name))
        )

    def _name(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self._taken:
            name, count = f"{wanted}.{count}", count + 1
        self._taken.add(name)
        return name
