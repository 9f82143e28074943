"""Shapes and small constants of every value under bound input shapes.

onnx's own shape inference does the work, on a skeleton of the model in which large weights are typed inputs (250 times cheaper on
ResNet-50 than with the bytes inside). Where it stops at computed sizes, `fold` evaluates them, they become initializers of the
skeleton, and inference goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx.helper import make_tensor_type_proto, make_tensor_value_info, tensor_dtype_to_np_dtype
from onnx.numpy_helper import from_array

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs.fold import LIMIT, evaluate

if TYPE_CHECKING:
    from nasopt.graphs.graph import Graph

__all__ = ["LIMIT", "Facts", "fold_constants", "infer", "skeleton"]

ROUNDS = 1000
"""Each round of inference and folding resolves one more level of computed shapes, until a round resolves nothing; most networks need
two or three, a deep one whose every block reshapes to a computed size as many as it has blocks."""

SAME_SHAPE = frozenset({"BiasGelu", "FastGelu", "Gelu", "GroupNormalization", "MeanVarianceNormalization", "QuickGelu"})
"""Operators that keep their input's shape and for which onnx has no inference."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, int]
    constants: dict[str, Array]
    shape_sources: dict[str, frozenset[str]]
    """For every constant that was computed from Shape nodes: the values whose shapes went into it."""


def infer(graph: Graph) -> Facts:
    """Shapes, element types and constants of all values of `graph`, whose `nodes`, `weights` and `bound` are set.

    Raises:
        ModelNotSupportedError: the model contradicts itself (types or shapes that do not fit).
    """
    bare = skeleton(graph)
    try:
        onnx.checker.check_model(bare)
    except onnx.checker.ValidationError as error:
        # A deprecated operator (GroupNormalization before opset 21) is still one that runtimes run.
        if "deprecated" not in str(error):
            raise ModelNotSupportedError(f"{graph.origin}: not a valid ONNX model: {_first_line(error)}") from None
    for value in bare.graph.output:
        # The declared output shapes may be dynamic; what the bound inputs make of them is inferred.
        value.type.tensor_type.ClearField("shape")
    bare.graph.value_info.extend(_declared(graph))
    for weight in graph.weights.values():
        if weight.kind == "fill":
            # Its shape is known and its data is not needed.
            bare.graph.value_info.append(make_tensor_value_info(weight.name, weight.dtype, weight.shape))
    substituted: set[str] = set()
    for _ in range(ROUNDS):
        try:
            inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True, strict_mode=False)
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
            raise ModelNotSupportedError(f"{graph.origin}: its shapes contradict each other: {_first_line(error)}") from None
        shapes, dtypes = _read(graph, inferred)
        constants, sources = fold_constants(graph, shapes, dtypes)
        unknown = {name for node in graph.nodes for name in node.outputs if name and name not in shapes}
        if not unknown:
            break
        passed_on = {
            node.outputs[0]: node.inputs[0]
            for node in graph.nodes
            if node.op in SAME_SHAPE and node.outputs[0] in unknown and node.inputs[0] in shapes
        }
        bare.graph.value_info.extend(make_tensor_value_info(name, dtypes[source], shapes[source]) for name, source in passed_on.items())
        # A computed operand of a node whose outputs are still open: hand its value to the inference.
        fresh = {
            name
            for node in graph.nodes
            if any(output in unknown for output in node.outputs)
            for name in node.inputs
            if name in constants and name not in substituted and name not in graph.weights
        }
        if not fresh and not passed_on:
            break
        _substitute(bare, {name: constants[name] for name in fresh})
        substituted |= fresh
    for name, value in constants.items():
        shapes.setdefault(name, value.shape)
    return Facts(shapes, dtypes, constants, sources)


def skeleton(graph: Graph) -> onnx.ModelProto:
    """A copy of the model without the bytes of large weights, which become inputs of their type and shape, inputs bound."""
    model, bare = graph.model, onnx.ModelProto()
    bare.ir_version = max(model.ir_version, 4)  # from 4 on, initializers need not be listed among the inputs
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    bare.graph.name = model.graph.name or "graph"
    for value in model.graph.input:
        if value.name in graph.bound:
            info = make_tensor_value_info(value.name, value.type.tensor_type.elem_type, graph.bound[value.name])
            bare.graph.input.append(info)
    for node, proto in zip(graph.nodes, model.graph.node, strict=True):
        weight = graph.weights.get(node.outputs[0]) if node.op == "Constant" and node.outputs else None
        if weight is None or weight.size <= LIMIT:
            bare.graph.node.append(proto)
    for weight in graph.weights.values():
        if weight.kind == "blank" or (weight.size > LIMIT and weight.kind != "fill"):
            bare.graph.input.append(onnx.ValueInfoProto(name=weight.name, type=_tensor_type(weight.dtype, weight.shape)))
        elif weight.kind == "initializer":
            bare.graph.initializer.append(weight.proto)
    bare.graph.output.extend(model.graph.output)
    return bare


