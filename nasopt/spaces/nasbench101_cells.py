"""Cells of NAS-Bench-101 as matrices: pruned, hashed, and all of them enumerated.

A cell is an upper triangular adjacency matrix and an operation for each vertex between the first (input) and the last (output).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import permutations, product
from typing import Any, overload

import numpy as np

__all__ = ["EDGES", "VERTICES", "Cells", "all_cells", "cell_hash", "first_of_class", "prune"]

Matrix = np.ndarray[Any, np.dtype[np.int8]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Labels = np.ndarray[Any, np.dtype[np.int8]]

VERTICES, EDGES = 7, 9
"""The most that a cell may have."""


def prune(matrix: Matrix, operations: Sequence[int]) -> tuple[Matrix, tuple[int, ...]] | None:
    """Without the vertices that are not on a way from input to output; None where there is no way."""
    count = len(matrix)
    ahead, back = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    ahead[0] = back[-1] = True
    for vertex in range(1, count):
        ahead[vertex] = bool(matrix[ahead, vertex].any())
    for vertex in range(count - 2, -1, -1):
        back[vertex] = bool(matrix[vertex, back].any())
    stays = np.flatnonzero(ahead & back)
    if not ahead[-1]:
        return None
    return matrix[np.ix_(stays, stays)], tuple(operations[vertex - 1] for vertex in stays[1:-1])


def cell_hash(matrix: Matrix, operations: Sequence[int]) -> str:
    """The official hash of a pruned cell: equal for isomorphic ones (nasbench, lib/graph_util.py, `hash_module`).

    Args:
        matrix: of a pruned cell.
        operations: of its inner vertices, as numbers of the official order.
    """
    return _hashed(*_around(matrix), (-1, *operations, -2))


def _around(matrix: Matrix) -> tuple[list[list[int]], list[list[int]]]:
    """Who reads each vertex, and whom it reads."""
    return [np.flatnonzero(row).tolist() for row in matrix], [np.flatnonzero(column).tolist() for column in matrix.T]


def _hashed(readers: Sequence[Sequence[int]], writers: Sequence[Sequence[int]], labels: Sequence[int]) -> str:
    hashes = [_md5(str((len(out), len(into), label))) for out, into, label in zip(readers, writers, labels, strict=True)]
    for _ in labels:
        hashes = [
            _md5("".join(sorted([hashes[v] for v in into])) + "|" + "".join(sorted([hashes[v] for v in out])) + "|" + own)
            for into, out, own in zip(writers, readers, hashes, strict=True)
        ]
    return _md5(str(sorted(hashes)))


def first_of_class(matrix: Matrix, operations: Sequence[int]) -> tuple[Matrix, tuple[int, ...]]:
    """The isomorphic cell that the published enumeration meets first, and that was therefore trained.

    It goes through matrices as numbers (`_places`) and through their operations in lexical order (nasbench, scripts/generate_graphs.py).
    Which of several isomorphic cells it is matters: a vertex that comes earlier may get a channel more.

    Args:
        matrix: of a pruned cell.
        operations: of its inner vertices.
    """
    count = len(matrix)
    orders = _orders(count)
    begins, ends = np.nonzero(matrix)
    begins, ends = orders[:, begins], orders[:, ends]
    numbers = np.where((begins < ends).all(axis=1), (1 << (begins + ends * (ends - 1) // 2)).sum(axis=1), np.iinfo(np.int64).max)
    labels = min(
        tuple(operations[vertex - 1] for vertex in np.argsort(orders[row])[1:-1].tolist())
        for row in np.flatnonzero(numbers == numbers.min())
    )
    return _matrix(count, int(numbers.min())), labels


@lru_cache
def _orders(count: int) -> Ints:
    """Every renumbering of the inner vertices: (renumberings, vertices)."""
    return np.array([(0, *order, count - 1) for order in permutations(range(1, count - 1))])


def _places(count: int) -> list[tuple[int, int]]:
    """The edge that each bit of a matrix' number stands for: column by column."""
    return [(begin, end) for end in range(count) for begin in range(end)]


def _matrix(count: int, number: int) -> Matrix:
    matrix = np.zeros((count, count), np.int8)
    for bit, place in enumerate(_places(count)):
        matrix[place] = number >> bit & 1
    return matrix


