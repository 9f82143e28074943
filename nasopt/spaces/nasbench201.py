"""NAS-Bench-201, topology: a cell of four nodes with an operation on each of its six edges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import onnx

from nasopt.errors import UsageError
from nasopt.spaces.network import Network
from nasopt.spaces.space import Genes, OperationGraph, Space

__all__ = ["NasBench201"]

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""From node to node, in the order of the official string; genes are the operations on these edges."""

NASLIB_EDGES = (0, 1, 3, 2, 4, 5)
"""Where NASLib's order of edges (1-2, 1-3, 1-4, 2-3, 2-4, 3-4) stands in ours."""

NASLIB_OPERATIONS = (1, 0, 3, 2, 4)
"""Our numbers of NASLib's operations: skip_connect, none, nor_conv_3x3, nor_conv_1x1, avg_pool_3x3."""

CHANNELS = (16, 32, 64)
CELLS = 5
"""In each of the three stages."""


@dataclass(frozen=True)
class NasBench201(Space):
    """The space and its network.

    Attributes:
        resolution: pixels of the input: 32 on CIFAR, 16 on ImageNet16-120.
        classes: of the head: 10, 100 or 120.
    """

    name: ClassVar[str] = "nasbench201"
    title: ClassVar[str] = "NAS-Bench-201 (topology)"
    source: ClassVar[str] = "Dong and Yang, ICLR 2020, Section 2 and Fig. 1; code: D-X-Y/AutoDL-Projects, TinyNetwork"
    vocabulary: ClassVar[tuple[str, ...]] = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

    resolution: int = 32
    classes: int = 10

    def __post_init__(self) -> None:
        if self.resolution % 4:
            raise UsageError(f"{self.name}: resolution={self.resolution} must be a multiple of 4: images are halved twice")

    @property
    def options(self) -> tuple[int, ...]:
        return (len(self.vocabulary),) * len(EDGES)

    def count(self) -> int:
        return int(len(self.vocabulary) ** len(EDGES))

    def parse(self, text: str) -> Genes:
        """Reads ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, or NASLib's ``(4, 0, 1, 1, 1, 0)``."""
        naslib = re.fullmatch(r"\s*\(?\s*([0-4](?:\s*,\s*[0-4]){5})\s*\)?\s*", text)
        if naslib:
            numbers = [int(number) for number in naslib[1].split(",")]
            return tuple(NASLIB_OPERATIONS[numbers[NASLIB_EDGES.index(edge)]] for edge in range(len(EDGES)))
        found = re.findall(r"([a-z0-9_]+)~(\d)", text)
        try:
            genes = tuple(self.vocabulary.index(name) for name, _ in found)
        except ValueError:
            genes = ()
        if len(genes) != len(EDGES) or self.text(genes) != text.strip():
            operations = ", ".join(self.vocabulary)
            raise self.refused(text, f"|op~0|+|op~0|op~1|+|op~0|op~1|op~2| with operations {operations}, or NASLib's six numbers")
        return genes

    def text(self, genes: Genes) -> str:
        edges = [f"{self.vocabulary[gene]}~{source}" for gene, (source, _) in zip(genes, EDGES, strict=True)]
        return "+".join(f"|{'|'.join(edges[begin:end])}|" for begin, end in ((0, 1), (1, 3), (3, 6)))

    def naslib(self, genes: Genes) -> str:
        """NASLib's key, as in the column ``naslib_key``."""
        return str(tuple(NASLIB_OPERATIONS.index(genes[NASLIB_EDGES[edge]]) for edge in range(len(EDGES))))

    def key(self, genes: Genes) -> str:
        """What the output computes as an expression in the input, the terms of sums in order: 6,466 are different.

        The published ``to_unique_str``: a skip is what it skips, ``none`` is nothing, and an operation on nothing is nothing.
        """
        return _expressions(genes)[-1]

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        """One cell: an operation a node, as sums stand on the edges (the form of BRP-NAS and HELP)."""
        inner = range(len(EDGES))
        adjacency = np.zeros((len(EDGES) + 2,) * 2, np.bool_)
        for reader in inner:
            source, target = EDGES[reader]
            adjacency[0, 1 + reader] = source == 0
            adjacency[1 + reader, -1] = target == len(CHANNELS)
            for writer in inner:
                adjacency[1 + writer, 1 + reader] = EDGES[writer][1] == source
        return {"cell": OperationGraph(("input", *(self.vocabulary[gene] for gene in genes), "output"), adjacency)}

    def build(self, genes: Genes) -> onnx.ModelProto:
        genes = self.check(genes)
        net = Network(self.name, (3, self.resolution, self.resolution))
        with net.scope("stem"):
            x = net.norm(net.conv(net.input, CHANNELS[0], 3))
        for stage, channels in enumerate(CHANNELS):
            if stage:
                with net.scope(f"stage{stage}.reduction"):
                    x = _reduction(net, x, channels)
            for cell in range(CELLS):
                with net.scope(f"stage{stage}.cell{cell}"):
                    x = self._cell(net, x, genes)
        with net.scope("head"):
            x = net.act(net.norm(x))
            return net.finish(net.linear(net.flatten(net.global_pool(x)), self.classes))

    def _cell(self, net: Network, x: str, genes: Genes) -> str:
        nodes = [x]
        for target in range(1, 4):
            into = []
            for gene, (source, end) in zip(genes, EDGES, strict=True):
                if end == target:
                    with net.scope(f"edge{source}{target}"):
                        into.append(self._edge(net, nodes[source], gene))
            nodes.append(net.add(*into, name=f"node{target}"))
        return nodes[-1]

    def _edge(self, net: Network, x: str, gene: int) -> str:
        match self.vocabulary[gene]:
            case "none":
                return net.zeros(x)
            case "skip_connect":
                return x
            case "avg_pool_3x3":
                return net.avg_pool(x, 3)
            case convolution:
                return net.norm(net.conv(net.act(x), net.channels(x), int(convolution[-1])))


def _reduction(net: Network, x: str, channels: int) -> str:
    """The residual block between two stages, which halves the image."""
    inner = net.norm(net.conv(net.act(x), channels, 3, 2))
    inner = net.norm(net.conv(net.act(inner), channels, 3))
    return net.add(net.conv(net.avg_pool(x, 2, 2, padding=0), channels, name="shortcut"), inner)


@lru_cache(maxsize=1 << 15)
def _expressions(genes: Genes) -> tuple[str, ...]:
    """What each node computes, in the input "0"; "#" is nothing. Sums that the published code does not simplify stay as they are."""
    nodes = ["0"]
    for target in range(1, 4):
        terms = []
        for gene, (source, end) in zip(genes, EDGES, strict=True):
            if end == target:
                name = NasBench201.vocabulary[gene]
                if name == "none" or nodes[source] == "#":
                    terms.append("#")
                else:
                    terms.append(nodes[source] if name == "skip_connect" else f"({nodes[source]})@{name}")
        nodes.append("+".join(sorted(terms)))
    return tuple(nodes)
