"""The same elements, arranged otherwise: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand, Tile."""

from __future__ import annotations

import math

import numpy as np

from nasopt.graphs.channels import Coupling, compact, reshape_track
from nasopt.graphs.graph import Node
from nasopt.graphs.ops.registry import Operator, Rewrite, register


def _reshape(coupling: Coupling, node: Node) -> None:
    before, after = coupling.graph.shape(node.inputs[0]), coupling.graph.shape(node.outputs[0])
    if math.prod(before) != math.prod(after) or 0 in before:
        coupling.block(node, "shape", "a reshape that changes the number of elements")
        return
    coupling.put(node.outputs[0], [reshape_track(track, before, after) for track in coupling.of(node.inputs[0])])


def _transpose(coupling: Coupling, node: Node) -> None:
    perm = node.attrs.get("perm")
    coupling.put(node.outputs[0], [track.transpose(perm) for track in coupling.of(node.inputs[0])])


def _expand(coupling: Coupling, node: Node) -> None:
    rank = len(coupling.graph.shape(node.outputs[0]))
    coupling.put(node.outputs[0], [track.reshape((1,) * (rank - track.ndim) + track.shape) for track in coupling.of(node.inputs[0])])


def _tile(coupling: Coupling, node: Node) -> None:
    repeats = coupling.graph.constant(node, 1)
    if repeats is None:
        coupling.block(node, "repeats", "the repeats depend on the data")
        return
    tracks = coupling.of(node.inputs[0])
    coupling.put(
        node.outputs[0],
        [compact(np.tile(track, [int(n) if track.shape[axis] > 1 else 1 for axis, n in enumerate(repeats)])) for track in tracks],
    )


def _target_sizes(rewrite: Rewrite, node: Node) -> None:
    """A shape operand that spells out the new channel counts; 0 (copy) and -1 (the rest) stay as they are.

    A shape that the graph computes from other shapes may follow by itself: the rewrite compares.
    """
    graph, output = rewrite.graph, node.outputs[0]
    shape = graph.shape(output)
    target = graph.constant(node, 1)
    if target is None:
        return
    sizes = [int(n) for n in target]
    for axis in range(len(sizes)):
        place = axis + len(shape) - len(sizes)
        keep = rewrite.keep(output, place)
        if keep is not None and sizes[axis] > 1:
            sizes[axis] = int(keep.sum())
    rewrite.set_operand(node, 1, "shape", np.array(sizes, np.int64))


def _squeezed_axes(rewrite: Rewrite, node: Node) -> None:
    """Without axes every axis of size 1 goes: the ones that are 1 now must be named, lest a pruned one joins them."""
    shape = rewrite.graph.shape(node.inputs[0])
    named = "axes" in node.attrs or (len(node.inputs) > 1 and node.inputs[1])
    if not named and any(rewrite.keep(node.inputs[0], axis) is not None for axis in range(len(shape))):
        rewrite.set_operand(node, 1, "axes", np.array([axis for axis, size in enumerate(shape) if size == 1], np.int64))


register("Reshape", Operator(_reshape, rewrite=_target_sizes))
register("Squeeze", Operator(_reshape, rewrite=_squeezed_axes))
register(["Flatten", "Unsqueeze"], Operator(_reshape))
register("Transpose", Operator(_transpose))
register("Expand", Operator(_expand, rewrite=_target_sizes))
register("Tile", Operator(_tile))
