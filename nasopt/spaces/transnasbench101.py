"""TransNAS-Bench-101: a space of cells (micro) and a space of layouts (macro), each for seven tasks."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx

from nasopt.errors import UsageError
from nasopt.spaces.network import Network
from nasopt.spaces.space import Genes, OperationGraph, Space
from nasopt.spaces.transnasbench101_network import TASKS, Task, network

__all__ = ["TransNasBench101Macro", "TransNasBench101Micro"]

CHANNELS = 64
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
MICRO_LAYOUT = "41414"
SHORTEST, LONGEST = 4, 6
"""Modules of a layout."""
SMALLER, WIDER = range(1, 5), range(1, 4)
"""How often a layout may halve the image and double the channels."""


@dataclass(frozen=True)
class _TransNasBench101(Space):
    """What both share.

    NASLib's tables were computed with ``classes=63`` for class_scene and ``classes=100`` for class_object, and else as published.

    Attributes:
        task: class_scene, class_object, room_layout, jigsaw, segmentsemantic, normal or autoencoder.
        classes: outputs of the head; the task's own number without it.
        resolution: pixels of the input, a multiple of 64; the task's own without it. A jigsaw puzzle's nine tiles lie one behind the other
            in the channels.
    """

    source: ClassVar[str] = "Duan et al., CVPR 2021 (arXiv:2105.11871); code: yawen-d/TransNASBench, lib/models"

    task: str = "class_scene"
    classes: int | None = None
    resolution: int | None = None

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UsageError(f"{self.name}: there is no task '{self.task}' (tasks: {', '.join(TASKS)})")
        if self.resolution is not None and self.resolution % 64:
            raise UsageError(f"{self.name}: resolution={self.resolution} must be a multiple of 64")

    @abstractmethod
    def _layout(self, genes: Genes) -> str:
        """A digit a module."""

    @abstractmethod
    def _block(self, net: Network, x: str, channels: int, stride: int, genes: Genes) -> str:
        """One of a module's two blocks."""

    def build(self, genes: Genes) -> onnx.ModelProto:
        genes = self.check(genes)
        task: Task = TASKS[self.task]
        return network(
            self.name, task, self._layout(genes), lambda net, x, channels, stride: self._block(net, x, channels, stride, genes),
            channels=CHANNELS, outputs=self.classes or task.outputs,
            resolution=self.resolution or task.resolution,
        )  # fmt: skip


@dataclass(frozen=True)
class TransNasBench101Micro(_TransNasBench101):
    """Cells of four nodes with an operation on each of six edges; genes are these operations, by target and then by source."""

    name: ClassVar[str] = "transnasbench101_micro"
    title: ClassVar[str] = "TransNAS-Bench-101, micro"
    vocabulary: ClassVar[tuple[str, ...]] = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")

    @property
    def options(self) -> tuple[int, ...]:
        return (len(self.vocabulary),) * len(EDGES)

    def count(self) -> int:
        return int(len(self.vocabulary) ** len(EDGES))

    def parse(self, text: str) -> Genes:
        """Reads ``64-41414-1_02_333``, or NASLib's ``(1, 0, 2, 3, 3, 3)``."""
        found = re.fullmatch(r"\s*64-41414-([0-3])_([0-3])([0-3])_([0-3])([0-3])([0-3])\s*", text)
        found = found or re.fullmatch(r"\s*\(\s*" + r"\s*,\s*".join(["([0-3])"] * len(EDGES)) + r"\s*\)\s*", text)
        if found is None:
            raise self.refused(text, "64-41414-A_BC_DEF or six numbers in brackets, each 0 (none), 1 (skip), 2 (1x1) or 3 (3x3)")
        return tuple(map(int, found.groups()))

    def text(self, genes: Genes) -> str:
        return "64-{}-{}_{}{}_{}{}{}".format(MICRO_LAYOUT, *genes)

    def table_key(self, genes: Genes) -> str:
        """NASLib's tuple."""
        return str(genes)

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        adjacency = np.zeros((len(EDGES) + 2,) * 2, np.bool_)
        for reader, (source, target) in enumerate(EDGES):
            adjacency[0, 1 + reader] = source == 0
            adjacency[1 + reader, -1] = target == 3
            for writer, (_, end) in enumerate(EDGES):
                adjacency[1 + writer, 1 + reader] = end == source
        return {"cell": OperationGraph(("input", *(self.vocabulary[gene] for gene in genes), "output"), adjacency)}

    def _layout(self, genes: Genes) -> str:  # noqa: ARG002 - all cells stand in one layout
        return MICRO_LAYOUT

    def _block(self, net: Network, x: str, channels: int, stride: int, genes: Genes) -> str:
        nodes = [x]
        for target in range(1, 4):
            terms = []
            for gene, (source, end) in zip(genes, EDGES, strict=True):
                if end == target:
                    with net.scope(f"edge{source}{target}"):
                        terms.append(_edge(net, nodes[source], gene, channels, 1 if source else stride))
            nodes.append(net.add(*terms, name=f"node{target}"))
        return nodes[-1]


