"""NAS-Bench-Macro: a choice of three blocks for each of eight layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx

from nasopt.spaces.inverted_residual import inverted_residual
from nasopt.spaces.network import Network
from nasopt.spaces.space import Genes, OperationGraph, Space

__all__ = ["NasBenchMacro"]

STAGES = (2, 3, 3)
"""Layers in each; the first of a stage halves the image and doubles the channels."""
STEM, LAST = 32, 1280
KERNELS, EXPANSIONS = (0, 3, 5), (0, 3, 6)
"""Of each operation."""


@dataclass(frozen=True)
class NasBenchMacro(Space):
    """The space and its network.

    Attributes:
        resolution: pixels of the input.
        classes: of the head.
    """

    name: ClassVar[str] = "nasbench_macro"
    title: ClassVar[str] = "NAS-Bench-Macro"
    source: ClassVar[str] = "Su et al., CVPR 2021 (arXiv:2103.11922), Section 5 and Table 7; code: xiusu/NAS-Bench-Macro, train/model.py"
    vocabulary: ClassVar[tuple[str, ...]] = ("identity", "MB3_K3", "MB6_K5")

    resolution: int = 32
    classes: int = 10

    @property
    def options(self) -> tuple[int, ...]:
        return (len(self.vocabulary),) * sum(STAGES)

    def count(self) -> int:
        return int(len(self.vocabulary) ** sum(STAGES))

    def parse(self, text: str) -> Genes:
        """Reads eight digits: 0 identity, 1 MB3_K3, 2 MB6_K5."""
        digits = text.strip()
        if len(digits) != sum(STAGES) or set(digits) - set("012"):
            raise self.refused(text, f"{sum(STAGES)} digits, 0 (identity), 1 (MB3_K3) or 2 (MB6_K5)")
        return tuple(map(int, digits))

    def text(self, genes: Genes) -> str:
        return "".join(map(str, genes))

    def key(self, genes: Genes) -> str:
        """Where an identity stands behind the first layer of a stage says nothing: they go to its end."""
        place, parts = 0, []
        for layers in STAGES:
            first, *rest = genes[place : place + layers]
            parts += [first, *(gene for gene in rest if gene), *(gene for gene in rest if not gene)]
            place += layers
        return self.text(tuple(parts))

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        return {"network": OperationGraph.chain([self.vocabulary[gene] for gene in genes])}

    def build(self, genes: Genes) -> onnx.ModelProto:
        layers = iter(self.check(genes))
        net = Network(self.name, (3, self.resolution, self.resolution))
        with net.scope("stem"):
            x = net.act(net.norm(net.conv(net.input, STEM, 3)))
        for stage, count in enumerate(STAGES):
            for layer in range(count):
                with net.scope(f"stage{stage}.layer{layer}"):
                    x = _layer(net, x, next(layers), stride=1 if layer else 2)
        with net.scope("head"):
            x = net.act(net.norm(net.conv(x, LAST)))
            return net.finish(net.linear(net.flatten(net.global_pool(x)), self.classes))


def _layer(net: Network, x: str, gene: int, stride: int) -> str:
    """A stride of 2 comes with twice the channels; an identity then is a convolution of one pixel."""
    into = net.channels(x)
    channels = into * stride
    if gene:
        return inverted_residual(net, x, channels, inner=into * EXPANSIONS[gene], kernel=KERNELS[gene], stride=stride)
    return x if stride == 1 else net.norm(net.conv(x, channels, 1, stride))
