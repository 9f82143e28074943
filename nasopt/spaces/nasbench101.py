"""NAS-Bench-101: a cell of up to seven vertices and nine edges, repeated nine times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import onnx

from nasopt.errors import UsageError
from nasopt.spaces.nasbench101_cells import EDGES, VERTICES, Matrix, all_cells, cell_hash, first_of_class, prune
from nasopt.spaces.network import Network
from nasopt.spaces.space import Genes, OperationGraph, Space

__all__ = ["NasBench101"]

INNER = VERTICES - 2
UPPER = tuple((begin, end) for begin in range(VERTICES) for end in range(begin + 1, VERTICES))
STACKS, CELLS = 3, 3


@dataclass(frozen=True)
class NasBench101(Space):
    """The space and its network.

    Genes are the 21 edges above the diagonal, row by row, and the operations of the five inner vertices. Cells of fewer vertices come first
    and leave those before the output free.

    Attributes:
        resolution: pixels of the input.
        classes: of the head.
        channels: of the stem, doubled at each of the two later stacks.
    """

    name: ClassVar[str] = "nasbench101"
    title: ClassVar[str] = "NAS-Bench-101"
    source: ClassVar[str] = "Ying et al., ICML 2019 (arXiv:1902.09635), Section 2; code: google-research/nasbench, lib/model_builder.py"
    vocabulary: ClassVar[tuple[str, ...]] = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")

    resolution: int = 32
    classes: int = 10
    channels: int = 128

    @property
    def options(self) -> tuple[int, ...]:
        return (2,) * len(UPPER) + (len(self.vocabulary),) * INNER

    def count(self) -> int:
        """Cells up to isomorphism, as published; `architectures` enumerates them."""
        return 423_624

    def architectures(self) -> Iterator[Genes]:
        """One cell of each isomorphism class (two seconds for all)."""
        for matrix, operations in all_cells(len(self.vocabulary)):
            yield _genes(matrix, operations)

    def sample(self, rng: np.random.Generator) -> Genes:
        """A cell of the enumeration, each as likely; random genes would be small cells, as few leave all seven vertices in use."""
        cells = all_cells(len(self.vocabulary))
        return _genes(*cells[int(rng.integers(len(cells)))])

    def valid(self, genes: Genes) -> bool:
        pruned = prune(*_cell(genes))
        return pruned is not None and int(pruned[0].sum()) <= EDGES

    def canonical(self, genes: Genes) -> Genes:
        """The cell of its class that was trained."""
        pruned = prune(*_cell(genes))
        return genes if pruned is None else _genes(*first_of_class(*pruned))

    def key(self, genes: Genes) -> str:
        """The official hash, 32 digits."""
        return cell_hash(*_pruned(genes))

    def table_key(self, genes: Genes) -> str:
        return self.key(genes)

    def parse(self, text: str) -> Genes:
        """Reads ``ADJACENCY|OPERATIONS``: n x n digits row by row, and n names joined by commas, ``input`` first and ``output`` last.

        Also the official hash, which the tables have as their key; it is found by hashing all cells (half a minute at most).
        """
        if re.fullmatch(r"[0-9a-f]{32}", text.strip()):
            found = _with_hash(text.strip(), len(self.vocabulary))
            if found is None:
                raise self.refused(text, f"the hash of one of the {self.count():,} cells")
            return found
        digits, _, names = text.strip().partition("|")
        words = [word.strip() for word in names.split(",")]
        count = len(words)
        sizes = 2 <= count <= VERTICES and len(digits) == count**2 and not set(digits) - {"0", "1"}
        if not sizes or (words[0], words[-1]) != ("input", "output") or set(words[1:-1]) - set(self.vocabulary):
            raise self.refused(
                text, f"n x n digits|input,…,output with n of 2 to 7 and operations {', '.join(self.vocabulary)}, or a hash of 32 digits"
            )
        matrix = np.array(list(map(int, digits)), np.int8).reshape(count, count)
        pruned = None if np.tril(matrix).any() else prune(matrix, [self.vocabulary.index(word) for word in words[1:-1]])
        if pruned is None or pruned[0].sum() > EDGES:
            raise self.refused(text, f"edges above the diagonal, a way from input to output, and no more than {EDGES} edges on such ways")
        return _genes(*first_of_class(*pruned))

    def text(self, genes: Genes) -> str:
        matrix, operations = _pruned(genes)
        return f"{''.join(map(str, matrix.reshape(-1)))}|{','.join(self._names(operations))}"

    def neighbours(self, genes: Genes) -> Iterator[Genes]:
        """Cells that differ in one edge or operation, or by a vertex on a way of its own."""
        own = self.canonical(self.check(genes))
        seen = {own}
        for changed in _moves(own):
            if self.valid(changed) and (found := self.canonical(changed)) not in seen:
                seen.add(found)
                yield found

    def mutate(self, genes: Genes, rng: np.random.Generator) -> Genes:
        own = self.canonical(self.check(genes))
        moves = list(_moves(own))
        changed = (moves[place] for place in rng.permutation(len(moves)))
        return next(found for one in changed if self.valid(one) and (found := self.canonical(one)) != own)

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        matrix, operations = _pruned(genes)
        return {"cell": OperationGraph(self._names(operations), matrix.astype(np.bool_))}

    def vec(self, genes: Genes) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The adjacency above the diagonal and the operations one-hot; vertices that are not there have none."""
        matrix, operations = _pruned(genes)
        edges = np.array(_genes(matrix, operations)[: len(UPPER)], np.float32)
        kinds = np.zeros((INNER, len(self.vocabulary)), np.float32)
        kinds[np.arange(len(operations)), list(operations)] = 1
        return np.concatenate([edges, kinds.reshape(-1)])

    def decode(self, vector: np.ndarray[Any, np.dtype[np.float32]]) -> Genes:
        kinds = vector[len(UPPER) :].reshape(INNER, -1)
        genes = (*(int(edge) for edge in vector[: len(UPPER)]), *(int(kind.argmax()) for kind in kinds))
        return self.canonical(self.check(genes))

    def build(self, genes: Genes) -> onnx.ModelProto:
        matrix, operations = _pruned(self.canonical(self.check(genes)))
        net = Network(self.name, (3, self.resolution, self.resolution))
        channels = self.channels
        with net.scope("stem"):
            x = _conv(net, net.input, channels, 3)
        for stack in range(STACKS):
            if stack:
                x = net.max_pool(x, 2, 2, padding=0)
                channels *= 2
            for cell in range(CELLS):
                with net.scope(f"stack{stack}.cell{cell}"):
                    x = self._module(net, x, channels, matrix, operations)
        with net.scope("head"):
            return net.finish(net.linear(net.flatten(net.global_pool(x)), self.classes))

    def _module(self, net: Network, x: str, channels: int, matrix: Matrix, operations: Sequence[int]) -> str:
        last = len(matrix) - 1
        widths = _vertex_channels(channels, matrix)
        values = {0: x}
        for vertex in range(1, last):
            with net.scope(f"vertex{vertex}"):
                into = [_truncated(net, values[source], widths[vertex]) for source in range(1, vertex) if matrix[source, vertex]]
                into += [_conv(net, x, widths[vertex], 1, "projection")] if matrix[0, vertex] else []
                values[vertex] = self._operation(net, net.add(*into), operations[vertex - 1], widths[vertex])
        joined = [values[vertex] for vertex in range(1, last) if matrix[vertex, last]]
        with net.scope("output"):
            terms = [net.concat(*joined) if len(joined) > 1 else joined[0]] if joined else []
            terms += [_conv(net, x, channels, 1, "projection")] if matrix[0, last] else []
            return net.add(*terms)

    def _operation(self, net: Network, x: str, operation: int, channels: int) -> str:
        name = self.vocabulary[operation]
        return net.max_pool(x, 3) if name == "maxpool3x3" else _conv(net, x, channels, int(name[4]))

    def _names(self, operations: Sequence[int]) -> tuple[str, ...]:
        return ("input", *(self.vocabulary[operation] for operation in operations), "output")


