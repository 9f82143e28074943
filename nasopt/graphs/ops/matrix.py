"""Gemm and MatMul."""

from __future__ import annotations

import math

from nasopt.graphs.channels import Barrier, Coupling, Track, spans
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops.registry import Macs, Mixing, Operator, register


def _couple_gemm(coupling: Coupling, node: Node) -> None:
    a, b = node.inputs[:2]
    first = _oriented(coupling, a, bool(node.attrs.get("transA", 0)))
    second = _oriented(coupling, b, bool(node.attrs.get("transB", 0)))
    outgoing = _contract(coupling, node, a, b, first, second, (), (0, 1), (0, 1))
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    coupling.put(node.outputs[0], _add_bias(coupling, node, bias, outgoing) if bias else outgoing)


def _couple_matmul(coupling: Coupling, node: Node) -> None:
    graph = coupling.graph
    a, b = node.inputs
    left, right = len(graph.shape(a)), len(graph.shape(b))
    if min(left, right) < 2:
        coupling.block(node, "rank", "a product with a vector")
        return
    rank = max(left, right)
    first = [track.reshape((1,) * (rank - left) + track.shape) for track in coupling.of(a)]
    second = [track.reshape((1,) * (rank - right) + track.shape) for track in coupling.of(b)]
    size_a = (1,) * (rank - left) + graph.shape(a)
    size_b = (1,) * (rank - right) + graph.shape(b)
    coupling.put(node.outputs[0], _contract(coupling, node, a, b, first, second, range(rank - 2), size_a, size_b))


def _oriented(coupling: Coupling, value: str, transposed: bool) -> list[Track]:
    return [track.T if transposed else track for track in coupling.of(value)]


def _contract(
    coupling: Coupling,
    node: Node,
    a: str,
    b: str,
    first: list[Track],
    second: list[Track],
    batch: range | tuple[int, ...],
    size_a: tuple[int, ...],
    size_b: tuple[int, ...],
) -> list[Track]:
    """``(…, M, K) x (…, K, N)``: the contracted axes share their atoms, batch axes broadcast, M and N go on.

    A track that varies along the contracted axis and others must lose the same channels in every row.
    """
    barrier = Barrier(node.name, node.op, "contraction", f"'{node.name}' sums over this axis")
    inner_a = [coupling.rigid(track, [i for i in spans(track) if i != track.ndim - 1], barrier) for track in first if track.shape[-1] > 1]
    inner_b = [coupling.rigid(track, [i for i in spans(track) if i != track.ndim - 2], barrier) for track in second if track.shape[-2] > 1]
    for track in inner_a:
        for other in inner_b:
            coupling.equate(track.reshape(-1), other.reshape(-1))
        if not inner_b:
            coupling.freeze(track, coupling.why_rigid(b))
    for other in inner_b:
        if not inner_a:
            coupling.freeze(other, coupling.why_rigid(a))
    outgoing: list[Track] = []
    for tracks, other_value, sizes, axis in ((first, b, size_b, -1), (second, a, size_a, -2)):
        for track in tracks:
            if track.shape[axis] > 1:
                continue
            # Batch axes: a row of this operand meets a row of the other one, whose atoms there must be the same or which has one row.
            shared = [i for i in batch if track.shape[i] > 1 and sizes[i] > 1]
            theirs = [t for t in (second if tracks is first else first) if any(t.shape[i] > 1 for i in shared)]
            for their in theirs:
                if spans(their) == spans(track):
                    coupling.equate(their, track)
                else:
                    coupling.freeze(their, barrier)
                    coupling.freeze(track, barrier)
            if shared and not theirs:
                track = coupling.rigid(track, shared, coupling.why_rigid(other_value))
            if not any(spans(track) == spans(known) for known in outgoing):
                outgoing.append(track)
    return outgoing


def _add_bias(coupling: Coupling, node: Node, bias: str, outgoing: list[Track]) -> list[Track]:
    """Gemm's C, which broadcasts to (M, N)."""
    own = [track.reshape((1,) * (2 - track.ndim) + track.shape) for track in coupling.of(bias)]
    for theirs in own:
        partners = [track for track in outgoing if spans(track) == spans(theirs)]
        for track in partners:
            coupling.equate(theirs, track)
        if not partners:
            coupling.freeze(theirs, coupling.why_rigid(node.outputs[0] if node.outputs[0] in coupling.tracks else node.inputs[1]))
    shape = coupling.graph.shape(bias)
    covered = {axis for theirs in own for axis in spans(theirs)}
    full = [axis + 2 - len(shape) for axis, size in enumerate(shape) if size > 1]
    bare = [axis for axis in full if axis not in covered]
    return [coupling.rigid(track, bare, coupling.why_rigid(bias)) for track in outgoing]


def _gemm_macs(graph: Graph, node: Node) -> Macs | None:
    a, b = node.inputs[:2]
    inner = 0 if node.attrs.get("transA", 0) else 1
    outer = 0 if node.attrs.get("transB", 0) else 1
    return Macs(1, ((a, 1 - inner), (b, outer), (b, 1 - outer)))


def _matmul_macs(graph: Graph, node: Node) -> Macs | None:
    a, b = node.inputs
    shape, other = graph.shape(a), graph.shape(b)
    if len(shape) < 2 or len(other) < 2:
        return Macs(math.prod(shape) * math.prod(other) // max(1, (shape if len(shape) == 1 else other)[0]), ())
    # Rows, inner and columns can shrink; so can batch axes (heads), read off whichever operand has them.
    batch: list[tuple[str, int]] = []
    for place in range(max(len(shape), len(other)) - 2):
        i, j = place - max(0, len(other) - len(shape)), place - max(0, len(shape) - len(other))
        mine = shape[i] if i >= 0 else 1
        batch.append((a, i) if mine > 1 or j < 0 else (b, j))
    return Macs(1, (*batch, (a, len(shape) - 2), (a, len(shape) - 1), (b, len(other) - 1)))


register("Gemm", Operator(_couple_gemm, _gemm_macs, mixing=Mixing.SUM))
register("MatMul", Operator(_couple_matmul, _matmul_macs, mixing=Mixing.SUM))
