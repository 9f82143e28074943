"""Channel counts that a network computes with.

A size taken from a Shape node may feed a Reshape, which a rewrite corrects, or it may become data: ``1 / sqrt(d)`` of an attention, a
mask, an output. Then the channels that it counts must stay.
"""

from __future__ import annotations

from nasopt.graphs.channels import Barrier, Coupling
from nasopt.graphs.shapes import fold_constants

__all__ = ["hold_computed_sizes"]

_SIZE_OPERANDS = {
    "Expand": (1,),
    "Pad": (1, 3),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""Operands that only say how large something is; what channels do to them is the operator's own rule and rewrite."""


def hold_computed_sizes(coupling: Coupling) -> None:
    """Freezes channels whose number flows into data. To be called when every operator's rule has been applied."""
    graph = coupling.graph
    if not graph.shape_sources:
        return
    # What would change if every channel count did: the constants that depend on channels, and not on a batch or a picture's size.
    fewer = {name: _fewer(coupling, name) for name in graph.shapes}
    after, _ = fold_constants(graph, fewer, graph.dtypes)
    moving = {
        name
        for name in graph.shape_sources
        if name not in after or after[name].shape != graph.constants[name].shape or (after[name] != graph.constants[name]).any()
    }
    for node in graph.nodes:
        if node.outputs and node.outputs[0] in graph.constants:
            continue
        for slot, name in enumerate(node.inputs):
            if name in moving and slot not in _SIZE_OPERANDS.get(node.op, ()):
                _hold(
                    coupling, name, Barrier(node.name, node.qualified, "computed size", f"'{node.name}' computes with a number of channels")
                )
    for name in moving.intersection(graph.outputs):
        node = graph.producers[name]
        _hold(coupling, name, Barrier(node.name, node.qualified, "graph output", f"the output '{name}' tells a number of channels"))


def _fewer(coupling: Coupling, name: str) -> tuple[int, ...]:
    shape, tracks = coupling.graph.shape(name), coupling.tracks.get(name, ())
    return tuple(size - 1 if any(track.shape[axis] > 1 for track in tracks) else size for axis, size in enumerate(shape))


def _hold(coupling: Coupling, name: str, barrier: Barrier) -> None:
    for source in coupling.graph.shape_sources[name]:
        for track in coupling.of(source):
            coupling.freeze(track, barrier)
