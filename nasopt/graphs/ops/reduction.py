"""Reductions, and what picks positions along an axis."""

from __future__ import annotations

from nasopt.graphs.channels import Barrier, Coupling, Track
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops.registry import Mixing, Operator, register


def _axes(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """The reduced axes, not negative; None where they are not known at analysis time."""
    rank = len(graph.shape(node.inputs[0]))
    axes = graph.operand(node, 1, "axes")
    if axes is not None and axes.size:
        return tuple(int(axis) % rank for axis in axes.reshape(-1))
    if len(node.inputs) > 1 and node.inputs[1] and axes is None:
        return None
    return () if node.attrs.get("noop_with_empty_axes", 0) else tuple(range(rank))


def _reduced_axes(graph: Graph, node: Node) -> tuple[int, ...]:
    return _axes(graph, node) or ()


def _reduce(coupling: Coupling, node: Node) -> None:
    axes = _axes(coupling.graph, node)
    if axes is None:
        coupling.block(node, "axes", "the reduced axes depend on the data")
        return
    rank = len(coupling.graph.shape(node.inputs[0]))
    barrier = Barrier(node.name, node.op, "axes", f"'{node.name}' reduces every row on its own")
    outgoing: list[Track] = []
    for track in coupling.of(node.inputs[0]):
        if any(track.shape[axis] > 1 for axis in axes):
            # Channels lie along a reduced axis: every row loses the same ones, and the result has none of them.
            coupling.rigid(track, [axis for axis in range(rank) if axis not in axes], barrier)
        elif node.attrs.get("keepdims", 1):
            outgoing.append(track)
        else:
            outgoing.append(track.reshape([size for axis, size in enumerate(track.shape) if axis not in axes]))
    coupling.put(node.outputs[0], outgoing)


def _pick(coupling: Coupling, node: Node) -> None:
    """ArgMax, TopK and CumSum: positions along their axis matter, other axes go on."""
    rank = len(coupling.graph.shape(node.inputs[0]))
    default = -1 if node.op == "TopK" else 0
    axis = node.attrs.get("axis", default)
    if node.op == "CumSum":
        known = coupling.graph.constant(node, 1)
        if known is None:
            coupling.block(node, "axis", "the axis depends on the data")
            return
        axis = int(known.reshape(-1)[0])
    axis = int(axis) % rank
    barrier = Barrier(node.name, node.op, f"axis={axis}", f"'{node.name}' depends on positions along this axis")
    tracks = [coupling.rigid(track, (axis,), barrier) for track in coupling.of(node.inputs[0])]
    tracks = [track for track in tracks if track.shape[axis] == 1]
    if node.op in ("ArgMax", "ArgMin") and not node.attrs.get("keepdims", 1):
        tracks = [track.reshape([size for place, size in enumerate(track.shape) if place != axis]) for track in tracks]
    for value in node.outputs:
        coupling.put(value, tracks)


_SUMS = ["ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare"]

register(_SUMS, Operator(_reduce, mixing=Mixing.SUM, mixed_axes=_reduced_axes))
register("ReduceMean", Operator(_reduce, mixing=Mixing.MEAN, mixed_axes=_reduced_axes))
register("ReduceMax", Operator(_reduce, mixing=Mixing.HIGHEST, mixed_axes=_reduced_axes))
register("ReduceMin", Operator(_reduce, mixing=Mixing.LOWEST, mixed_axes=_reduced_axes))
register("ReduceProd", Operator(_reduce, mixing=Mixing.PRODUCT, mixed_axes=_reduced_axes))
register(["ArgMax", "ArgMin", "TopK", "CumSum"], Operator(_pick))
