"""A computational graph as a drawing: a box for each run of operations that only follow one another."""

from __future__ import annotations

from nasopt.drawings import Box, Drawing
from nasopt.graphs.computational_graph import CGNode, ComputationalGraph

__all__ = ["cg_drawing"]

JOINS = frozenset({"add", "mul", "concat"})


def cg_drawing(graph: ComputationalGraph) -> Drawing:
    """Draws a CG; weighted nodes with their kernels, each box with the resolution that it ends at."""
    readers: list[list[int]] = [[] for _ in graph.nodes]
    writers: list[list[int]] = [[] for _ in graph.nodes]
    for begin, end in graph.edges:
        readers[begin].append(end)
        writers[end].append(begin)
    run_of: dict[int, int] = {}
    runs: list[list[int]] = []
    waiting = [len(before) for before in writers]
    ready = [place for place, count in enumerate(waiting) if not count]
    while ready:
        place = ready.pop()
        node, before = graph.nodes[place], writers[place]
        run = runs[run_of[before[0]]] if len(before) == 1 and len(readers[before[0]]) == 1 else None
        if run is not None and _joins(graph, run, node):
            run.append(place)
            run_of[place] = run_of[before[0]]
        else:
            run_of[place] = len(runs)
            runs.append([place])
        for reader in readers[place]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    boxes = tuple(_box([graph.nodes[place] for place in run]) for run in runs)
    arrows = {(run_of[begin], run_of[end]): None for begin, end in graph.edges if run_of[begin] != run_of[end]}
    counted = f"{len(graph.nodes)} nodes, {graph.weighted} of them weighted, {len(graph.edges)} edges"
    detail = f"{counted}; {graph.flops() / 1e9:.3f} x 10^9 by AIO-P's counter of FLOPs"
    return Drawing(graph.name, boxes, tuple(arrows), detail)


def _joins(graph: ComputationalGraph, run: list[int], node: CGNode) -> bool:
    """Whether a node belongs into a box: one with weights at most, and inputs and outputs alone."""
    ends = node.op in ("input", "output") or graph.nodes[run[-1]].op in ("input", "output")
    return not ends and not (node.weighted and any(graph.nodes[place].weighted or graph.nodes[place].op in JOINS for place in run))


def _box(nodes: list[CGNode]) -> Box:
    words = [_words(node) for node in nodes]
    lines = [" · ".join(words[place : place + 3]) for place in range(0, len(words), 3)]
    _, height, _, width, _, channels = nodes[-1].resolution
    kind = "edge" if nodes[0].op in ("input", "output") else "layer" if any(node.weighted for node in nodes) else "plain"
    return Box((*lines, f"{channels}×{height}×{width}"), "join" if nodes[0].op in JOINS and kind == "plain" else kind)


def _words(node: CGNode) -> str:
    if node.shape is None:
        return node.op
    kernel = "" if node.op == "matmul" else f" {node.shape[2]:g}×{node.shape[3]:g}"
    stride = f" /{node.strides[1]}" if node.strides and node.strides[1] > 1 else ""
    return f"{node.op}{kernel}{stride}{' + bias' if node.bias else ''}"