class Cells(Sequence[tuple[Matrix, tuple[int, ...]]]):
    """Every pruned cell, one of each isomorphism class: that of `first_of_class`. A few megabytes for all of NAS-Bench-101.

    Of the matrices that a renumbering of the inner vertices turns into one another the least number is taken, and of the operations that
    its automorphisms turn into one another the first.

    Args:
        operations: how many there are to choose from.
        vertices: the most that a cell may have.
        edges: the most that a cell may have.
    """

    def __init__(self, operations: int, vertices: int = VERTICES, edges: int = EDGES) -> None:
        self._matrices: list[tuple[int, int]] = []
        self._choices: list[Labels] = []
        for count in range(2, vertices + 1):
            every = np.array(list(product(range(operations), repeat=count - 2)), np.int8)
            masks = _connected(count, edges)
            orders = _orders(count)
            turned = np.stack([_renumbered(masks, count, order) for order in orders.tolist()])
            for row in np.flatnonzero(masks == turned.min(axis=0)):
                same = orders[turned[:, row] == masks[row]]
                self._matrices.append((count, int(masks[row])))
                self._choices.append(every if len(same) == 1 else every[_first_of(every, operations, same)])
        self._ends = np.cumsum([len(choices) for choices in self._choices])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @overload
    def __getitem__(self, place: int) -> tuple[Matrix, tuple[int, ...]]: ...

    @overload
    def __getitem__(self, place: slice) -> list[tuple[Matrix, tuple[int, ...]]]: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        block = int(np.searchsorted(self._ends, place, side="right"))
        choices = self._choices[block]
        return _matrix(*self._matrices[block]), tuple(choices[place - int(self._ends[block])].tolist())

    def __iter__(self) -> Iterator[tuple[Matrix, tuple[int, ...]]]:
        for (count, number), choices in zip(self._matrices, self._choices, strict=True):
            matrix = _matrix(count, number)
            yield from ((matrix, tuple(chosen)) for chosen in choices.tolist())

    def with_hash(self, wanted: str) -> tuple[Matrix, tuple[int, ...]] | None:
        """The cell of this official hash; None where there is none. A hash says nothing of its cell: all are hashed, half a minute."""
        for (count, number), choices in zip(self._matrices, self._choices, strict=True):
            matrix = _matrix(count, number)
            readers, writers = _around(matrix)
            for chosen in choices.tolist():
                if _hashed(readers, writers, (-1, *chosen, -2)) == wanted:
                    return matrix, tuple(chosen)
        return None


@lru_cache(maxsize=1)
def all_cells(operations: int) -> Cells:
    """Those of the benchmark, enumerated once (a second)."""
    return Cells(operations)


def _first_of(every: Labels, operations: int, same: Ints) -> Bools:
    """Which choices of operations are the first, in lexical order, of those that automorphisms turn into one another."""
    weights = operations ** np.arange(every.shape[1])[::-1]
    turned = np.stack([every[:, order[1:-1] - 1] @ weights for order in same])
    return np.asarray(every @ weights == turned.min(axis=0), np.bool_)


def _connected(count: int, edges: int) -> Ints:
    """Numbers of the matrices in which every vertex is on a way from input to output, with so many edges at most."""
    places = _places(count)
    masks = np.arange(1 << len(places), dtype=np.int64)
    used = np.zeros(len(masks), np.int8)
    for bit in range(len(places)):
        used += (masks >> bit & 1).astype(np.int8)
    masks = masks[used <= edges]
    for vertex in range(count):
        # In a graph whose edges all lead forward, every vertex with a way in and a way out lies between the first and the last.
        for end, outer in ((1, 0), (0, count - 1)):
            if vertex != outer:
                touching = sum(1 << bit for bit, place in enumerate(places) if place[end] == vertex)
                masks = masks[(masks & touching) != 0]
    return masks


def _renumbered(masks: Ints, count: int, order: Sequence[int]) -> Ints:
    """The numbers after vertex ``v`` has become ``order[v]``; the largest number there is where an edge would lead back."""
    places = _places(count)
    result, back = np.zeros_like(masks), 0
    for bit, (begin, end) in enumerate(places):
        if order[begin] < order[end]:
            result |= (masks >> bit & 1) << places.index((order[begin], order[end]))
        else:
            back |= 1 << bit
    return np.where(masks & back, np.iinfo(np.int64).max, result)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
