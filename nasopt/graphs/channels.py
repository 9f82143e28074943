"""Channel coupling: which slices of which tensors must be removed together.

Every axis of every weight is a run of *atoms*, one an index. A value carries *tracks*: index maps that say which atom each slice of
it belongs to. A track is an integer array with one dimension per axis of its value, of the axis' size where the atom varies along
that axis and 1 where it does not, so that Transpose, Reshape, Split, Concat, Gather and channel shuffle are the same operation on
the track as on the tensor, and ``cat(x, x)`` is the track twice. Operator rules (`nasopt.graphs.ops`) pass tracks on, *equate* atoms
that must share their fate, and *freeze* atoms that must stay. The classes of equated atoms are the units of pruning
(`nasopt.graphs.units`).

An axis of a value that no track covers is *rigid*: its size is not ours to change (a graph input, a spatial axis, the output of an
operator without a rule).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.graphs.graph import Graph, Node

__all__ = ["Barrier", "Coupling", "Track", "reshape_track", "spans"]

Track = np.ndarray[Any, np.dtype[np.int64]]
"""Atoms, one dimension per axis of the value; 1 where they do not vary along the axis."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """Why atoms are frozen: the node, what of it, and a sentence for the user."""

    node: str
    op: str
    attribute: str
    reason: str


class Coupling:
    """Collects atoms, equations and barriers while operator rules walk a graph in file order.

    Attributes:
        graph: the graph that is walked.
        tracks: index maps by value name; a value without an entry is rigid throughout (a weight without one has not been read yet).
        sources: ``(first atom, one past the last, value, axis)`` of every run of atoms, ascending.
        equations: pairs of equally shaped atom arrays.
        barriers: frozen atoms with their reason.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tracks: dict[str, tuple[Track, ...]] = {}
        self.sources: list[tuple[int, int, str, int]] = []
        self.equations: list[tuple[Track, Track]] = []
        self.barriers: list[tuple[Track, Barrier]] = []
        self._rigid: dict[str, Barrier] = {}

    @property
    def atoms(self) -> int:
        """How many atoms there are so far."""
        return self.sources[-1][1] if self.sources else 0

    # -- reading ---------------------------------------------------------------------------------------------------------------

    def of(self, value: str) -> tuple[Track, ...]:
        """The tracks of a value. A float weight that is read for the first time gets fresh atoms on each axis longer than 1."""
        if value not in self.tracks and value in self.graph.weights and self.graph.is_float(value):
            shape = self.graph.weights[value].shape
            rank = len(shape)
            self.tracks[value] = tuple(
                self.fresh(size, value, axis).reshape([size if i == axis else 1 for i in range(rank)])
                for axis, size in enumerate(shape)
                if size > 1
            )
        return self.tracks.get(value, ())

    def along(self, value: str, axis: int) -> list[Track]:
        """The tracks of a value that vary along `axis` (negative counts from the end)."""
        return [track for track in self.of(value) if track.shape[axis] > 1]

    def why_rigid(self, value: str) -> Barrier:
        """Where the rigidity of a value comes from."""
        seen = value
        while seen not in self._rigid:
            node = self.graph.producers.get(seen)
            if node is None:
                kind = "graph input" if seen in self.graph.inputs else "constant"
                return Barrier(seen, kind, kind, f"shares its channels with the {kind} '{seen}'")
            ancestors = [name for name in node.inputs if name and name not in self.graph.weights]
            if not ancestors:
                return Barrier(node.name, node.qualified, "output", f"shares its channels with the output of '{node.name}'")
            seen = ancestors[0]
        return self._rigid[seen]

    # -- stating ---------------------------------------------------------------------------------------------------------------

    def fresh(self, count: int, value: str, axis: int) -> Track:
        """`count` new atoms, on record as the slices of `value` along `axis`."""
        start = self.atoms
        self.sources.append((start, start + count, value, axis))
        return np.arange(start, start + count, dtype=np.int64)

    def equate(self, left: Track, right: Track) -> None:
        """Atoms of the same place share their fate (operands are broadcast against each other)."""
        a, b = np.broadcast_arrays(left, right)
        self.equations.append((a.reshape(-1), b.reshape(-1)))

    def freeze(self, track: Track, barrier: Barrier) -> None:
        """These atoms are never removed."""
        self.barriers.append((track.reshape(-1), barrier))

    def put(self, value: str, tracks: Iterable[Track]) -> None:
        """Sets the tracks of a node's output."""
        if value:
            self.tracks[value] = tuple(tracks)

    def rigid(self, track: Track, axes: Iterable[int], barrier: Barrier) -> Track:
        """Demands that nothing is removed along `axes`.

        A track that varies along other axes too is made constant along these (whole rows live and die); one that does not is frozen.

        Returns:
            The track, one atom a row, without variation along `axes` where others remain.
        """
        rank = track.ndim
        hit = {axis % rank for axis in axes if track.shape[axis] > 1}
        if not hit:
            return track
        if all(axis in hit for axis in spans(track)):
            self.freeze(track, barrier)
            return track
        first = track[tuple(slice(0, 1) if axis in hit else slice(None) for axis in range(rank))]
        self.equate(track, first)
        return first

    def leave(self, value: str, axes: Iterable[int]) -> None:
        """Forgets the atoms of a weight along axes that are never cut (kernels)."""
        dropped = set(axes)
        self.put(value, [track for track in self.of(value) if not dropped.intersection(spans(track))])

    def block(self, node: Node, attribute: str, reason: str) -> None:
        """The rule of a node that nothing is known about: its inputs are frozen, its outputs rigid."""
        barrier = Barrier(node.name, node.qualified, attribute, reason)
        for value in (*node.inputs, *node.captured):
            for track in self.of(value) if value else ():
                self.freeze(track, barrier)
        for value in node.outputs:
            self.mark_rigid(value, barrier)

    def mark_rigid(self, value: str, barrier: Barrier) -> None:
        """The value carries no tracks from here on, because of `barrier`."""
        self.tracks[value] = ()
        self._rigid[value] = barrier

    # -- shared by rules -------------------------------------------------------------------------------------------------------

    def merge(self, values: Sequence[str]) -> list[Track]:
        """Broadcasting, element by element: operands of full size along an axis share their atoms there.

        Returns:
            Tracks of the broadcast result.
        """
        graph = self.graph
        rank = max(len(graph.shape(value)) for value in values)
        sizes = [(1,) * (rank - len(graph.shape(value))) + graph.shape(value) for value in values]
        padded = [[track.reshape((1,) * (rank - track.ndim) + track.shape) for track in self.of(value)] for value in values]
        for i, tracks in enumerate(padded):
            for j in range(len(values)):
                if i != j:
                    padded[i] = tracks = [self._against(track, values[j], sizes[j], padded[j]) for track in tracks]
        result: list[Track] = []
        for tracks in padded:
            for track in tracks:
                result = _absorb(result, track)
        return result

    def _against(self, track: Track, other: str, sizes: tuple[int, ...], theirs: Sequence[Track]) -> Track:
        """One operand's track against another operand: equal where both have it, rigid where only this one has."""
        shared = [axis for axis in spans(track) if sizes[axis] > 1]
        covered = {axis for their in theirs for axis in spans(their)}
        bare = [axis for axis in shared if axis not in covered]
        if bare:
            track = self.rigid(track, bare, self.why_rigid(other))
        for their in theirs:
            if any(axis in shared for axis in spans(their)) and set(spans(their)) & set(spans(track)):
                self.equate(track, their)
        return track

    def align(self, node: Node, value: str, axis: int, weights: Sequence[str]) -> list[Track]:
        """One-dimensional weights that hold one element per index of `axis` (BatchNorm's scale, a convolution's bias, …).

        Returns:
            The value's tracks, made constant along other axes where they vary along `axis`.
        """
        rank = len(self.graph.shape(value))
        axis %= rank
        barrier = Barrier(node.name, node.qualified, "per-channel weights", f"'{node.name}' holds one weight per channel")
        result = []
        for track in self.of(value):
            if track.shape[axis] > 1:
                track = self.rigid(track, [a for a in range(rank) if a != axis], barrier)
            result.append(track)
        covering = [track for track in result if track.shape[axis] > 1]
        for weight in weights:
            for own in self.of(weight):
                for track in covering:
                    self.equate(own.reshape(-1), track.reshape(-1))
                if not covering:
                    self.freeze(own, self.why_rigid(value))
        return result


