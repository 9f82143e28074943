"""Units and groups: what can be removed, solved from the couplings of a graph.

A *unit* is a class of equated atoms: the smallest set of slices that can be removed without changing what the rest computes. Units with
the same footprint (as many slices along the same axes of the same tensors) form a *group*; which units of a group go is a question of
importance, how many is one gene of the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs.channels import Barrier, Coupling, Track, spans
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.ops import operator_of
from nasopt.graphs.sizes import hold_computed_sizes

__all__ = ["Axis", "FrozenUnits", "UnitGroup", "Units", "couple", "solve"]

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class UnitGroup:
    """Interchangeable units: the same slices of the same tensors, each its own.

    Attributes:
        name: the weight (or node) and axis that its first atoms come from; numbered where parts of one axis form several groups.
        units: classes, in the order of the first tensor's slices.
        channels: slices per unit along the axis that holds most of them.
    """

    name: str
    units: Ints
    channels: int

    def __len__(self) -> int:
        return len(self.units)


@dataclass(frozen=True)
class FrozenUnits:
    """Units that must stay: their names, how many slices they have, and the first barrier that froze them."""

    name: str
    units: Ints
    barrier: Barrier


@dataclass(frozen=True)
class Axis:
    """One axis of one value as a row of units: `classes[i]` is the unit of slice i."""

    value: str
    axis: int
    classes: Ints


@dataclass(frozen=True)
class Units:
    """The solution.

    Attributes:
        graph: what was coupled.
        tracks: index maps of every value, atoms replaced by units.
        sources: ``(first atom, one past the last, value, axis)`` of every run of atoms.
        unit_of: atom → unit.
        count: number of units.
        groups: what can be pruned.
        frozen: what cannot, by barrier.
        why_rigid: for a value without channels, what made it so.
    """

    graph: Graph
    tracks: dict[str, tuple[Track, ...]]
    sources: tuple[tuple[int, int, str, int], ...]
    unit_of: Ints
    count: int
    groups: tuple[UnitGroup, ...]
    frozen: tuple[FrozenUnits, ...]
    why_rigid: Callable[[str], Barrier]

    @cached_property
    def axes(self) -> dict[tuple[str, int], list[Axis]]:
        """Every labelled axis of every value."""
        table: dict[tuple[str, int], list[Axis]] = {}
        for axis in _axes(self.tracks):
            table.setdefault((axis.value, axis.axis), []).append(axis)
        return table

    def keep(self, value: str, axis: int, removed: Mask) -> Mask | None:
        """Which slices of a value's axis stay; None where the axis is not touched.

        Args:
            value: a value of the graph.
            axis: not negative.
            removed: one flag a unit.
        """
        rows = self.axes.get((value, axis), [])
        if not any(removed[row.classes].any() for row in rows):
            return None
        keep = np.ones(len(rows[0].classes), np.bool_)
        for row in rows:
            keep &= ~removed[row.classes]
        return keep

    def members(self, group: UnitGroup) -> list[tuple[str, int]]:
        """The weights, with axis, that a group slices."""
        inside = np.zeros(self.count, np.bool_)
        inside[group.units] = True
        hit = {(value, axis) for start, stop, value, axis in self.sources if inside[self.unit_of[start:stop]].any()}
        return sorted(place for place in hit if place[0] in self.graph.weights)


def couple(graph: Graph, preserve: Sequence[tuple[str, Barrier]] = ()) -> Coupling:
    """Walks the graph once and applies each operator's channel rule.

    Args:
        graph: the graph.
        preserve: values whose channels must stay, each with the barrier that says on whose wish.
    """
    coupling = Coupling(graph)
    for node in graph.nodes:
        _apply_rule(coupling, node)
    hold_computed_sizes(coupling)
    for value in graph.outputs:
        producer = graph.producers.get(value)
        name, op = (producer.name, producer.qualified) if producer else (value, "graph input")
        reason = f"'{value}' is an output of the network: its shape is part of the interface"
        for track in coupling.of(value):
            coupling.freeze(track, Barrier(name, op, "graph output", reason))
    for value, barrier in preserve:
        for track in coupling.of(value):
            coupling.freeze(track, barrier)
    return coupling


def solve(coupling: Coupling) -> Units:
    """Units and groups of a coupling."""
    unit_of, count = _classes(coupling.atoms, coupling.equations)
    while extra := list(_rectangles(coupling.tracks, unit_of)):
        coupling.equations += extra
        unit_of, count = _classes(coupling.atoms, coupling.equations)
    tracks = {value: tuple(unit_of[track] for track in own) for value, own in coupling.tracks.items() if own}
    _hold_products(coupling)
    _hold_single_channels(coupling)
    footprint, width = _footprints(tracks, count)
    held: dict[int, Barrier] = {}
    for atoms, barrier in coupling.barriers:
        for unit in np.unique(unit_of[atoms]).tolist():
            held.setdefault(unit, barrier)
    first = _first_atoms(unit_of, count)
    starts = np.array([start for start, *_ in coupling.sources], np.int64)
    named_by = _first_weight_atoms(coupling, unit_of, first)
    groups, frozen, named = [], [], dict[str, int]()
    for units in _partition(footprint, first):
        _, _, value, axis = coupling.sources[int(np.searchsorted(starts, named_by[units[0]], "right")) - 1]
        name = value if axis == 0 else f"{value}[{axis}]"
        reasons = [held.get(unit) for unit in units.tolist()]
        free = units[[reason is None for reason in reasons]]
        if len(free) > 1:
            named[name] = named.get(name, 0) + 1
            unique = name if named[name] == 1 else f"{name}#{named[name]}"
            groups.append(UnitGroup(unique, free, int(width[free[0]])))
        elif len(free) == 1:
            # Removing the only unit would leave an empty tensor.
            whole = Barrier(name, "coupling", "one unit", f"all channels of '{name}' hang together as one unit")
            frozen.append(FrozenUnits(name, free, whole))
        barriers = dict.fromkeys(reason for reason in reasons if reason is not None)
        frozen += [FrozenUnits(name, units[[reason == barrier for reason in reasons]], barrier) for barrier in barriers]
    return Units(coupling.graph, tracks, tuple(coupling.sources), unit_of, count, tuple(groups), tuple(frozen), coupling.why_rigid)


def _apply_rule(coupling: Coupling, node: Node) -> None:
    graph = coupling.graph
    operator = operator_of(node)
    if operator is None:
        coupling.block(node, "operator", f"{node.qualified} is an operator without a channel rule")
    elif any(name not in graph.shapes for name in (*node.inputs, *node.outputs[:1]) if name):
        coupling.block(node, "shape", "a shape here depends on the data")
    else:
        try:
            operator.couple(coupling, node)
        except (ValueError, TypeError, IndexError, KeyError, MemoryError) as error:
            # onnx accepts operands that contradict each other: a group that does not divide the channels, an index out of range.
            what = f"node '{node.name}' ({node.op}) has operands or attributes that contradict each other"
            raise ModelNotSupportedError(f"{graph.origin}: {what} ({error})") from error


def _classes(count: int, equations: Sequence[tuple[Track, Track]]) -> tuple[Ints, int]:
    """Equivalence classes of atoms, numbered by their first atom."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not count:
        return np.zeros(0, np.int64), 0
    left = np.concatenate([pair[0] for pair in equations]) if equations else np.zeros(0, np.int64)
    right = np.concatenate([pair[1] for pair in equations]) if equations else np.zeros(0, np.int64)
    edges = coo_array((np.ones(len(left), np.int8), (left, right)), (count, count))
    classes, labels = connected_components(edges, directed=False)
    rank = np.empty(classes, np.int64)
    rank[np.argsort(_first_atoms(labels, classes))] = np.arange(classes)
    return rank[labels], classes


