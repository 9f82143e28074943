"""Taking channels apart and putting them together: Concat, Split, Slice, Gather, Pad, and the operators that only read shapes."""

from __future__ import annotations

import numpy as np

from nasopt.graphs.channels import Barrier, Coupling, Track, compact, spans
from nasopt.graphs.fold import slice_index
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops.registry import Array, Operator, Rewrite, register


def _concat(coupling: Coupling, node: Node) -> None:
    graph = coupling.graph
    rank = len(graph.shape(node.outputs[0]))
    axis = int(node.attrs["axis"]) % rank
    values = [value for value in node.inputs if 0 not in graph.shape(value)]
    joined = [coupling.along(value, axis) for value in values]
    outgoing = _across(coupling, node, values, axis)
    if any(joined):
        pieces = []
        for value, own in zip(values, joined, strict=True):
            size = graph.shape(value)[axis]
            if own:
                pieces.append(own[0])
                for track in own[1:]:
                    coupling.freeze(track, Barrier(node.name, node.op, "axis", "channels that are a product of two choices"))
            else:
                # No atoms: this part must stay as long as it is.
                atoms = coupling.fresh(size, value, axis).reshape([size if i == axis else 1 for i in range(rank)])
                coupling.freeze(atoms, coupling.why_rigid(value))
                pieces.append(atoms)
        wide = np.broadcast_shapes(*[tuple(1 if i == axis else n for i, n in enumerate(piece.shape)) for piece in pieces])
        parts = [np.broadcast_to(piece, [piece.shape[i] if i == axis else n for i, n in enumerate(wide)]) for piece in pieces]
        outgoing.append(compact(np.ascontiguousarray(np.concatenate(parts, axis))))
    coupling.put(node.outputs[0], outgoing)


def _across(coupling: Coupling, node: Node, values: list[str], axis: int) -> list[Track]:
    """Tracks along other axes than the joined one: all operands share them."""
    outgoing: list[Track] = []
    owned = [[track for track in coupling.of(value) if track.shape[axis] == 1] for value in values]
    for place, tracks in enumerate(owned):
        for track in tracks:
            for other, value in zip(owned, values, strict=True):
                partners = [their for their in other if spans(their) == spans(track)]
                for their in partners:
                    if their is not track:
                        coupling.equate(track, their)
                if not partners:
                    coupling.freeze(track, coupling.why_rigid(value))
            if place == 0:
                outgoing.append(track)
    return outgoing


def _split(coupling: Coupling, node: Node) -> None:
    graph = coupling.graph
    axis = int(node.attrs.get("axis", 0)) % len(graph.shape(node.inputs[0]))
    start = 0
    for value in node.outputs:
        size = graph.shape(value)[axis]
        index = _index(axis, slice(start, start + size))
        start += size
        coupling.put(value, [track[index] if track.shape[axis] > 1 else track for track in coupling.of(node.inputs[0])])


def _split_sizes(rewrite: Rewrite, node: Node) -> None:
    graph = rewrite.graph
    axis = int(node.attrs.get("axis", 0)) % len(graph.shape(node.inputs[0]))
    if rewrite.keep(node.inputs[0], axis) is None:
        return
    sizes = []
    for value in node.outputs:
        keep = rewrite.keep(value, axis)
        sizes.append(graph.shape(value)[axis] if keep is None else int(keep.sum()))
    rewrite.set_operand(node, 1, "split", np.array(sizes, np.int64))
    if "num_outputs" in node.attrs:
        rewrite.set_attribute(node, "num_outputs", None)  # it stands for equal parts, which these need not be


def _slice_operands(graph: Graph, node: Node) -> tuple[tuple[slice, ...], list[int]] | None:
    """The numpy index of a Slice and its axes in the order of its operands; None where they depend on the data."""
    rank = len(graph.shape(node.inputs[0]))
    starts, ends = graph.operand(node, 1, "starts"), graph.operand(node, 2, "ends")
    axes, steps = graph.operand(node, 3, "axes"), graph.constant(node, 4)
    given = [slot for slot in range(1, len(node.inputs)) if node.inputs[slot]]
    if starts is None or ends is None or any(graph.constant(node, slot) is None for slot in given):
        return None
    order = [int(axis) % rank for axis in axes] if axes is not None else list(range(len(starts)))
    return slice_index(rank, starts, ends, np.array(order), steps), order


def _slice(coupling: Coupling, node: Node) -> None:
    operands = _slice_operands(coupling.graph, node)
    if operands is None:
        coupling.block(node, "starts, ends", "the slice depends on the data")
        return
    index, order = operands
    strided = [axis for axis in order if index[axis].step not in (None, 1)]
    barrier = Barrier(node.name, node.op, "steps", f"'{node.name}' takes every n-th channel")
    outgoing = []
    for track in coupling.of(node.inputs[0]):
        if any(track.shape[axis] > 1 for axis in strided):
            track = coupling.rigid(track, strided, barrier)
            if any(track.shape[axis] > 1 for axis in strided):
                track = track[_index_all(track, index)]
                outgoing.append(track)
                continue
        outgoing.append(track[_index_all(track, index)])
    coupling.put(node.outputs[0], [track for track in outgoing if spans(track)])


def _slice_bounds(rewrite: Rewrite, node: Node) -> None:
    graph = rewrite.graph
    operands = _slice_operands(graph, node)
    if operands is None:
        return
    index, order = operands
    starts, ends = graph.operand(node, 1, "starts"), graph.operand(node, 2, "ends")
    assert starts is not None
    assert ends is not None
    starts, ends = starts.copy(), ends.copy()
    touched = False
    for place, axis in enumerate(order):
        keep = rewrite.keep(node.inputs[0], axis)
        if keep is not None:
            start, stop, _ = index[axis].indices(len(keep))
            starts[place], ends[place] = int(keep[:start].sum()), int(keep[:stop].sum())
            touched = True
    if touched:
        rewrite.set_operand(node, 1, "starts", starts)
        rewrite.set_operand(node, 2, "ends", ends)


