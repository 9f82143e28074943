"""What of a network can go and what cannot, in MACs: the groups, the barriers, and what each barrier locks.

The *floor* of a node is its MACs once every group is cut to a single unit. It is split equally among the barriers that freeze
channels along the node's axes. An axis without channels (a batch, a kernel) locks nothing, unless a node has no other axis: then the
floor belongs to whatever made its operands rigid. What no barrier holds is the price of one unit per group, "at least one channel must
stay". The shares of all barriers and this remainder add up to the MACs that no choice of channels removes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nasopt.graphs.channels import Barrier
from nasopt.graphs.cost import CostTable, node_macs, totals
from nasopt.graphs.graph import Node
from nasopt.graphs.ops import Macs
from nasopt.graphs.units import Units
from nasopt.results import FrozenGroup, Group

__all__ = ["frozen_of", "groups_of", "reachable_macs"]


def groups_of(units: Units, kept: Sequence[int] | None = None, steps: Sequence[int] | None = None) -> tuple[Group, ...]:
    """The groups as records.

    Args:
        units: the solved couplings.
        kept: how many units each group keeps; all of them if left out.
        steps: the granularity, in channels, at which each group was cut; 1 if left out.
    """
    macs = np.zeros(len(units.groups), np.int64)
    owner = _owners(units)
    for _, form in _forms(units):
        touched = {int(group) for classes in _axes(units, form) for group in np.unique(owner[classes]) if group >= 0}
        macs[sorted(touched)] += _macs(units, form)
    result = []
    for index, group in enumerate(units.groups):
        stays = len(group) if kept is None else int(kept[index])
        members = tuple(f"{name}[{axis}]" for name, axis in units.members(group))
        channels = len(group) * group.channels, stays * group.channels
        step = 1 if steps is None else int(steps[index])
        result.append(Group(group.name, members, len(group), stays, *channels, step, int(macs[index])))
    return tuple(result)


def frozen_of(units: Units) -> tuple[FrozenGroup, ...]:
    """What is frozen, one record a barrier, by the MACs that it locks."""
    total = totals(units.graph).macs
    names: dict[Barrier, tuple[int, str]] = {}
    channels: dict[Barrier, int] = {}
    width = _widths(units)
    for frozen in units.frozen:
        names[frozen.barrier] = max(names.get(frozen.barrier, (0, "")), (len(frozen.units), frozen.name), key=lambda known: known[0])
        channels[frozen.barrier] = channels.get(frozen.barrier, 0) + int(width[frozen.units].sum())
    locked = _locked(units)
    records = []
    for barrier in dict.fromkeys([*names, *locked]):
        name = names[barrier][1] if barrier in names else barrier.node
        macs = locked.get(barrier, 0)
        cause = barrier.node, barrier.op, barrier.attribute, barrier.reason
        records.append(FrozenGroup(name, channels.get(barrier, 0), *cause, macs, macs / total if total else 0.0))
    return tuple(sorted(records, key=lambda record: -record.locked_macs))


def reachable_macs(units: Units) -> int:
    """MACs with every group cut to a single unit."""
    return int(CostTable(units).macs(np.ones((1, len(units.groups)), np.int64))[0])


def _locked(units: Units) -> dict[Barrier, int]:
    """Barrier → its share of the floors of all nodes."""
    owner = _owners(units)
    barrier_of = {unit: frozen.barrier for frozen in units.frozen for unit in frozen.units.tolist()}
    locked: dict[Barrier, int] = {}
    for node, form in _forms(units):
        axes = _axes(units, form)
        barriers = list(dict.fromkeys(barrier_of[unit] for classes in axes for unit in np.unique(classes).tolist() if unit in barrier_of))
        if not axes:
            barriers = list(dict.fromkeys(units.why_rigid(name) for name in node.inputs[:2]))
        floor = _macs(units, form, owner)
        for place, barrier in enumerate(barriers):
            locked[barrier] = locked.get(barrier, 0) + floor // len(barriers) + (place < floor % len(barriers))
    return locked


def _forms(units: Units) -> Iterator[tuple[Node, Macs]]:
    for node in units.graph.nodes:
        form = node_macs(units.graph, node)
        if form is not None and form.coefficient:
            yield node, form


def _axes(units: Units, form: Macs) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The units along each axis of a cost form that has any."""
    return [row.classes for dim in form.dims for row in units.axes.get(dim, ())]


def _macs(units: Units, form: Macs, owner: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None) -> int:
    """MACs of a node; its floor where `owner` says which group each unit belongs to."""
    return form.coefficient * math.prod(_length(units, dim, owner) for dim in form.dims)


def _length(units: Units, dim: tuple[str, int], owner: np.ndarray[tuple[int], np.dtype[np.int64]] | None) -> int:
    value, axis = dim
    rows = units.axes.get(dim)
    if owner is None or not rows:
        return units.graph.shape(value)[axis]
    owners = owner[rows[0].classes]
    present, slices = np.unique(owners[owners >= 0], return_counts=True)
    return int((owners < 0).sum()) + sum(int(n) // len(units.groups[group]) for group, n in zip(present.tolist(), slices, strict=True))


def _owners(units: Units) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Unit → group, -1 where it is in none."""
    owner = np.full(units.count, -1, np.int64)
    for index, group in enumerate(units.groups):
        owner[group.units] = index
    return owner


def _widths(units: Units) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Unit → its slices along the axis that holds most of them."""
    width = np.zeros(units.count, np.int64)
    for rows in units.axes.values():
        for row in rows:
            present, slices = np.unique(row.classes, return_counts=True)
            width[present] = np.maximum(width[present], slices)
    return width