def _rectangles(tracks: dict[str, tuple[Track, ...]], unit_of: Ints) -> Iterator[tuple[Track, Track]]:
    """Equations that are missing for every tensor to stay a box when units go.

    A track that varies along several axes (channels split into rows by a Reshape) must lose whole rows or whole columns. Where its
    units allow neither yet, the axis with most slices stays variable and the others are tied.
    """
    for own in tracks.values():
        for track in own:
            axes = spans(track)
            if len(axes) < 2 or _varying(unit_of[track]) is not None:
                continue
            free = max(axes, key=lambda axis: track.shape[axis])
            corner = track[tuple(slice(None) if axis == free else slice(0, 1) for axis in range(track.ndim))]
            wide, narrow = np.broadcast_arrays(track, corner)
            yield wide.reshape(-1), narrow.reshape(-1)


def _hold_products(coupling: Coupling) -> None:
    """Two tracks along one axis (a flattened product of two choices) have no single length to count by: both stay."""
    for value, own in coupling.tracks.items():
        axes = [axis for track in own for axis in spans(track)]
        crowded = {axis for axis in axes if axes.count(axis) > 1}
        for track in own if crowded else ():
            if crowded.intersection(spans(track)):
                coupling.freeze(track, Barrier(value, "coupling", "product", f"'{value}' holds a product of two choices of channels"))


