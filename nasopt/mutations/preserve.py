"""What the user wants left alone: patterns over the names of nodes, weights and values."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from nasopt.errors import UsageError
from nasopt.graphs.channels import Barrier
from nasopt.graphs.graph import Graph

__all__ = ["preserved"]


def preserved(graph: Graph, patterns: Sequence[str]) -> list[tuple[str, Barrier]]:
    """The values whose channels must stay, for `nasopt.graphs.units.couple`.

    A node that matches keeps the channels of its outputs, a weight keeps its own (of what it reads and of what it makes), a value
    keeps its own.

    Args:
        graph: the graph.
        patterns: shell patterns (``*``, ``?``, ``[…]``), case-sensitive.

    Returns:
        Value name and barrier, in graph order.

    Raises:
        UsageError: a pattern matches nothing; the message names the closest name.
    """
    named: list[tuple[str, str]] = []
    for node in graph.nodes:
        named += [(node.name, output) for output in node.outputs if output]
        named += [(name, name) for name in node.inputs if name in graph.weights]
        named += [(output, output) for output in node.outputs if output]
    named += [(name, name) for name in graph.inputs]
    found: dict[str, Barrier] = {}
    for pattern in patterns:
        matches = [(name, value) for name, value in named if fnmatchcase(name, pattern)]
        if not matches:
            names = list(dict.fromkeys(name for name, _ in named))
            closest = difflib.get_close_matches(pattern.strip("*"), names, 1, 0.0)
            raise UsageError(f"--preserve '{pattern}' matches no node, weight or value; the closest name is '{closest[0]}'")
        for name, value in matches:
            found.setdefault(value, Barrier(name, "--preserve", pattern, f"'{name}' is preserved by --preserve '{pattern}'"))
    return list(found.items())
