"""Which stored tensors of a network are its weights, which training may move, and which are settings.

A float tensor is trained if an operator reads it as a weight, by itself or through operators that only rearrange it, and what comes out
depends on the inputs' elements. Running averages, scalars, bounds, scales and sizes are settings.
"""

from __future__ import annotations

from onnx import TensorProto

from nasopt.graphs.graph import Graph

__all__ = ["running_statistics", "trainable"]

_WEIGHTS: dict[str, tuple[int, ...]] = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "GRU": (1, 2, 3),
    "Gemm": (0, 1, 2),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "BatchNormalization": (1, 2),
    "LSTM": (1, 2, 3, 7),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
    "PRelu": (1,),
    "RMSNormalization": (1,),
    "RNN": (1, 2, 3),
}
"""Input slots in which any float tensor is a weight."""

_OPERANDS = frozenset({"Add", "Concat", "Div", "Einsum", "Gather", "Mul", "Sub", "Sum"})
"""Operators whose operands are weights where they hold more than one element: scales, shifts, embeddings, class tokens."""

_CARRIERS = frozenset(
    {"Cast", "CastLike", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
"""What is first rearranged is still a weight."""

_STATISTICS = (3, 4)


def trainable(graph: Graph) -> frozenset[str]:
    """Names of the stored tensors that are weights."""
    fixed = _fixed(graph)
    computed = _computed(graph) - fixed
    settled = running_statistics(graph)
    return frozenset(
        name
        for name, weight in graph.weights.items()
        if weight.dtype in (TensorProto.FLOAT, TensorProto.DOUBLE)
        and weight.shape
        and name not in settled
        and _is_weight(graph, name, weight.size > 1, fixed, computed)
    )


def running_statistics(graph: Graph) -> frozenset[str]:
    """Stored tensors that a BatchNormalization reads as its running mean or variance, by themselves or through Identity."""
    found = set()
    for node in graph.nodes:
        if node.op == "BatchNormalization" and not node.domain:
            for slot in _STATISTICS:
                name = node.inputs[slot]
                while name in graph.producers and graph.producers[name].op == "Identity":
                    name = graph.producers[name].inputs[0]
                found.add(name)
    return frozenset(found)


def _is_weight(graph: Graph, name: str, several: bool, fixed: frozenset[str], computed: frozenset[str]) -> bool:
    """Follows a tensor through what rearranges it, or combines it with other stored tensors, to where it is used."""
    reached, seen = [name], {name}
    while reached:
        value = reached.pop()
        for node, slot in graph.consumers.get(value, ()):
            if node.domain or slot < 0:
                continue
            output = node.outputs[0]
            plays = node.op in _OPERANDS and several and not (node.op == "Gather" and slot)
            if output in computed and (plays or (slot in _WEIGHTS.get(node.op, ()) and (several or value == name))):
                return True
            passes = plays or (node.op in _CARRIERS and slot == 0)
            if passes and output in fixed and output not in seen:
                seen.add(output)
                reached.append(output)
    return False


def _fixed(graph: Graph) -> frozenset[str]:
    """Stored tensors and what is computed from them alone; of what rearranges them, types and sizes may come from anywhere."""
    known = set(graph.weights)
    for node in graph.nodes:
        read = node.inputs[:1] if node.op in _CARRIERS else node.inputs
        if read and all(name in known for name in read if name) and not node.captured:
            known.update(name for name in node.outputs if name)
    return frozenset(known)


def _computed(graph: Graph) -> frozenset[str]:
    """What depends on the elements of an input; sizes of tensors do not."""
    known = set(graph.inputs)
    for node in graph.nodes:
        if node.op not in ("Shape", "Size") and any(name in known for name in (*node.inputs, *node.captured)):
            known.update(name for name in node.outputs if name)
    return frozenset(known)
