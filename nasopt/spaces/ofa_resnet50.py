"""Once-for-All: the space of its ResNet-50 supernet, elastic in depth, in the width of every stage and in the bottleneck of every block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import onnx

from nasopt.spaces.network import Network, divisible
from nasopt.spaces.ofa import ofa_lists
from nasopt.spaces.space import Genes, OperationGraph, Space

__all__ = ["OfaResNet50"]

CHANNELS, STRIDES = (256, 512, 1024, 2048), (1, 2, 2, 2)
FEWEST, MORE = (2, 2, 4, 2), (0, 1, 2)
"""Blocks of each stage, and how many may be added."""
EXPANSIONS, WIDTHS = (0.2, 0.25, 0.35), (0.65, 0.8, 1.0)
STEM = 64
BLOCKS = tuple(fewest + max(MORE) for fewest in FEWEST)
DEPTHS, WIDE = 1 + len(CHANNELS), 2 + len(CHANNELS)


@dataclass(frozen=True)
class OfaResNet50(Space):
    """The ResNet-50 supernet, with the stem and the downsampling of ResNet-D.

    Genes: whether the stem has its middle convolution, blocks added to each of the four stages; the widths of the stem's inner and outer
    convolutions and of the four stages; the expansion of every block.

    Attributes:
        resolution: pixels of the input; the supernet takes 128 to 224.
        classes: of the head.
    """

    name: ClassVar[str] = "ofa_resnet50"
    title: ClassVar[str] = "Once-for-All, ResNet-50"
    source: ClassVar[str] = "Cai et al., ICLR 2020 (arXiv:1908.09791); code: mit-han-lab/once-for-all, ofa_resnets.py"
    vocabulary: ClassVar[tuple[str, ...]] = tuple(f"bottleneck_{expansion}" for expansion in EXPANSIONS)

    resolution: int = 224
    classes: int = 1000

    @property
    def options(self) -> tuple[int, ...]:
        return (2, *[len(MORE)] * len(CHANNELS), *[len(WIDTHS)] * WIDE, *[len(EXPANSIONS)] * sum(BLOCKS))

    def count(self) -> int:
        total: int = 2 * len(WIDTHS) ** WIDE
        for fewest in FEWEST:
            total *= sum(len(EXPANSIONS) ** (fewest + more) for more in MORE)
        return total

    def canonical(self, genes: Genes) -> Genes:
        """Blocks past a stage's depth say nothing."""
        used = list(self._used(genes))
        return (*genes[: DEPTHS + WIDE], *(gene if there else 0 for gene, there in zip(genes[DEPTHS + WIDE :], used, strict=True)))

    def parse(self, text: str) -> Genes:
        """Reads ``d=2,0,1,2,0;w=0,1,2,2,1,0;e=0.2,0.35,0,…`` or OFA's JSON with ``d``, ``w`` and ``e``; unused blocks may be anything.

        As in OFA's code, ``d`` begins with the stem (0 or 2), and ``w`` are places in the list of widths.
        """
        expected = (
            f"d=… ({DEPTHS} depths, of the stem 0 or 2, else of {MORE}); w=… ({WIDE} places in {WIDTHS}); "
            f"e=… ({sum(BLOCKS)} expansions of {EXPANSIONS})"
        )
        lists = ofa_lists(text, ("d", "w", "e"))
        if lists is None:
            raise self.refused(text, expected)
        depths, widths, expansions = lists
        sizes = (len(depths), len(widths), len(expansions)) == (DEPTHS, WIDE, sum(BLOCKS))
        if not sizes or depths[0] not in (0, 2) or not set(depths[1:]) <= set(MORE) or not set(widths) <= set(range(len(WIDTHS))):
            raise self.refused(text, expected)
        first = (int(depths[0]) // 2, *map(int, depths[1:]), *map(int, widths))
        blocks = []
        for value, there in zip(expansions, self._used(first), strict=True):
            if there and value not in EXPANSIONS:
                raise self.refused(text, expected)
            blocks.append(EXPANSIONS.index(value) if there else 0)
        return (*first, *blocks)

    def text(self, genes: Genes) -> str:
        """Depths, widths and expansions; 0 for blocks that are not there."""
        depths = [2 * genes[0], *genes[1:DEPTHS]]
        parts = (("d", depths), ("w", genes[DEPTHS : DEPTHS + WIDE]), ("e", self._expansions(genes)))
        return ";".join(f"{name}={','.join(map(str, values))}" for name, values in parts)

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        return {"network": OperationGraph.chain([f"bottleneck_{value}" for value in self._expansions(genes) if value])}

    def build(self, genes: Genes) -> onnx.ModelProto:
        genes = self.check(genes)
        inner, outer, *stages = (WIDTHS[gene] for gene in genes[DEPTHS : DEPTHS + WIDE])
        net = Network(self.name, (3, self.resolution, self.resolution))
        with net.scope("stem"):
            half = divisible(divisible(STEM * inner) // 2)
            x = net.act(net.norm(net.conv(net.input, half, 3, 2)))
            x = net.add(net.act(net.norm(net.conv(x, half, 3))), x) if genes[0] else x
            x = net.max_pool(net.act(net.norm(net.conv(x, divisible(STEM * outer), 3))), 3, 2)
        block = 0
        for stage, (channels, width, stride) in enumerate(zip(CHANNELS, stages, STRIDES, strict=True)):
            for place in range(FEWEST[stage] + genes[1 + stage]):
                expansion = EXPANSIONS[genes[DEPTHS + WIDE + block + place]]
                with net.scope(f"stage{stage}.block{place}"):
                    x = _bottleneck(net, x, divisible(channels * width), expansion, 1 if place else stride)
            block += BLOCKS[stage]
        with net.scope("head"):
            return net.finish(net.linear(net.flatten(net.global_pool(x)), self.classes))

    def _used(self, genes: Sequence[int]) -> Iterator[bool]:
        for stage, most in enumerate(BLOCKS):
            depth = FEWEST[stage] + genes[1 + stage]
            yield from (place < depth for place in range(most))

    def _expansions(self, genes: Genes) -> list[float]:
        used = list(self._used(genes))
        return [EXPANSIONS[gene] if there else 0 for gene, there in zip(genes[DEPTHS + WIDE :], used, strict=True)]


def _bottleneck(net: Network, x: str, channels: int, expansion: float, stride: int) -> str:
    inner = divisible(round(channels * expansion))
    with net.scope("reduce"):
        y = net.act(net.norm(net.conv(x, inner)))
    with net.scope("conv"):
        y = net.act(net.norm(net.conv(y, inner, 3, stride)))
    with net.scope("restore"):
        y = net.norm(net.conv(y, channels))
    if stride > 1 or net.channels(x) != channels:
        with net.scope("shortcut"):
            size = net.shapes[x][1]
            # The published pool rounds up: an odd image has half a window at its end.
            x = net.avg_pool(x, stride, stride, padding=(0, 0, size % stride, size % stride)) if stride > 1 else x
            x = net.norm(net.conv(x, channels))
    return net.act(net.add(y, x))
