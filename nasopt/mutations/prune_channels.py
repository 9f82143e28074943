"""Channel pruning: units of coupled channels go, weights are inherited."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx

from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import Mask, Units, couple, solve
from nasopt.mutations.contract import Edit, Mutation, Site, register
from nasopt.mutations.masked import masked_reference
from nasopt.mutations.rewrite import remove_units

__all__ = ["PruneChannels", "edit_of", "removal_of", "removed_units"]


class PruneChannels(Mutation):
    """Removes whole units; equal to the original with the removed channels masked."""

    kind = "prune-channels"
    lossless = False

    def sites(self, graph: Graph) -> Sequence[Site]:
        """One site a group; a choice is the number of units kept."""
        return [Site(self.kind, group.name, tuple(range(1, len(group) + 1))) for group in solve(couple(graph)).groups]

    def whole(self, graph: Graph) -> Edit | None:  # noqa: ARG002  nothing can be pruned without choosing
        return None

    def apply(self, graph: Graph, edit: Edit) -> onnx.ModelProto:
        units = solve(couple(graph))
        return remove_units(units, removed_units(units, edit))

    def masked(self, graph: Graph, edit: Edit) -> onnx.ModelProto:
        units = solve(couple(graph))
        return masked_reference(units, removed_units(units, edit))

    def untouched(self, graph: Graph, edit: Edit) -> Collection[str]:
        # The reference masks where channels are read: a value that keeps all of its own is the same, however deep it lies.
        units = solve(couple(graph))
        removed = removed_units(units, edit)
        return {name for name in graph.producers if not any(removed[track].any() for track in units.tracks.get(name, ()))}

    def describe(self, edit: Edit) -> str:
        groups = edit.detail["groups"]
        channels = sum(entry["channels"] * len(entry["remove"]) for entry in groups)
        return f"removed {channels} channels in {len(groups)} groups"


def edit_of(units: Units, removed: Mask) -> Edit:
    """The edit that removes the flagged units, spelt in tensor names and slice numbers.

    Each group is named by one tensor axis; ``remove`` lists slices of that axis. Slices of the coupled tensors (``also``) follow from it.
    """
    first = _first_sources(units)
    groups: list[dict[str, Any]] = []
    for group in units.groups:
        gone = group.units[removed[group.units]]
        if len(gone):
            places = [first[int(unit)] for unit in gone]
            tensor, axis = places[0][:2]
            groups.append(
                {
                    "tensor": tensor,
                    "axis": axis,
                    "channels": group.channels,
                    "keep": len(group) - len(gone),
                    "of": len(group),
                    "remove": [index for _, _, index in places],
                    "also": [f"{name}[{place}]" for name, place in units.members(group) if (name, place) != (tensor, axis)],
                }
            )
    return Edit(PruneChannels.kind, {"groups": groups})


def removed_units(units: Units, edit: Edit) -> Mask:
    """The flags of an edit.

    Raises:
        InvalidEditError: the edit names a tensor, an axis or a slice that the graph does not have.
    """
    start_of = {(value, axis): (start, stop) for start, stop, value, axis in reversed(units.sources)}
    labelled = np.zeros(units.count, np.bool_)
    for members in (*(group.units for group in units.groups), *(frozen.units for frozen in units.frozen)):
        labelled[members] = True
    removed = np.zeros(units.count, np.bool_)
    for entry in edit.detail.get("groups", ()):
        try:
            start, stop = start_of[(entry["tensor"], entry["axis"])]
            indices = np.array(entry["remove"], np.int64)
        except (KeyError, TypeError, ValueError):
            raise InvalidEditError(f"the script removes channels of '{entry.get('tensor')}', which this model does not have") from None
        if indices.size and not (int(indices.min()) >= 0 and int(indices.max()) < stop - start):
            raise InvalidEditError(f"the script removes channel {int(indices.max())} of '{entry['tensor']}', which has {stop - start}")
        gone = units.unit_of[start + indices]
        if not labelled[gone].all():
            raise InvalidEditError(f"the script cuts axis {entry['axis']} of '{entry['tensor']}', which is no axis of channels")
        removed[gone] = True
    return removed


def removal_of(units: Units, order: Sequence[np.ndarray[Any, Any]], kept: Sequence[int]) -> Mask:
    """Flags the least important units of every group.

    Args:
        units: the solved couplings.
        order: for each group, its units from least to most important.
        kept: for each group, how many units stay.
    """
    removed = np.zeros(units.count, np.bool_)
    for units_by_importance, stay in zip(order, kept, strict=True):
        removed[units_by_importance[: len(units_by_importance) - stay]] = True
    return removed


def _first_sources(units: Units) -> dict[int, tuple[str, int, int]]:
    """Unit → the first slice it labels, as (tensor, axis, index); of a weight where it labels any."""
    table: dict[int, tuple[str, int, int]] = {}
    for start, stop, value, axis in sorted(units.sources, key=lambda source: source[2] not in units.graph.weights):
        for index, unit in enumerate(units.unit_of[start:stop].tolist()):
            table.setdefault(unit, (value, axis, index))
    return table


register(PruneChannels())