def _gather(coupling: Coupling, node: Node) -> None:
    graph = coupling.graph
    data = node.inputs[0]
    rank = len(graph.shape(data))
    axis = int(node.attrs.get("axis", 0)) % rank
    indices = graph.constant(node, 1)
    picked = len(graph.shape(node.inputs[1]))
    barrier = Barrier(node.name, node.op, "indices", f"'{node.name}' picks channels by computed or repeated positions")
    outgoing = []
    for track in coupling.of(data):
        if track.shape[axis] > 1:
            known = indices is not None and indices.ndim <= 1 and node.inputs[1] in graph.weights
            if not known:
                track = coupling.rigid(track, (axis,), barrier)
                if track.shape[axis] > 1:
                    continue
            elif indices is not None:
                if indices.ndim == 0:
                    # A single position: it must stay, whatever else goes.
                    row = track.take([int(indices)], axis)
                    coupling.freeze(row, barrier)
                    continue
                outgoing.append(track.take(indices.astype(np.int64), axis))
                continue
        outgoing.append(track.reshape([*track.shape[:axis], *[1] * picked, *track.shape[axis + 1 :]]))
    coupling.put(node.outputs[0], [compact(track) for track in outgoing])


def _gather_indices(rewrite: Rewrite, node: Node) -> None:
    graph = rewrite.graph
    axis = int(node.attrs.get("axis", 0)) % len(graph.shape(node.inputs[0]))
    keep = rewrite.keep(node.inputs[0], axis)
    indices = graph.constant(node, 1)
    if keep is None or indices is None:
        return
    position = np.cumsum(keep) - 1
    wanted = indices % len(keep)
    kept: Array = position[wanted] if indices.ndim == 0 else position[wanted[keep[wanted]]]
    rewrite.set_operand(node, 1, "indices", np.asarray(kept, indices.dtype))


def _pads(graph: Graph, node: Node) -> list[tuple[int, int]] | None:
    """Begin and end padding of every axis."""
    pads = graph.operand(node, 1, "pads")
    if pads is None:
        return None
    rank = len(graph.shape(node.inputs[0]))
    axes = graph.constant(node, 3)
    order = [int(axis) % rank for axis in axes] if axes is not None else list(range(rank))
    table = [(0, 0)] * rank
    for place, axis in enumerate(order):
        table[axis] = (int(pads[place]), int(pads[place + len(order)]))
    return table


def _pad(coupling: Coupling, node: Node) -> None:
    """Padded channels (the parameter-free shortcuts of ResNets on CIFAR, "option A") are atoms of their own."""
    pads = _pads(coupling.graph, node)
    if pads is None:
        coupling.block(node, "pads", "the padding depends on the data")
        return
    mirrored = node.attrs.get("mode", "constant") != "constant"
    barrier = Barrier(node.name, node.op, "mode", f"'{node.name}' pads channels with a mirror image or a negative amount")
    outgoing = []
    for track in coupling.of(node.inputs[0]):
        for axis in spans(track):
            begin, end = pads[axis]
            if (begin or end) and (mirrored or begin < 0 or end < 0):
                coupling.freeze(track, barrier)
                track = np.pad(track[:1] if axis else track, 0)
                break
            parts = [coupling.fresh(n, f"{node.outputs[0]}:{side}", axis) for n, side in ((begin, "before"), (end, "after")) if n]
            if parts:
                if len(spans(track)) > 1:
                    track = coupling.rigid(track, [a for a in spans(track) if a != axis], barrier)
                shaped = [part.reshape([-1 if a == axis else 1 for a in range(track.ndim)]) for part in parts]
                pieces = ([shaped[0]] if begin else []) + [track] + ([shaped[-1]] if end else [])
                track = np.concatenate(pieces, axis)
        else:
            outgoing.append(track)
    coupling.put(node.outputs[0], outgoing)


def _pad_sizes(rewrite: Rewrite, node: Node) -> None:
    graph, output = rewrite.graph, node.outputs[0]
    pads = _pads(graph, node)
    given = graph.operand(node, 1, "pads")
    if pads is None or given is None:
        return
    changed = list(pads)
    for axis, (begin, end) in enumerate(pads):
        keep = rewrite.keep(output, axis)
        if keep is not None and (begin or end):
            changed[axis] = (int(keep[:begin].sum()), int(keep[len(keep) - end :].sum()))
    if changed != pads:
        axes = graph.constant(node, 3)
        order = [int(axis) % len(pads) for axis in axes] if axes is not None else list(range(len(pads)))
        rewrite.set_operand(node, 1, "pads", np.array([changed[a][0] for a in order] + [changed[a][1] for a in order], given.dtype))


def _no_tracks(coupling: Coupling, node: Node) -> None:
    """Outputs that hold no channels, whatever the input: sizes, constants, ranges."""
    for value in node.outputs:
        if value not in coupling.graph.weights:
            coupling.put(value, ())


def _index(axis: int, part: slice) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, part)


def _index_all(track: Track, index: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(part if track.shape[axis] > 1 else slice(None) for axis, part in enumerate(index))


register("Concat", Operator(_concat))
register("Split", Operator(_split, rewrite=_split_sizes))
register("Slice", Operator(_slice, rewrite=_slice_bounds))
register("Gather", Operator(_gather, rewrite=_gather_indices))
register("Pad", Operator(_pad, rewrite=_pad_sizes))
register(["Shape", "Size", "Constant", "ConstantOfShape", "Range", "RandomNormal", "RandomUniform"], Operator(_no_tracks))
