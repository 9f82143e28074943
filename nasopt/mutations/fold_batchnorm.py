"""Fold BatchNormalization into the convolution or product before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx.helper import make_tensor_value_info
from onnx.numpy_helper import from_array

from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph, Node
from nasopt.mutations.contract import Edit, Mutation, Site, register

__all__ = ["FoldBatchNorm"]

Array = np.ndarray[Any, Any]


class FoldBatchNorm(Mutation):
    """Lossless: scale and shift move into weight and bias. Off by default, since norms help to repair a network later."""

    kind = "fold-batchnorm"
    lossless = True

    def sites(self, graph: Graph) -> Sequence[Site]:
        return [Site(self.kind, node.outputs[0], (0, 1)) for node in graph.nodes if _foldable(graph, node)]

    def whole(self, graph: Graph) -> Edit | None:
        names = [site.name for site in self.sites(graph)]
        return Edit(self.kind, {"fold": names}) if names else None

    def apply(self, graph: Graph, edit: Edit) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        gone: set[int] = set()
        for name in edit.detail["fold"]:
            norm = graph.producers.get(name)
            if norm is None or not _foldable(graph, norm):
                raise InvalidEditError(f"the script folds the BatchNormalization that makes '{name}', which this model does not have")
            _fold(graph, model, norm)
            gone.add(norm.index)
        kept = onnx.GraphProto(node=[proto for index, proto in enumerate(model.graph.node) if index not in gone])
        model.graph.ClearField("node")
        model.graph.node.extend(kept.node)
        _drop_folded(model)
        return model

    def describe(self, edit: Edit) -> str:
        return f"folded {len(edit.detail['fold'])} BatchNormalization nodes into the weights before them"


def _foldable(graph: Graph, norm: Node) -> bool:
    if norm.op != "BatchNormalization" or norm.domain or len([name for name in norm.outputs if name]) != 1:
        return False
    before = graph.producers.get(norm.inputs[0])
    if before is None or before.domain or before.op not in ("Conv", "ConvTranspose", "Gemm"):
        return False
    if len(graph.consumers[norm.inputs[0]]) > 1 or norm.inputs[0] in graph.outputs:
        return False
    if before.op == "Gemm" and (before.attrs.get("alpha", 1.0), before.attrs.get("beta", 1.0)) != (1.0, 1.0):
        return False
    if len(before.inputs) > 2 and before.inputs[2] and graph.shape(before.inputs[2]) != graph.shape(norm.inputs[1]):
        return False
    weights = [before.inputs[1], *before.inputs[2:3], *norm.inputs[1:]]
    return all(name in graph.weights and graph.weights[name].dtype == TensorProto.FLOAT for name in weights if name)


def _fold(graph: Graph, model: onnx.ModelProto, norm: Node) -> None:
    before = graph.producers[norm.inputs[0]]
    scale, shift, mean, variance = (graph.weights[name].array().astype(np.float64) for name in norm.inputs[1:5])
    factor = scale / np.sqrt(variance + norm.attrs.get("epsilon", 1e-5))
    weight = graph.weights[before.inputs[1]].array().astype(np.float64)
    groups = int(before.attrs.get("group", 1))
    if before.op == "ConvTranspose":
        # (inputs, outputs / groups, …): output o of group g is weight[:, o] in the rows of that group.
        rows = weight.reshape(groups, -1, *weight.shape[1:])
        weight = (rows * factor.reshape(groups, 1, -1, *[1] * (weight.ndim - 2))).reshape(weight.shape)
    elif before.op == "Gemm" and not before.attrs.get("transB", 0):
        weight = weight * factor
    else:
        weight = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    bias = graph.weights[before.inputs[2]].array().astype(np.float64) if len(before.inputs) > 2 and before.inputs[2] else 0.0
    proto = model.graph.node[before.index]
    # The weight keeps its name where nothing else reads it.
    own = len(graph.consumers[before.inputs[1]]) == 1
    proto.input[1] = _store(model, before.inputs[1] if own else f"{before.inputs[1]}.{norm.index}", weight)
    folded_bias = _store(model, f"{norm.outputs[0]}.bias", (bias - mean) * factor + shift)
    del proto.input[2:]
    proto.input.append(folded_bias)
    proto.output[0] = norm.outputs[0]


def _store(model: onnx.ModelProto, name: str, array: Array) -> str:
    tensor = from_array(array.astype(np.float32), name)
    for existing in model.graph.initializer:
        if existing.name == name:
            existing.CopyFrom(tensor)
            return name
    for node in model.graph.node:
        if node.op_type in ("Constant", "ConstantOfShape") and name in node.output:
            name = f"{name}.folded"
            tensor.name = name
            break
    model.graph.initializer.append(tensor)
    if model.ir_version < 4:
        model.graph.input.append(make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
    return name


def _drop_folded(model: onnx.ModelProto) -> None:
    listed = {value.name for value in model.graph.input}
    read = {name for node in model.graph.node for name in node.input}
    for place in reversed([p for p, tensor in enumerate(model.graph.initializer) if tensor.name not in read | listed]):
        del model.graph.initializer[place]


register(FoldBatchNorm())