def _hold_single_channels(coupling: Coupling) -> None:
    """A value that has one channel of them all (a part of a Split) would be empty without it."""
    for value, own in coupling.tracks.items():
        for track in own:
            if track.size == 1:
                coupling.freeze(track, Barrier(value, "coupling", "one channel", f"'{value}' has no other channel"))


def _varying(track: Track) -> int | None:
    """The one axis along which a track of units varies, or None where it varies along several."""
    axes = spans(track)
    if len(axes) == 1:
        return axes[0]
    candidates = []
    for axis in axes:
        corner = track[tuple(slice(None) if a == axis else slice(0, 1) for a in range(track.ndim))]
        if (track == corner).all():
            candidates.append(axis)
    return max(candidates, key=lambda axis: track.shape[axis]) if candidates else None


def _axes(tracks: dict[str, tuple[Track, ...]]) -> Iterator[Axis]:
    for value, own in tracks.items():
        for track in own:
            axes = spans(track)
            if len(axes) == 1:
                yield Axis(value, axes[0], track.reshape(-1))
            elif axes and (axis := _varying(track)) is not None:
                yield Axis(value, axis, np.moveaxis(track, axis, 0).reshape(track.shape[axis], -1)[:, 0])


def _footprints(tracks: dict[str, tuple[Track, ...]], count: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], Ints]:
    """Per unit: a hash of how many slices it has along which axis of which value (0: none), and the most along any one axis."""
    weights = np.random.default_rng(0x6E61736F)
    footprint, width = np.zeros(count, np.uint64), np.zeros(count, np.int64)
    # Most axes repeat another's row of units (before and after an activation, a norm's weights): once tells as much.
    rows = {axis.classes.tobytes(): axis.classes for axis in _axes(tracks)}
    for classes in rows.values():
        factor = weights.integers(1, 2**63, dtype=np.uint64)
        units, slices = np.unique(classes, return_counts=True)
        footprint[units] += slices.astype(np.uint64) * factor
        width[units] = np.maximum(width[units], slices)
    return footprint, width


def _partition(footprint: np.ndarray[tuple[int], np.dtype[np.uint64]], first: Ints) -> list[Ints]:
    """Units by footprint, groups and units in the order of their first atoms; units that label nothing are left out."""
    labelled = np.flatnonzero(footprint)
    _, inverse = np.unique(footprint[labelled], return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    cuts = np.flatnonzero(np.diff(inverse[order])) + 1
    parts = np.split(labelled[order], cuts) if len(order) else []
    return sorted((part[np.argsort(first[part])] for part in parts), key=lambda part: int(first[part[0]]))


def _first_weight_atoms(coupling: Coupling, unit_of: Ints, first: Ints) -> Ints:
    """Per unit the first of its atoms that is a slice of a weight, by which the user knows it; its first atom where there is none."""
    inside = np.zeros(len(unit_of), np.bool_)
    for start, stop, value, _ in coupling.sources:
        inside[start:stop] = value in coupling.graph.weights
    atoms = np.flatnonzero(inside)
    found = np.full(len(first), len(unit_of), np.int64)
    np.minimum.at(found, unit_of[atoms], atoms)
    return np.where(found < len(unit_of), found, first)


def _first_atoms(unit_of: Ints, count: int) -> Ints:
    first = np.full(count, len(unit_of), np.int64)
    np.minimum.at(first, unit_of, np.arange(len(unit_of)))
    return first
