"""The MnasNet space of Accel-NASBench: expansion, kernel, layers and squeeze-and-excitation for each of seven blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import onnx

from nasopt.spaces.inverted_residual import inverted_residual
from nasopt.spaces.network import Network
from nasopt.spaces.space import Genes, OperationGraph, Space

__all__ = ["MnasNet"]

CHANNELS = (16, 24, 40, 80, 112, 192, 320)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
STEM, LAST = 32, 1280
EXPANSIONS, KERNELS = (1, 4, 6), (3, 5)
LAYERS = (3, 3, 3, 3, 3, 4, 3)
"""Most layers of each block."""


@dataclass(frozen=True)
class MnasNet(Space):
    """The space and its network.

    Attributes:
        resolution: pixels of the input.
        classes: of the head.
    """

    name: ClassVar[str] = "mnasnet"
    title: ClassVar[str] = "MnasNet (Accel-NASBench)"
    source: ClassVar[str] = "Ahmad et al., DAC 2024 (arXiv:2404.08005); code: afzalxo/Accel-NASBench, configurationspaces"
    vocabulary: ClassVar[tuple[str, ...]] = tuple(
        f"mb{expansion}_k{kernel}{'_se' if se else ''}" for expansion in EXPANSIONS for kernel in KERNELS for se in (False, True)
    )

    resolution: int = 224
    classes: int = 1000

    @property
    def options(self) -> tuple[int, ...]:
        """Four genes a block: expansion, kernel, layers less one, squeeze-and-excitation."""
        return tuple(option for layers in LAYERS for option in (len(EXPANSIONS), len(KERNELS), layers, 2))

    def count(self) -> int:
        total = 1
        for option in self.options:
            total *= option
        return total

    def parse(self, text: str) -> Genes:
        """Reads seven blocks ``e6_k3_l1_se0`` joined by ``-`` (the source has no string of its own)."""
        blocks = text.strip().split("-")
        found = [re.fullmatch(r"e([146])_k([35])_l([1-4])_se([01])", block) for block in blocks]
        if len(blocks) == len(LAYERS) and all(found):
            numbers = [tuple(map(int, match.groups())) for match in found if match]
            if all(layers <= most for (_, _, layers, _), most in zip(numbers, LAYERS, strict=True)):
                return tuple(gene for e, k, layers, se in numbers for gene in (EXPANSIONS.index(e), KERNELS.index(k), layers - 1, se))
        raise self.refused(text, "seven blocks joined by '-', each e{1,4,6}_k{3,5}_l{1,2,3}_se{0,1} (of the sixth up to l4)")

    def text(self, genes: Genes) -> str:
        return "-".join(f"e{e}_k{k}_l{layers}_se{int(se)}" for e, k, layers, se in _blocks(genes))

    def row(self, row: Mapping[str, Any]) -> Genes:
        """The genes of a row of the published table, with columns ``block0_e`` … ``block6_se``."""
        values = [[int(row[f"block{block}_{part}"]) for part in ("e", "k", "l", "se")] for block in range(len(LAYERS))]
        return self.parse("-".join(f"e{e}_k{k}_l{layers}_se{se}" for e, k, layers, se in values))

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        layers = [f"mb{e}_k{k}{'_se' if se else ''}" for e, k, count, se in _blocks(genes) for _ in range(count)]
        return {"network": OperationGraph.chain(layers)}

    def build(self, genes: Genes) -> onnx.ModelProto:
        net = Network(self.name, (3, self.resolution, self.resolution))
        with net.scope("stem"):
            x = net.act(net.norm(net.conv(net.input, STEM, 3, 2)))
        blocks = zip(_blocks(self.check(genes)), CHANNELS, STRIDES, strict=True)
        for block, ((expansion, kernel, layers, se), channels, stride) in enumerate(blocks):
            for layer in range(layers):
                into = net.channels(x)
                with net.scope(f"block{block}.layer{layer}"):
                    x = inverted_residual(
                        net, x, channels, inner=into * expansion, kernel=kernel, stride=1 if layer else stride,
                        squeeze=into // 4 if se else 0, expand=expansion > 1,
                    )  # fmt: skip
        with net.scope("head"):
            x = net.act(net.norm(net.conv(x, LAST)))
            return net.finish(net.linear(net.flatten(net.global_pool(x)), self.classes))


def _blocks(genes: Genes) -> list[tuple[int, int, int, bool]]:
    """Expansion, kernel, layers and squeeze-and-excitation of each block."""
    return [
        (EXPANSIONS[genes[place]], KERNELS[genes[place + 1]], genes[place + 2] + 1, bool(genes[place + 3]))
        for place in range(0, len(genes), 4)
    ]
