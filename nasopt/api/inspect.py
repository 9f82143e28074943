"""``inspect``: what a model costs, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nasopt.api.records import cost_of, input_infos, notes_on, output_infos
from nasopt.graphs.cost import node_uses, unknown_operators
from nasopt.graphs.graph import load_graph
from nasopt.results import InspectResult, NodeCost

__all__ = ["inspect"]


def inspect(model: str | Path, *, input_shapes: Mapping[str, Sequence[int]] | None = None) -> InspectResult:
    """Reads a model and adds up its costs, node by node.

    Args:
        model: an ONNX file.
        input_shapes: sizes for inputs with dynamic dimensions, ``{"input": (1, 3, 224, 224)}``; a dynamic batch alone is bound to 1.

    Returns:
        The costs in total and per node (MACs, bytes), inputs and outputs, and the operators whose costs are unknown.

    Raises:
        UsageError: there is no such file, or the shapes do not fit the inputs.
        ModelNotSupportedError: the file is not a model that nasopt understands.
    """
    path = Path(model)
    graph = load_graph(path, input_shapes)
    nodes = tuple(
        NodeCost(
            use.node.name,
            use.node.qualified,
            use.macs,
            use.params,
            use.activation_bytes,
            graph.shapes.get(use.node.outputs[0]) if use.node.outputs else None,
        )
        for use in node_uses(graph)
    )
    proto = graph.model
    return InspectResult(
        path,
        cost_of(graph, path),
        nodes,
        input_infos(graph),
        output_infos(graph),
        {entry.domain: entry.version for entry in proto.opset_import},
        proto.ir_version,
        f"{proto.producer_name} {proto.producer_version}".strip(),
        unknown_operators(graph),
        notes_on(graph),
    )