@lru_cache(maxsize=1024)
def _tensor_type(dtype: int, shape: tuple[int, ...]) -> onnx.TypeProto:
    return make_tensor_type_proto(dtype, shape)  # weights of one shape are many


def _declared(graph: Graph) -> list[onnx.ValueInfoProto]:
    """What the file declares about the results of operators that onnx does not know, where it declares all of it."""
    foreign = {name for node in graph.nodes if node.domain for name in node.outputs}
    values = [value for value in (*graph.model.graph.value_info, *graph.model.graph.output) if value.name in foreign]
    return [
        value
        for value in values
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    ]


def fold_constants(
    graph: Graph, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, int]
) -> tuple[dict[str, Array], dict[str, frozenset[str]]]:
    """Evaluates shape arithmetic from `shapes` and small stored tensors.

    Args:
        graph: the graph.
        shapes: what its Shape and Size nodes are to answer; need not be complete.
        dtypes: element types, which CastLike looks at; need not be complete.

    Returns:
        The constants by value name, and for those that depend on shapes, the values whose shapes they came from.
    """
    constants = {
        name: weight.array()
        for name, weight in graph.weights.items()
        if weight.size <= LIMIT and weight.kind != "blank" and _numeric(weight.dtype)
    }
    sources: dict[str, frozenset[str]] = {}
    for node in graph.nodes:
        if node.domain or not node.outputs or node.outputs[0] in constants:
            continue
        if node.op in ("Shape", "Size"):
            known = constants.get(node.inputs[0])
            shape = shapes.get(node.inputs[0], None if known is None else known.shape)
            if shape is not None:
                full = np.asarray(shape, np.int64)
                answer = full[node.attrs.get("start", 0) : node.attrs.get("end", None)] if node.op == "Shape" else np.prod(full)
                constants[node.outputs[0]] = np.asarray(answer, np.int64)
                sources[node.outputs[0]] = frozenset([node.inputs[0]])
            continue
        if node.op == "CastLike" and node.inputs[0] in constants and node.inputs[1] in dtypes:
            # It reads the other operand's type, not its data.
            constants[node.outputs[0]] = constants[node.inputs[0]].astype(tensor_dtype_to_np_dtype(dtypes[node.inputs[1]]))
            continue
        if not all(name in constants for name in node.inputs if name) or node.captured or not node.inputs:
            continue
        results = evaluate(node.op, [constants[name] if name else None for name in node.inputs], node.attrs)
        if results is None:
            continue
        origin = frozenset().union(*(sources.get(name, frozenset()) for name in node.inputs))
        for name, value in zip(node.outputs, results, strict=False):
            if name:
                constants[name] = value
                if origin:
                    sources[name] = origin
    return constants, sources


def _read(graph: Graph, inferred: onnx.ModelProto) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, int] = {}
    for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
        name = value.name
        if name in graph.weights or not value.type.HasField("tensor_type"):
            continue
        tensor = value.type.tensor_type
        dtypes[name] = tensor.elem_type
        if tensor.HasField("shape"):
            sizes = [int(dim.dim_value) if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
            if -1 not in sizes:
                shapes[name] = tuple(sizes)
    for name, weight in graph.weights.items():
        shapes[name], dtypes[name] = weight.shape, weight.dtype
    return shapes, dtypes


def _substitute(bare: onnx.ModelProto, values: Mapping[str, Array]) -> None:
    """Replaces the producers of `values` by initializers of the same names."""
    kept = [node for node in bare.graph.node if not any(name in values for name in node.output)]
    # A producer with several outputs stays, its known output renamed away, unless all its outputs are known.
    for node in bare.graph.node:
        if any(name in values for name in node.output) and not all(name in values for name in node.output if name):
            renamed = onnx.NodeProto()
            renamed.CopyFrom(node)
            renamed.output[:] = [f"{name}.folded" if name in values else name for name in node.output]
            kept.append(renamed)
    ordered = sorted(kept, key=_order(bare))
    del bare.graph.node[:]
    bare.graph.node.extend(ordered)
    bare.graph.initializer.extend(from_array(value, name) for name, value in values.items())


def _order(bare: onnx.ModelProto) -> Any:
    position = {name: index for index, node in enumerate(bare.graph.node) for name in node.output}
    return lambda node: min(position.get(name.removesuffix(".folded"), 0) for name in node.output)


def _numeric(dtype: int) -> bool:
    return dtype not in (TensorProto.STRING, TensorProto.UNDEFINED)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
