"""Records that several verbs fill from a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx
from onnx import TensorProto

from nasopt.graphs.binding import declared_shape
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import file_bytes
from nasopt.results import Cost, TensorInfo

__all__ = ["cost_of", "input_infos", "notes_on", "output_infos"]


def cost_of(graph: Graph, path: Path | None = None) -> Cost:
    """A network's costs under its bound input shapes.

    Args:
        graph: the network.
        path: its file; without one, the bytes that the model would take in one file.
    """
    sums = totals(graph)
    size = graph.model.ByteSize() if path is None else file_bytes(path)
    return Cost(sums.macs, sums.params, sums.activation_bytes, sums.peak_activation_bytes, size, len(graph.nodes))


def input_infos(graph: Graph) -> tuple[TensorInfo, ...]:
    """The inputs that the user feeds, with the shapes that the analysis bound them to."""
    return _infos((value for value in graph.model.graph.input if value.name in graph.bound), graph.bound)


def notes_on(graph: Graph) -> tuple[str, ...]:
    """What the user should know of how a model is read."""
    if graph.model.ir_version < 4:
        return ()  # every weight had to be listed
    listed = sum(value.name in graph.weights for value in graph.model.graph.input)
    if not listed:
        return ()
    subject = "1 weight is also listed as an input; it is" if listed == 1 else f"{listed} weights are also listed as inputs; they are"
    return (f"{subject} treated as constant{'s' * (listed > 1)}, so that whoever feeds another value feeds the new shape",)


def output_infos(graph: Graph) -> tuple[TensorInfo, ...]:
    """The outputs, with the shapes that follow from the bound inputs."""
    return _infos(graph.model.graph.output, graph.shapes)


def _infos(values: Iterable[onnx.ValueInfoProto], bound: Mapping[str, tuple[int, ...]]) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(
            value.name,
            TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower(),
            declared_shape(value),
            bound.get(value.name, ()),
        )
        for value in values
    )
