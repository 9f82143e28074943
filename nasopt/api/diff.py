"""``diff``: what differs between two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nasopt.api.records import cost_of
from nasopt.graphs.diff import changes, interface_changes
from nasopt.graphs.graph import load_graph
from nasopt.results import DiffResult

__all__ = ["diff"]


def diff(before: str | Path, after: str | Path, *, input_shapes: Mapping[str, Sequence[int]] | None = None) -> DiffResult:
    """Compares two models: costs, nodes, attributes, weights, shapes and interface.

    Args:
        before: an ONNX file.
        after: another one.
        input_shapes: sizes for inputs with dynamic dimensions, of both.

    Returns:
        Both costs and every difference; values of weights are compared where their shapes are the same.

    Raises:
        UsageError: a file is missing, or the shapes do not fit the inputs.
        ModelNotSupportedError: a file is not a model that nasopt understands.
    """
    paths = Path(before), Path(after)
    first, second = (load_graph(path, input_shapes) for path in paths)
    costs = cost_of(first, paths[0]), cost_of(second, paths[1])
    return DiffResult(*paths, *costs, changes(first, second), not interface_changes(first, second.model))
