"""``explain``: which channels can go, which cannot, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nasopt.api.preparation import prepare, standing
from nasopt.graphs.cost import totals, unknown_operators
from nasopt.graphs.explain import frozen_of, groups_of, reachable_macs
from nasopt.graphs.graph import load_graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations.preserve import preserved
from nasopt.results import ExplainResult

__all__ = ["explain"]


def explain(model: str | Path, *, input_shapes: Mapping[str, Sequence[int]] | None = None, preserve: Sequence[str] = ()) -> ExplainResult:
    """Finds the groups of channels that live and die together, and what freezes the others.

    Args:
        model: an ONNX file.
        input_shapes: sizes for inputs with dynamic dimensions; a dynamic batch alone is bound to 1.
        preserve: patterns of nodes, weights or values whose channels shall stay.

    Returns:
        All groups; every barrier with the MACs that it locks (see `nasopt.graphs.explain`), the heaviest first; and the MACs that are
        left when every group is cut to one unit: what the barriers lock, and the price of the units that must stay.

    Raises:
        UsageError: there is no such file, the shapes do not fit the inputs, or a pattern matches nothing.
        ModelNotSupportedError: the file is not a model that nasopt understands.
    """
    path = Path(model)
    original = load_graph(path, input_shapes)
    # The answer is about what `compress` would work on.
    edits, graph = prepare(original)
    units = solve(couple(graph, standing(preserved(original, preserve), edits)))
    macs = totals(graph).macs
    return ExplainResult(path, groups_of(units), frozen_of(units), macs, reachable_macs(units), unknown_operators(graph))
