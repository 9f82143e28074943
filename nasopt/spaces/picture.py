"""Cells and networks as drawings."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nasopt.drawings import Box, Drawing
from nasopt.graphs.graph import Graph, Node
from nasopt.spaces.space import OperationGraph

__all__ = ["cell_drawing", "network_drawing"]

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
JOINS = frozenset({"Add", "Concat", "Mul", "Sum"})
WEIGHTLESS = ("avg_pool", "identity", "max_pool", "maxpool", "none", "skip")
"""How the names of operations begin that hold no weights."""
SHORT = {"BatchNormalization": "BatchNorm", "GlobalAveragePool": "GlobalAvgPool", "AveragePool": "AvgPool"}


def cell_drawing(title: str, cell: OperationGraph, detail: str = "") -> Drawing:
    """A cell with a box an operation."""
    last = len(cell.operations) - 1
    boxes = []
    for index, name in enumerate(cell.operations):
        if index == last or name.startswith("input"):
            kind = "edge"
        elif name.startswith("sum"):
            kind = "join"
        else:
            kind = "plain" if name.startswith(WEIGHTLESS) else "layer"
        boxes.append(Box((name,), kind))
    arrows = [(int(begin), int(end)) for begin, end in zip(*np.nonzero(cell.adjacency), strict=True)]
    return Drawing(title, tuple(boxes), tuple(arrows), detail)


def network_drawing(title: str, graph: Graph, detail: str = "") -> Drawing:
    """A network with a box for each run of nodes that only follow one another, as a convolution, its norm and its activation do."""
    runs: list[list[Node]] = []
    run_of: dict[str, int] = {}  # value → run that makes it
    for node in graph.nodes:
        if all(name in graph.weights or name in graph.constants for name in node.outputs):
            continue
        read = _read(graph, node)
        before = run_of.get(read[0]) if len(read) == 1 else None
        if before is not None and _follows(graph, node, runs[before]):
            runs[before].append(node)
        else:
            runs.append([node])
        place = before if before is not None and runs[before][-1] is node else len(runs) - 1
        run_of.update(dict.fromkeys(node.outputs, place))
    boxes = [Box((f"{name} {_shape(graph, name)}",), "edge") for name in graph.inputs]
    place_of = {name: place for place, name in enumerate(graph.inputs)}
    arrows: dict[tuple[int, int], None] = {}
    for index, run in enumerate(runs):
        for name in _read(graph, run[0]):
            begin = place_of[name] if name in place_of else len(graph.inputs) + run_of[name]
            arrows[begin, len(graph.inputs) + index] = None
        boxes.append(Box((*_lines(graph, run), _shape(graph, run[-1].outputs[0])), _kind(run)))
    return Drawing(title, tuple(boxes), tuple(arrows), detail)


def _follows(graph: Graph, node: Node, run: list[Node]) -> bool:
    """Whether a node belongs into the box of what it reads: nobody else reads that, and a box has one layer with weights."""
    value = run[-1].outputs[0]
    alone = value in node.inputs and len(graph.consumers[value]) == 1
    return alone and not (node.op in WEIGHTED and any(one.op in WEIGHTED or one.op in JOINS for one in run))


def _read(graph: Graph, node: Node) -> list[str]:
    return [name for name in dict.fromkeys(node.inputs) if name and name not in graph.weights and name not in graph.constants]


def _lines(graph: Graph, run: Iterable[Node]) -> list[str]:
    """Words for a run, three operators a line."""
    words = []
    for node in run:
        name = SHORT.get(node.op, node.op)
        if node.op in ("Conv", "ConvTranspose"):
            kernel, stride = node.attrs.get("kernel_shape", ()), node.attrs.get("strides", (1,))
            groups = int(node.attrs.get("group", 1))
            depthwise = 1 < groups == graph.shape(node.inputs[0])[1]
            name = f"{'Depthwise' if depthwise else name} {'×'.join(map(str, kernel))}"
            name += f" /{stride[0]}" if stride[0] > 1 else ""
            name += f" g{groups}" if groups > 1 and not depthwise else ""
        elif "kernel_shape" in node.attrs:
            name += f" {'×'.join(map(str, node.attrs['kernel_shape']))}"
            name += f" /{node.attrs['strides'][0]}" if node.attrs.get("strides", (1,))[0] > 1 else ""
        words.append(name)
    return [" · ".join(words[place : place + 3]) for place in range(0, len(words), 3)]


def _kind(run: list[Node]) -> str:
    ops = {node.op for node in run}
    if ops & WEIGHTED:
        return "layer"
    return "join" if ops & JOINS else "plain"


def _shape(graph: Graph, name: str) -> str:
    return "×".join(map(str, graph.shapes.get(name, ())[1:]))
