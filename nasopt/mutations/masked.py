"""The masked reference: the original network in which removed channels count for nothing.

It is built from the operators' `Mixing` alone and shares no code with the rewriting of tensors, so that agreement of the two means
something: wherever an operator combines channels, removed ones are masked on the way in (0 into a sum, left out of a mean, …).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx.helper import make_node, np_dtype_to_tensor_dtype, tensor_dtype_to_np_dtype
from onnx.numpy_helper import from_array

from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops import Mixing, operator_of
from nasopt.graphs.units import Mask, Units

__all__ = ["masked_reference"]

Array = np.ndarray[Any, Any]

_NEUTRAL = {Mixing.HIGHEST: -3e38, Mixing.LOWEST: 3e38, Mixing.PRODUCT: 1.0}


def masked_reference(units: Units, removed: Mask) -> onnx.ModelProto:
    """The original model with the flagged units masked; same inputs and outputs, no tensor changes its shape.

    Args:
        units: the solved couplings of the original.
        removed: one flag a unit.
    """
    return _Masker(units, removed).run()


class _Masker:
    def __init__(self, units: Units, removed: Mask) -> None:
        self.units, self.removed = units, removed
        self.graph: Graph = units.graph
        self.nodes: list[onnx.NodeProto] = []
        self.extra: list[TensorProto] = []
        self._count = 0

    def run(self) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self.graph.model)
        for node in self.graph.nodes:
            proto = onnx.NodeProto()
            proto.CopyFrom(self.graph.model.graph.node[node.index])
            operator = operator_of(node)
            masked = any(self.mask(value) is not None for value in node.inputs if value)
            if operator is not None and operator.mixing is not Mixing.NONE and masked:
                if operator.mixing is Mixing.MOMENTS:
                    if self._moments(node, operator.mixed_axes(self.graph, node)):
                        continue
                else:
                    self._inputs(node, proto, operator.mixing, operator.mixed_axes(self.graph, node))
            self.nodes.append(proto)
        del model.graph.node[:]
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(self.extra)
        model.ir_version = max(model.ir_version, 4)  # the masks are initializers that are not listed among the inputs
        return model

    def mask(self, value: str) -> Array | None:
        """1 where the value's elements stay, 0 where they are removed, one dimension per axis; None where all stay."""
        shape = self.graph.shapes.get(value)
        tracks = self.units.tracks.get(value, ())
        if shape is None or not any(self.removed[track].any() for track in tracks):
            return None
        mask = np.ones((1,) * len(shape), np.bool_)
        for track in tracks:
            mask = mask & ~self.removed[track]
        return mask

    def _inputs(self, node: Node, proto: onnx.NodeProto, mixing: Mixing, axes: tuple[int, ...]) -> None:
        slots = range(len(node.inputs)) if node.op in ("MatMul", "Gemm") else range(1)
        for slot in slots:
            value = node.inputs[slot]
            mask = self.mask(value) if value else None
            if mask is None:
                continue
            dtype = self._dtype(value)
            if mixing in _NEUTRAL:
                proto.input[slot] = self._op("Where", self._constant(mask), value, self._constant(np.asarray(_NEUTRAL[mixing], dtype)))
            else:
                factor = self._share(mask, axes) if mixing is Mixing.MEAN else 1.0
                proto.input[slot] = self._op("Mul", value, self._constant((mask * factor).astype(dtype)))

    def _moments(self, node: Node, axes: tuple[int, ...]) -> bool:
        """Layer, instance and group norms whose statistics run over channels, spelt out with masked moments."""
        x = node.inputs[0]
        mask = self.mask(x)
        grouped = node.op == "GroupNormalization"
        if mask is None or not (grouped or any(mask.shape[axis] > 1 for axis in axes)):
            return False
        shape = self.graph.shape(x)
        dtype = self._dtype(x)
        value = x
        if grouped:
            groups = int(node.attrs["num_groups"])
            mask = np.broadcast_to(mask, (1, *shape[1:])).reshape(1, groups, -1)
            value = self._op("Reshape", x, self._constant(np.array([0, groups, -1], np.int64)))
            axes = (2,)
        factor = np.asarray(self._share(mask, axes), dtype)
        weights = self._constant(mask.astype(dtype))
        centred = value
        if node.op != "RMSNormalization":
            mean = self._op("Mul", self._mean(self._op("Mul", value, weights), axes), self._constant(factor))
            centred = self._op("Sub", value, mean)
        square = self._op("Mul", self._op("Mul", centred, centred), weights)
        variance = self._op("Mul", self._mean(square, axes), self._constant(factor))
        epsilon = self._constant(np.asarray(node.attrs.get("epsilon", 1e-5), dtype))
        result = self._op("Div", centred, self._op("Sqrt", self._op("Add", variance, epsilon)))
        scale, bias = node.inputs[1], node.inputs[2] if len(node.inputs) > 2 else ""
        if grouped:
            per_group = self.graph.shape(scale) == (groups,) and groups != shape[1] and self.graph.opset < 21
            if per_group:
                result = self._op("Add", self._op("Mul", result, self._column(scale, 3)), self._column(bias, 3))
            result = self._op("Reshape", result, self._op("Shape", x))
            if not per_group:
                result = self._op("Add", self._op("Mul", result, self._column(scale, len(shape))), self._column(bias, len(shape)))
        elif node.op == "InstanceNormalization":
            result = self._op("Add", self._op("Mul", result, self._column(scale, len(shape))), self._column(bias, len(shape)))
        else:
            result = self._op("Mul", result, scale)
            result = self._op("Add", result, bias) if bias else result
        self.nodes.append(make_node("Identity", [result], [node.outputs[0]]))
        return True

    def _mean(self, value: str, axes: tuple[int, ...]) -> str:
        if self.graph.opset >= 18:
            return self._op("ReduceMean", value, self._constant(np.array(axes, np.int64)), keepdims=1)
        return self._op("ReduceMean", value, axes=list(axes), keepdims=1)

    def _column(self, weight: str, rank: int) -> str:
        shape = self._constant(np.array([1, -1, *[1] * (rank - 2)], np.int64))
        return self._op("Reshape", weight, shape)

    @staticmethod
    def _share(mask: Array, axes: tuple[int, ...]) -> float:
        """Elements there were, per element that stays, along the reduced axes."""
        varying = [axis for axis in axes if mask.shape[axis] > 1]
        others = tuple(axis for axis in range(mask.ndim) if axis not in varying)
        stays = mask.any(axis=others)  # a box: along the reduced axes the same elements stay in every row that stays at all
        return float(stays.size / stays.sum()) if varying else 1.0

    def _op(self, op: str, *inputs: str, **attributes: Any) -> str:
        self._count += 1
        output = f"nasopt.masked.{self._count}"
        self.nodes.append(make_node(op, list(inputs), [output], **attributes))
        return output

    def _constant(self, array: Array) -> str:
        self._count += 1
        name = f"nasopt.masked.{self._count}"
        self.extra.append(from_array(array, name))
        return name

    def _dtype(self, value: str) -> Any:
        return tensor_dtype_to_np_dtype(self.graph.dtypes.get(value, np_dtype_to_tensor_dtype(np.dtype(np.float32))))
