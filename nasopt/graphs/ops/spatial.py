"""Pooling, resizing and sampling: operators that work along spatial axes and leave channels alone."""

from __future__ import annotations

import numpy as np

from nasopt.graphs.channels import Barrier, Coupling, reshape_track
from nasopt.graphs.graph import Node
from nasopt.graphs.ops.registry import Operator, Rewrite, register


def _per_channel(coupling: Coupling, node: Node) -> None:
    """Batch and channel axes go on, spatial axes are rigid."""
    if node.op == "MaxPool" and len(node.outputs) > 1 and node.outputs[1]:
        coupling.block(node, "Indices", f"'{node.name}' tells positions in the whole tensor")
        return
    barrier = Barrier(node.name, node.op, "spatial axes", f"'{node.name}' works along the spatial axes of '{node.inputs[0]}'")
    tracks = [coupling.rigid(track, range(2, track.ndim), barrier) for track in coupling.of(node.inputs[0])]
    for value in node.outputs:
        coupling.put(value, [track for track in tracks if all(size == 1 for size in track.shape[2:])])
    for value in node.inputs[1:]:
        for track in coupling.of(value) if value not in coupling.graph.weights else ():
            coupling.freeze(track, barrier)


def _resize(coupling: Coupling, node: Node) -> None:
    """Axes that keep their size go on."""
    graph = coupling.graph
    before, after = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    changed = [axis for axis in range(len(before)) if before[axis] != after[axis]]
    barrier = Barrier(node.name, node.op, "resized axes", f"'{node.name}' resizes this axis")
    tracks = [coupling.rigid(track, changed, barrier) for track in coupling.of(node.inputs[0])]
    coupling.put(node.outputs[0], [track for track in tracks if not any(track.shape[axis] > 1 for axis in changed)])


def _resize_sizes(rewrite: Rewrite, node: Node) -> None:
    """Target sizes name the channel count; scales do not."""
    slot = 3
    if node.op != "Resize" or len(node.inputs) <= slot or not node.inputs[slot]:
        return
    output = node.outputs[0]
    shape = rewrite.graph.shape(output)
    sizes = [shape[axis] if (keep := rewrite.keep(output, axis)) is None else int(keep.sum()) for axis in range(len(shape))]
    if tuple(sizes) != shape:
        axes = [int(axis) % len(shape) for axis in node.attrs.get("axes", range(len(shape)))]
        rewrite.set_operand(node, slot, "sizes", np.array([sizes[axis] for axis in axes], np.int64))


def _depth_to_space(coupling: Coupling, node: Node) -> None:
    """An output channel is made of blocksize² input channels, which live and die together."""
    n, c, h, w = coupling.graph.shape(node.inputs[0])
    b = int(node.attrs["blocksize"])
    column_major = node.attrs.get("mode", "DCR") == "CRD"
    split = (n, c // b**2, b, b, h, w) if column_major else (n, b, b, c // b**2, h, w)
    order = (0, 1, 4, 2, 5, 3) if column_major else (0, 3, 4, 1, 5, 2)
    tracks = [reshape_track(track, (n, c, h, w), split).transpose(order) for track in coupling.of(node.inputs[0])]
    joined = tuple(split[axis] for axis in order)
    barrier = Barrier(node.name, node.op, "blocksize", f"'{node.name}' lays these channels out in space")
    outgoing = [coupling.rigid(reshape_track(track, joined, (n, c // b**2, h * b, w * b)), (2, 3), barrier) for track in tracks]
    coupling.put(node.outputs[0], [track for track in outgoing if max(track.shape[2:]) == 1])


def _space_to_depth(coupling: Coupling, node: Node) -> None:
    n, c, h, w = coupling.graph.shape(node.inputs[0])
    b = int(node.attrs["blocksize"])
    split = (n, c, h // b, b, w // b, b)
    order = (0, 3, 5, 1, 2, 4)
    tracks = [reshape_track(track, (n, c, h, w), split).transpose(order) for track in coupling.of(node.inputs[0])]
    joined = tuple(split[axis] for axis in order)
    coupling.put(node.outputs[0], [reshape_track(track, joined, (n, c * b**2, h // b, w // b)) for track in tracks])


_POOLS = ["AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"]

register([*_POOLS, "GridSample", "RoiAlign", "MaxRoiPool"], Operator(_per_channel))
register(["Resize", "Upsample"], Operator(_resize, rewrite=_resize_sizes))
register("DepthToSpace", Operator(_depth_to_space))
register("SpaceToDepth", Operator(_space_to_depth))
