"""The DARTS space, of which NAS-Bench-301 is the benchmark: a normal and a reduction cell of four nodes with two inputs each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import onnx

from nasopt.errors import UsageError
from nasopt.spaces.darts_network import darts_network
from nasopt.spaces.space import Genes, OperationGraph, Space

__all__ = ["Darts"]

NODES = 4
PAIRS = tuple(tuple(combinations(range(2 + node), 2)) for node in range(NODES))
"""Which two of the earlier values each node may read; 0 and 1 are the outputs of the two cells before."""

Edge = tuple[str, int]
Cell = tuple[tuple[Edge, Edge], ...]


@dataclass(frozen=True)
class Darts(Space):
    """The space and its network.

    Genes are, for each of the four nodes of the normal and then of the reduction cell: which pair of earlier values it reads, and the
    operations on the two, in the order of the values.

    Attributes:
        channels: of the first cell.
        layers: cells; those at one and two thirds reduce.
        resolution: pixels of the input.
        classes: of the head.
        none: whether "none" is an operation, as in the genotypes of OnceNAS-Bench; NAS-Bench-301 does without.
        search: the norms of the search, which NASLib's network has: those of operations without scale and shift, and one after pools.

    The settings are those of NAS-Bench-301. The tables of its proxies were computed with ``search=true``. OnceNAS-Bench trained the
    evaluation network of DARTS, with ``channels=36, layers=20, none=true``.
    """

    name: ClassVar[str] = "nasbench301"
    title: ClassVar[str] = "DARTS (NAS-Bench-301)"
    source: ClassVar[str] = "Liu et al., ICLR 2019 (arXiv:1806.09055); Zela et al., ICLR 2022 (arXiv:2008.09777); quark0/darts, model.py"
    vocabulary: ClassVar[tuple[str, ...]] = (
        "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "none",
    )  # fmt: skip

    channels: int = 32
    layers: int = 8
    resolution: int = 32
    classes: int = 10
    none: bool = False
    search: bool = False

    def __post_init__(self) -> None:
        if self.resolution % 4:
            raise UsageError(f"{self.name}: resolution={self.resolution} must be a multiple of 4: images are halved twice")

    @property
    def options(self) -> tuple[int, ...]:
        operations = len(self.vocabulary) - (not self.none)
        return tuple(option for pairs in PAIRS for option in (len(pairs), operations, operations)) * 2

    def count(self) -> int:
        total = 1
        for option in self.options:
            total *= option
        return total

    def parse(self, text: str) -> Genes:
        """Reads ``Genotype(normal=[('sep_conv_3x3', 0), …], …, reduce=[…], …)``, or NASLib's two tuples of eight (value, operation)."""
        cells = _genotype(text) or self._compact(text)
        expected = "Genotype(normal=[(OPERATION, VALUE), … 8 of them], …, reduce=[…], …), or two tuples of eight (value, operation number)"
        if cells is None:
            raise self.refused(text, expected)
        genes: list[int] = []
        known = self.vocabulary if self.none else self.vocabulary[:-1]
        for edges in cells:
            for node in range(NODES):
                pair = sorted(edges[2 * node : 2 * node + 2], key=lambda edge: edge[1])
                values = tuple(value for _, value in pair)
                if values not in PAIRS[node] or any(name not in known for name, _ in pair):
                    hint = " (set none=true for genotypes with 'none')" if any(name == "none" for name, _ in pair) else ""
                    raise self.refused(text, f"two different earlier values a node, and operations {', '.join(known)}{hint}")
                genes += [PAIRS[node].index(values), *(known.index(name) for name, _ in pair)]
        return tuple(genes)

    def text(self, genes: Genes) -> str:
        """The genotype as DARTS prints it."""
        parts = [[edge for pair in cell for edge in pair] for cell in self.split(genes)]
        normal, reduce = (f"[{', '.join(f'({name!r}, {value})' for name, value in part)}]" for part in parts)
        return f"Genotype(normal={normal}, normal_concat=range(2, 6), reduce={reduce}, reduce_concat=range(2, 6))"

    def table_key(self, genes: Genes) -> str:
        """NASLib's key: both cells as (value, operation number), by value."""
        cells = [[edge for pair in cell for edge in pair] for cell in self.split(genes)]
        return str(tuple(tuple((value, self.vocabulary.index(name)) for name, value in cell) for cell in cells))

    def split(self, genes: Genes) -> tuple[Cell, Cell]:
        """The normal and the reduction cell, as pairs of edges (operation, value) once a node."""
        half = len(genes) // 2
        normal, reduce = (tuple(self._edges(genes[begin : begin + half])) for begin in (0, half))
        return normal, reduce

    def _edges(self, genes: Sequence[int]) -> Iterator[tuple[Edge, Edge]]:
        for node in range(NODES):
            pair, one, other = genes[3 * node : 3 * node + 3]
            first, second = PAIRS[node][pair]
            yield (self.vocabulary[one], first), (self.vocabulary[other], second)

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        normal, reduce = map(_graph, self.split(genes))
        return {"normal": normal, "reduce": reduce}

    def build(self, genes: Genes) -> onnx.ModelProto:
        normal, reduce = self.split(self.check(genes))
        return darts_network(
            self.name, normal, reduce, channels=self.channels, layers=self.layers, resolution=self.resolution, classes=self.classes,
            search=self.search,
        )  # fmt: skip

    def _compact(self, text: str) -> list[list[Edge]] | None:
        """NASLib's form; anything but tuples of small numbers is refused before it is read."""
        if not re.fullmatch(r"\s*\(\(\(\d, \d\)(, \(\d, \d\)){7}\), \(\(\d, \d\)(, \(\d, \d\)){7}\)\)\s*", text):
            return None
        cells = ast.literal_eval(text.strip())
        if any(number >= len(self.vocabulary) for cell in cells for _, number in cell):
            return None
        return [[(self.vocabulary[number], value) for value, number in cell] for cell in cells]


def _genotype(text: str) -> list[list[Edge]] | None:
    form = r"\s*Genotype\(normal=\[([^\]]*)\],\s*normal_concat=[^=]*,\s*reduce=\[([^\]]*)\],\s*reduce_concat=[^=]*\)\s*"
    found = re.fullmatch(form, text)
    cells = [[(name, int(value)) for name, value in re.findall(r"\('(\w+)', (\d)\)", part)] for part in (found.groups() if found else ())]
    return cells if [len(cell) for cell in cells] == [2 * NODES] * 2 else None


def _graph(cell: Cell) -> OperationGraph:
    """An operation a box; what a node adds up stands between its operations and their readers."""
    operations = ["input0", "input1"]
    arrows = []
    values = [0, 1]
    for number, pair in enumerate(cell):
        places = []
        for name, value in pair:
            operations.append(name)
            places.append(len(operations) - 1)
            arrows.append((values[value], places[-1]))
        operations.append(f"sum{number}")
        values.append(len(operations) - 1)
        arrows += [(place, values[-1]) for place in places]
    operations.append("output")
    arrows += [(value, len(operations) - 1) for value in values[2:]]
    adjacency = np.zeros((len(operations),) * 2, np.bool_)
    adjacency[tuple(np.array(arrows).T)] = True
    return OperationGraph(tuple(operations), adjacency)
