"""``draw``: a network's computational graph, to be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nasopt.errors import UsageError
from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.cg_picture import cg_drawing
from nasopt.graphs.computational_graph import ComputationalGraph
from nasopt.graphs.graph import load_graph
from nasopt.results import DrawResult

__all__ = ["draw"]


def draw(model: str | Path, *, input_shapes: Mapping[str, Sequence[int]] | None = None) -> DrawResult:
    """Makes the computational graph of a network (AIO-P, AAAI 2023), and a drawing of it.

    Args:
        model: the ONNX file, or a computational graph in JSON.
        input_shapes: shapes to bind dynamic inputs to.

    Raises:
        UsageError: the file does not exist, or is JSON and no computational graph.
        ModelNotSupportedError: a model that is not understood.
    """
    path = Path(model)
    if path.suffix == ".json":
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read ({error})") from None
        graph = ComputationalGraph.from_json(text, origin=str(path))
    else:
        graph = computational_graph(load_graph(path, input_shapes), path.stem)
    counts = {"nodes": len(graph.nodes), "weighted": graph.weighted, "edges": len(graph.edges), "flops": graph.flops()}
    return DrawResult(path, counts, cg_drawing(graph), graph.to_json())
