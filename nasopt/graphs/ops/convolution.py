"""Conv and ConvTranspose, plain, depthwise and grouped."""

from __future__ import annotations

import math

import numpy as np

from nasopt.graphs.channels import Barrier, Coupling, Track
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops.registry import Macs, Mixing, Operator, Rewrite, register


def _couple(coupling: Coupling, node: Node) -> None:
    transposed = node.op == "ConvTranspose"
    x, weight = node.inputs[:2]
    bias = [node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else []
    groups = int(node.attrs.get("group", 1))
    shape = coupling.graph.shape(weight)
    if weight in coupling.graph.weights:
        coupling.leave(weight, range(2, len(shape)))
    else:
        kernel = Barrier(node.name, node.op, "kernel_shape", f"the kernel of '{node.name}' is computed and must keep its size")
        tracks = [coupling.rigid(track, range(2, len(shape)), kernel) for track in coupling.of(weight)]
        coupling.put(weight, [track for track in tracks if max(track.shape[2:], default=1) == 1])
    spatial = Barrier(node.name, node.op, "spatial axes", f"'{node.name}' slides along the spatial axes of '{x}'")
    incoming = [coupling.rigid(track, range(2, track.ndim), spatial) for track in coupling.of(x)]
    incoming = [track for track in incoming if track.shape[1] > 1]
    outputs = (shape[1] if transposed else shape[0] // groups) * groups
    if groups > 1:
        outgoing = _grouped(coupling, node, weight, groups, transposed, incoming)
    else:
        outgoing = _dense(coupling, node, weight, transposed, incoming)
    result = []
    if outgoing is not None and outputs > 1:
        result = [outgoing.reshape([outputs if axis == 1 else 1 for axis in range(len(coupling.graph.shape(x)))])]
    for value in bias if result else ():
        for own in coupling.of(value):
            coupling.equate(own.reshape(-1), result[0].reshape(-1))
        if not coupling.of(value):
            coupling.freeze(result[0], coupling.why_rigid(value))
    coupling.put(node.outputs[0], result)


def _dense(coupling: Coupling, node: Node, weight: str, transposed: bool, incoming: list[Track]) -> Track | None:
    into, out = (0, 1) if transposed else (1, 0)
    for own in coupling.along(weight, into):
        for track in incoming:
            coupling.equate(own.reshape(-1), track.reshape(-1))
        if not incoming:
            coupling.freeze(own, coupling.why_rigid(node.inputs[0]))
    outgoing = coupling.along(weight, out)
    return outgoing[0].reshape(-1) if outgoing else None


def _grouped(coupling: Coupling, node: Node, weight: str, groups: int, transposed: bool, incoming: list[Track]) -> Track | None:
    """A grouped convolution loses whole groups (depthwise: channels), or the same channels of every group, whichever is finer."""
    graph = coupling.graph
    channels = graph.shape(node.inputs[0])[1]
    inner = channels // groups
    out_axis = 1 if transposed else 0
    lead = coupling.along(weight, 0)
    lead_atoms = lead[0].reshape(groups, -1) if lead else None
    inner_atoms = [track.reshape(-1) for track in coupling.along(weight, 1)]
    barrier = coupling.why_rigid(node.inputs[0])
    by_group = inner < groups
    if lead_atoms is None:
        return None
    # Atoms of the output: the weight's own leading axis for Conv; for ConvTranspose, whose weight holds them once for all groups, theirs.
    per_group = graph.shape(weight)[1] if transposed else graph.shape(weight)[0] // groups
    into = lead_atoms if transposed else None
    if by_group:
        whole = lead_atoms[:, :1]
        coupling.equate(lead_atoms, whole)
        for track in incoming:
            coupling.equate(track.reshape(groups, -1), whole)
        for atoms in inner_atoms:
            coupling.freeze(atoms, Barrier(node.name, node.op, "group", f"'{node.name}' is pruned by whole groups"))
        if not incoming:
            coupling.freeze(lead_atoms, barrier)
        return np.ascontiguousarray(np.broadcast_to(whole, (groups, per_group))).reshape(-1)
    if into is not None:
        coupling.equate(into, into[:1])
        for track in incoming:
            coupling.equate(track.reshape(groups, -1), into)
        if not incoming:
            coupling.freeze(into, barrier)
        return np.tile(inner_atoms[0], groups) if inner_atoms else None
    for atoms in inner_atoms:
        for track in incoming:
            coupling.equate(track.reshape(groups, -1), atoms[None, :])
        if not incoming:
            coupling.freeze(atoms, barrier)
    coupling.equate(lead_atoms, lead_atoms[:1])
    if out_axis == 0 and not inner_atoms:
        for track in incoming:
            coupling.freeze(track, Barrier(node.name, node.op, "group", f"the groups of '{node.name}' hold one channel each"))
    return lead_atoms.reshape(-1)


def _macs(graph: Graph, node: Node) -> Macs | None:
    weight = node.inputs[1]
    where = node.inputs[0] if node.op == "ConvTranspose" else node.outputs[0]
    positions = graph.shape(where)
    kernel = math.prod(graph.shape(weight)[2:])
    return Macs(positions[0] * math.prod(positions[2:]) * kernel, ((weight, 0), (weight, 1)))


def _rewrite(rewrite: Rewrite, node: Node) -> None:
    """Fewer groups where whole groups went, and an explicit kernel shape is still right: only ``group`` may change."""
    groups = int(node.attrs.get("group", 1))
    if groups == 1:
        return
    channels = rewrite.graph.shape(node.inputs[0])[1]
    keep = rewrite.keep(node.inputs[0], 1)
    if keep is not None and channels // groups < groups:
        rewrite.set_attribute(node, "group", int(keep.reshape(groups, -1).any(axis=1).sum()))


register(["Conv", "ConvTranspose"], Operator(_couple, _macs, _rewrite, Mixing.SUM))
