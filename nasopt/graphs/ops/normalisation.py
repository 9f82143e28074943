"""Batch, instance, group, layer and root-mean-square normalisation, and the norms that mix channels for good."""

from __future__ import annotations

from nasopt.graphs.channels import Barrier, Coupling, Track
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops.registry import Mixing, Operator, register


def _batch_norm(coupling: Coupling, node: Node) -> None:
    if len([name for name in node.outputs if name]) > 1:
        coupling.block(node, "training_mode", "a BatchNormalization in training mode")
        return
    coupling.put(node.outputs[0], coupling.align(node, node.inputs[0], 1, node.inputs[1:5]))


def _instance_norm(coupling: Coupling, node: Node) -> None:
    """Statistics over axes 2 and up: where channels lie there, every row loses the same ones.

    So it is for a group norm spelt as Reshape, InstanceNormalization, Reshape.
    """
    barrier = Barrier(node.name, node.op, "rows", f"'{node.name}' holds one weight per row of channels")
    x = node.inputs[0]
    rows = [coupling.rigid(t, (0, 1), barrier) if any(size > 1 for size in t.shape[2:]) else t for t in coupling.of(x)]
    coupling.put(x, rows)
    coupling.put(node.outputs[0], coupling.align(node, node.inputs[0], 1, node.inputs[1:3]))


def _group_norm(coupling: Coupling, node: Node) -> None:
    """Every group loses the same channels; per-channel scale and bias (opset 21) follow, per-group ones (opset 18) stay."""
    x, *weights = node.inputs[:3]
    groups = int(node.attrs["num_groups"])
    barrier = Barrier(node.name, node.op, "num_groups", f"the groups of '{node.name}' must keep equal sizes")
    tracks: list[Track] = []
    for track in coupling.of(x):
        if track.shape[1] > 1:
            track = coupling.rigid(track, [axis for axis in range(track.ndim) if axis != 1], barrier)
            rows = track.reshape(groups, -1)
            coupling.equate(rows, rows[:1])
        tracks.append(track)
    channels = coupling.graph.shape(x)[1]
    per_channel = [weight for weight in weights if coupling.graph.shape(weight) == (channels,)]
    for weight in weights:
        if weight not in per_channel:
            for own in coupling.of(weight):
                coupling.freeze(own, barrier)
    if per_channel:
        coupling.align(node, x, 1, per_channel)
    coupling.put(node.outputs[0], tracks)


def _layer_norm(coupling: Coupling, node: Node) -> None:
    x = node.inputs[0]
    rank = len(coupling.graph.shape(x))
    start = int(node.attrs.get("axis", -1)) % rank
    barrier = Barrier(node.name, node.op, "axis", f"'{node.name}' normalises every row on its own")
    for track in coupling.of(x):
        if any(size > 1 for size in track.shape[start:]):
            coupling.rigid(track, range(start), barrier)
    tracks = coupling.merge([value for value in node.inputs[:3] if value])
    coupling.put(node.outputs[0], tracks)
    for extra in node.outputs[1:]:
        coupling.put(extra, [track for track in tracks if all(size == 1 for size in track.shape[start:])])


def _trailing(graph: Graph, node: Node) -> tuple[int, ...]:
    rank = len(graph.shape(node.inputs[0]))
    return tuple(range(int(node.attrs.get("axis", -1)) % rank, rank))


def _spatial(graph: Graph, node: Node) -> tuple[int, ...]:
    return tuple(range(2, len(graph.shape(node.inputs[0]))))


def _mixes(axis_default: int, *, to_the_end: bool = False) -> Operator:
    """Operators whose result depends on how many channels there are along their axis: these channels stay."""

    def couple(coupling: Coupling, node: Node) -> None:
        x = node.inputs[0]
        rank = len(coupling.graph.shape(x))
        flattens = to_the_end and coupling.graph.opset < 13  # before opset 13 softmax is over everything from its axis on, by default 1
        axis = int(node.attrs.get("axis", 1 if flattens else axis_default)) % rank
        axes = range(axis, rank) if flattens else (axis,)
        barrier = Barrier(node.name, node.op, f"axis={axis}", f"'{node.name}' compares channels with each other")
        tracks = [coupling.rigid(track, axes, barrier) for track in coupling.of(x)]
        for value in node.outputs:
            coupling.put(value, tracks)

    return Operator(couple)


register("BatchNormalization", Operator(_batch_norm))
register("InstanceNormalization", Operator(_instance_norm, mixing=Mixing.MOMENTS, mixed_axes=_spatial))
register("GroupNormalization", Operator(_group_norm, mixing=Mixing.MOMENTS, mixed_axes=_spatial))
register(["LayerNormalization", "RMSNormalization"], Operator(_layer_norm, mixing=Mixing.MOMENTS, mixed_axes=_trailing))
register(["Softmax", "LogSoftmax", "Hardmax"], _mixes(-1, to_the_end=True))
register("LpNormalization", _mixes(-1))
register("LRN", _mixes(1))