def _cell(genes: Genes) -> tuple[Matrix, tuple[int, ...]]:
    matrix = np.zeros((VERTICES, VERTICES), np.int8)
    for place, edge in zip(UPPER, genes, strict=False):
        matrix[place] = edge
    return matrix, genes[len(UPPER) :]


def _pruned(genes: Genes) -> tuple[Matrix, tuple[int, ...]]:
    known = len(genes) == len(UPPER) + INNER and all(0 <= gene < len(NasBench101.vocabulary) for gene in genes[len(UPPER) :])
    pruned = prune(*_cell(genes)) if known else None
    if pruned is None:
        raise UsageError(f"{NasBench101.name}: {genes} is no architecture: expected 21 edges, a way from input to output, five operations")
    return pruned


@lru_cache
def _with_hash(digits: str, operations: int) -> Genes | None:
    found = all_cells(operations).with_hash(digits)
    return None if found is None else _genes(*found)


def _genes(matrix: Matrix, operations: Sequence[int]) -> Genes:
    """Of a pruned cell: inner vertices first, the output last."""
    count = len(matrix)
    place = [*range(count - 1), VERTICES - 1]
    edges = dict.fromkeys(UPPER, 0)
    for begin, end in zip(*np.nonzero(matrix), strict=True):
        edges[place[begin], place[end]] = 1
    return (*edges.values(), *operations, *[0] * (INNER - len(operations)))


def _moves(genes: Genes) -> Iterator[Genes]:
    """Every edge turned, every operation exchanged, and where there is room a vertex put between two others."""
    matrix, operations = _pruned(genes)
    count = len(operations)
    for place in range(len(UPPER)):
        yield (*genes[:place], 1 - genes[place], *genes[place + 1 :])
    for vertex in range(count):
        for other in range(1, 3):
            place = len(UPPER) + vertex
            yield (*genes[:place], (genes[place] + other) % 3, *genes[place + 1 :])
    if count < INNER:
        for begin in range(count + 1):
            for end in range(begin + 1, count + 2):
                wider = np.insert(np.insert(matrix, end, 0, axis=0), end, 0, axis=1)
                wider[begin, end] = wider[end, end + 1] = 1
                for operation in range(3):
                    yield _genes(wider, (*operations[: end - 1], operation, *operations[end - 1 :]))


def _vertex_channels(channels: int, matrix: Matrix) -> list[int]:
    """Channels of each vertex: those that feed the output share its channels, others have as many as their widest reader."""
    last = len(matrix) - 1
    feeding = [vertex for vertex in range(1, last) if matrix[vertex, last]]
    widths = [0] * last
    for place, vertex in enumerate(feeding):
        widths[vertex] = channels // len(feeding) + (place < channels % len(feeding))
    for vertex in range(last - 1, 0, -1):
        if not matrix[vertex, last]:
            widths[vertex] = max(widths[reader] for reader in range(vertex + 1, last) if matrix[vertex, reader])
    return widths


def _truncated(net: Network, x: str, channels: int) -> str:
    return x if net.channels(x) == channels else net.slice_channels(x, 0, channels)


def _conv(net: Network, x: str, channels: int, kernel: int, name: str = "op") -> str:
    with net.scope(name):
        return net.act(net.norm(net.conv(x, channels, kernel)))