def spans(track: Track) -> list[int]:
    """The axes along which a track varies."""
    return [axis for axis, size in enumerate(track.shape) if size > 1]


def reshape_track(track: Track, before: Sequence[int], after: Sequence[int]) -> Track:
    """The index map of ``Reshape``: the same elements, rows of another length.

    Only axes that the reshape mixes are spelt out: ``(N, 64, 32, 32) → (N, 2, 32, 32, 32)`` moves 64 atoms, not 65,536.

    Args:
        track: index map of a value of shape `before`.
        before: shape of the input.
        after: shape of the output, with as many elements.
    """
    pieces: list[int] = []
    for old, new in _segments(before, after):
        sizes = [before[axis] for axis in old]
        part = [track.shape[axis] for axis in old]
        if all(size == 1 for size in part):
            pieces += [1] * len(new)
        else:
            shape = list(track.shape)
            for axis in old:
                shape[axis] = sizes[old.index(axis)]
            track = np.broadcast_to(track, shape)
            pieces += [after[axis] for axis in new]
    return compact(np.ascontiguousarray(track).reshape(pieces))


def compact(track: Track) -> Track:
    """Drops variation that is none: an axis along which all atoms are equal becomes 1."""
    for axis in spans(track):
        first = track.take([0], axis)
        if (track == first).all():
            track = first
    return track


def _segments(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Smallest runs of axes of both shapes that hold the same number of elements."""
    segments: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        old, new = [], []
        if i < len(before):
            old.append(i)
            i += 1
        if j < len(after):
            new.append(j)
            j += 1
        left, right = math.prod(before[a] for a in old), math.prod(after[a] for a in new)
        while left != right and (i < len(before) or j < len(after)):
            if (left < right and i < len(before)) or j >= len(after):
                left *= before[i]
                old.append(i)
                i += 1
            else:
                right *= after[j]
                new.append(j)
                j += 1
        segments.append((old, new))
    return segments


def _absorb(tracks: list[Track], track: Track) -> list[Track]:
    """Adds a track to a result, merging it with one that varies along the same axes (they were equated)."""
    for place, existing in enumerate(tracks):
        if set(spans(existing)) & set(spans(track)):
            shape = np.broadcast_shapes(existing.shape, track.shape)
            wider = existing if existing.size >= track.size else track
            tracks[place] = np.ascontiguousarray(np.broadcast_to(wider, shape)) if wider.shape != shape else wider
            return tracks
    return [*tracks, track]