@dataclass(frozen=True)
class TransNasBench101Macro(_TransNasBench101):
    """Layouts of four to six modules of two residual blocks; genes are the modules' kinds, those that may be absent 0."""

    name: ClassVar[str] = "transnasbench101_macro"
    title: ClassVar[str] = "TransNAS-Bench-101, macro"
    vocabulary: ClassVar[tuple[str, ...]] = ("plain", "wider", "smaller", "smaller_wider")

    @property
    def options(self) -> tuple[int, ...]:
        """Of the first four modules the kind, of the others 0 (none) or 1 more than the kind."""
        return (len(self.vocabulary),) * SHORTEST + (len(self.vocabulary) + 1,) * (LONGEST - SHORTEST)

    def count(self) -> int:
        return sum(1 for _ in self.architectures())

    def valid(self, genes: Genes) -> bool:
        """No module behind an absent one; the image is halved one to four times, the channels are doubled one to three times."""
        kinds = [*(gene + 1 for gene in genes[:SHORTEST]), *genes[SHORTEST:]]
        present = [kind for kind in kinds if kind]
        whole = kinds == present + [0] * (len(kinds) - len(present))
        return whole and sum(kind > 2 for kind in present) in SMALLER and sum(kind % 2 == 0 for kind in present) in WIDER

    def parse(self, text: str) -> Genes:
        """Reads ``64-1234-basic``, or NASLib's ``(4, 3, 3, 1, 3, 2)``."""
        found = re.fullmatch(r"\s*64-([1-4]{4,6})-basic\s*", text)
        found = found or re.fullmatch(r"\s*\(((?:\s*[1-4]\s*,){3,5}\s*[1-4](?:\s*,\s*0)*)\s*\)\s*", text)
        kinds = [int(digit) for digit in re.findall(r"[1-4]", found[1])] if found else []
        genes = (*(kind - 1 for kind in kinds[:SHORTEST]), *kinds[SHORTEST:], *[0] * (LONGEST - len(kinds)))
        if not kinds or len(genes) != LONGEST or not self.valid(genes):
            raise self.refused(text, "64-DIGITS-basic or 4 to 6 numbers in brackets, 1 to 4, 1 to 4 of them 3 or 4, 1 to 3 of them 2 or 4")
        return genes

    def text(self, genes: Genes) -> str:
        return f"64-{self._layout(genes)}-basic"

    def table_key(self, genes: Genes) -> str:
        """NASLib's tuple."""
        return str(tuple(map(int, self._layout(genes))))

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        return {"network": OperationGraph.chain([self.vocabulary[int(digit) - 1] for digit in self._layout(genes)])}

    def mutate(self, genes: Genes, rng: np.random.Generator) -> Genes:
        around = list(self.neighbours(genes))
        return around[int(rng.integers(len(around)))]

    def _layout(self, genes: Genes) -> str:
        return "".join(str(kind) for kind in (*(gene + 1 for gene in genes[:SHORTEST]), *genes[SHORTEST:]) if kind)

    def _block(self, net: Network, x: str, channels: int, stride: int, genes: Genes) -> str:  # noqa: ARG002 - all blocks are alike
        y = _conv(net, _conv(net, x, channels, 3, stride), channels, 3, 1)
        if stride > 1 or net.channels(x) != channels:
            x = net.norm(net.conv(x, channels, 1, stride, name="shortcut"))
        return net.add(x, y)


def _edge(net: Network, x: str, gene: int, channels: int, stride: int) -> str:
    if gene == 0:
        zero = net.zeros(x, stride)
        return zero if net.channels(x) == channels else net.concat(zero, zero)
    if gene == 1:
        return x if stride == 1 and net.channels(x) == channels else _factorized_reduce(net, x, channels)
    return _conv(net, x, channels, 1 if gene == 2 else 3, stride)


def _conv(net: Network, x: str, channels: int, kernel: int, stride: int) -> str:
    return net.norm(net.conv(net.act(x), channels, kernel, stride))


def _factorized_reduce(net: Network, x: str, channels: int) -> str:
    x = net.act(x)
    halves = net.conv(x, channels // 2, 1, 2), net.conv(net.subsample(x, 1, offset=1), channels - channels // 2, 1, 2)
    return net.norm(net.concat(*halves))
