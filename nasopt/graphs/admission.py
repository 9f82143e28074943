"""What nasopt refuses, and why, in one sentence each: a model that would be damaged silently must not get past here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto

from nasopt.errors import ModelNotSupportedError

if TYPE_CHECKING:
    from nasopt.graphs.graph import Graph

__all__ = ["admit", "require_finite"]

OLDEST_OPSET = 7

_QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})
_HALF: dict[int, str] = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}


def admit(graph: Graph) -> None:
    """Checks what can be checked before shapes are known.

    Raises:
        ModelNotSupportedError: quantised, half precision, an opset before 7, sparse weights, undefined values, cycles.
    """
    where = graph.origin
    if not graph.opset:
        raise ModelNotSupportedError(f"{where}: imports no opset of the default ONNX domain; nasopt cannot tell what its operators mean")
    if graph.opset < OLDEST_OPSET:
        raise ModelNotSupportedError(
            f"{where}: opset {graph.opset} is older than {OLDEST_OPSET}, the oldest supported one; upgrade it with onnx.version_converter"
        )
    if graph.opset > onnx.defs.onnx_opset_version():
        raise ModelNotSupportedError(
            f"{where}: opset {graph.opset} is newer than the installed onnx package knows ({onnx.defs.onnx_opset_version()}); upgrade onnx"
        )
    if graph.model.graph.sparse_initializer:
        raise ModelNotSupportedError(f"{where}: holds sparse initializers, which nasopt cannot slice; store the weights densely")
    if not graph.nodes:
        raise ModelNotSupportedError(f"{where}: the graph has no nodes")
    for node in graph.nodes:
        if node.op in _QUANTISED or node.op.startswith("QLinear"):
            raise ModelNotSupportedError(
                f"{where}: is quantised ({node.op} '{node.name}'); compress the float network first, then quantise the result"
            )
    for name, dtype in _declared_types(graph):
        if dtype in _HALF:
            raise ModelNotSupportedError(
                f"{where}: holds {_HALF[dtype]} data ('{name}'); compress the float32 network first, then convert the result"
            )
    _require_order(graph)


def require_finite(graph: Graph) -> None:
    """Refuses weights with NaN or infinite elements: every importance computed from them would be meaningless.

    Raises:
        ModelNotSupportedError: naming the first such weight.
    """
    for weight in graph.weights.values():
        if weight.dtype in (TensorProto.FLOAT, TensorProto.DOUBLE) and weight.size > 1 and not np.isfinite(weight.array()).all():
            raise ModelNotSupportedError(
                f"{graph.origin}: weight '{weight.name}' holds NaN or infinite values; the network is broken, export it again"
            )


def _declared_types(graph: Graph) -> list[tuple[str, int]]:
    found = [(weight.name, weight.dtype) for weight in graph.weights.values()]
    found += [(value.name, value.type.tensor_type.elem_type) for value in [*graph.model.graph.input, *graph.model.graph.output]]
    return found


def _require_order(graph: Graph) -> None:
    """Values must be defined before they are used, and once: a cycle or a dangling name fails here with its node's name."""
    known = {value.name for value in graph.model.graph.input} | set(graph.weights)
    made = {name for node in graph.nodes for name in node.outputs if name}
    seen: set[str] = set()
    for node in graph.nodes:
        for name in (*node.inputs, *node.captured):
            if name and name not in known:
                problem = "before it is computed (a cycle, or nodes out of order)" if name in made else "which nothing computes"
                raise ModelNotSupportedError(f"{graph.origin}: node '{node.name}' ({node.op}) reads '{name}' {problem}")
        for name in node.outputs:
            if name in seen or (name and name in known and name not in graph.weights):
                raise ModelNotSupportedError(f"{graph.origin}: value '{name}' is computed twice, again by node '{node.name}' ({node.op})")
            seen.update([name] if name else [])
        known.update(node.outputs)
    for value in graph.model.graph.output:
        if value.name not in known:
            raise ModelNotSupportedError(f"{graph.origin}: output '{value.name}' is computed by no node")
