"""``inspect``: what a model costs, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nasopt.api.records import input_infos, notes_on, output_infos
from nasopt.graphs.cost import node_uses, totals, unknown_operators
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.model_file import file_bytes
from nasopt.results import Cost, InspectResult, NodeCost

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
    uses = node_uses(graph)
    sums = totals(graph, uses)
    nodes = tuple(
        NodeCost(
            use.node.name,
            use.node.qualified,
            use.macs,
            use.params,
            use.activation_bytes,
            graph.shapes.get(use.node.outputs[0]) if use.node.outputs else None,
        )
        for use in uses
    )
    proto = graph.model
    return InspectResult(
        path,
        Cost(sums.macs, sums.params, sums.activation_bytes, sums.peak_activation_bytes, _size(graph, path), len(graph.nodes)),
        nodes,
        input_infos(graph),
        output_infos(graph),
        {entry.domain: entry.version for entry in proto.opset_import},
        proto.ir_version,
        f"{proto.producer_name} {proto.producer_version}".strip(),
        unknown_operators(graph, uses),
        notes_on(graph),
    )


def _size(graph: Graph, path: Path) -> int:
    """Bytes on disk. Weights that lay beside the file bear a mark since they were loaded; without one, there is nothing to look for."""
    proto = graph.model.graph
    stored = [*proto.initializer, *(attribute.t for node in proto.node for attribute in node.attribute if attribute.HasField("t"))]
    return file_bytes(path) if any(tensor.HasField("data_location") for tensor in stored) else path.stat().st_size
