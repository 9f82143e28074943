"""FBNet: a choice of nine blocks for each of 22 layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx

from nasopt.errors import UsageError
from nasopt.spaces.inverted_residual import inverted_residual
from nasopt.spaces.network import Network
from nasopt.spaces.space import Genes, OperationGraph, Space

__all__ = ["FBNet"]

STAGES = (1, 4, 4, 4, 4, 4, 1)
CHANNELS = (16, 24, 32, 64, 112, 184, 352)
STEM = 16
STRIDES = {"imagenet": (2, 1, 2, 2, 2, 1, 2, 1), "cifar": (1, 1, 1, 2, 2, 1, 2, 1)}
"""Of the stem, and of the first layer of each stage."""


@dataclass(frozen=True)
class FBNet(Space):
    """The space and its network.

    The table `zcp_nasflat` was computed with ``layout="cifar", resolution=32, classes=100``: its network takes images of 32 x 32 and does
    without two of the strides.

    Attributes:
        layout: ``imagenet`` as in the paper, or ``cifar``.
        resolution: pixels of the input.
        classes: of the head.
        last: channels of the last convolution: 1504 in the paper's Table 1, 1984 in the code of FBNet-C.
    """

    name: ClassVar[str] = "fbnet"
    title: ClassVar[str] = "FBNet"
    source: ClassVar[str] = "Wu et al., CVPR 2019 (arXiv:1812.03443), Tables 1 and 2; code: abdelfattah-lab/nasflat_latency, fbnet_zcp"
    vocabulary: ClassVar[tuple[str, ...]] = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")

    layout: str = "imagenet"
    resolution: int = 224
    classes: int = 1000
    last: int = 1504

    def __post_init__(self) -> None:
        if self.layout not in STRIDES:
            raise UsageError(f"{self.name}: layout={self.layout} must be {' or '.join(STRIDES)}")

    @property
    def options(self) -> tuple[int, ...]:
        return (len(self.vocabulary),) * sum(STAGES)

    def count(self) -> int:
        return int(len(self.vocabulary) ** sum(STAGES))

    def parse(self, text: str) -> Genes:
        """Reads 22 numbers, or names, joined by ``_`` or commas: ``4_8_0_…``, or ``k5_e1,skip,k3_e1,…``."""
        words = [word.strip() for word in text.strip().split("," if "," in text else "_")]
        names = {name: gene for gene, name in enumerate(self.vocabulary)} | {str(gene): gene for gene in range(len(self.vocabulary))}
        if len(words) != sum(STAGES) or any(word not in names for word in words):
            raise self.refused(text, f"{sum(STAGES)} numbers joined by '_', 0 to 8: {', '.join(self.vocabulary)}")
        return tuple(names[word] for word in words)

    def text(self, genes: Genes) -> str:
        return "_".join(map(str, genes))

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        return {"network": OperationGraph.chain([self.vocabulary[gene] for gene in genes])}

    def vec(self, genes: Genes) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The "Vec" of HELP and Multi-Predict: 22 x 6 bits, the kernel and the number modulo 4; a skip is all 0."""
        vector = np.zeros((len(genes), 6), np.float32)
        for place, gene in enumerate(genes):
            if gene < len(self.vocabulary) - 1:
                vector[place, [gene // 4, 2 + gene % 4]] = 1
        return vector.reshape(-1)

    def decode(self, vector: np.ndarray[Any, np.dtype[np.float32]]) -> Genes:
        skip = len(self.vocabulary) - 1
        blocks = vector.reshape(-1, 6)
        return self.check(tuple(4 * int(bits[:2].argmax()) + int(bits[2:].argmax()) if bits.any() else skip for bits in blocks))

    def build(self, genes: Genes) -> onnx.ModelProto:
        layers = iter(self.check(genes))
        net = Network(self.name, (3, self.resolution, self.resolution))
        first, *strides = STRIDES[self.layout]
        with net.scope("stem"):
            x = net.act(net.norm(net.conv(net.input, STEM, 3, first)))
        for stage, (count, channels, stride) in enumerate(zip(STAGES, CHANNELS, strides, strict=True)):
            for layer in range(count):
                with net.scope(f"stage{stage}.layer{layer}"):
                    x = self._layer(net, x, next(layers), channels, 1 if layer else stride)
        with net.scope("head"):
            x = net.act(net.norm(net.conv(x, self.last)))
            return net.finish(net.linear(net.flatten(net.global_pool(x)), self.classes))

    def _layer(self, net: Network, x: str, gene: int, channels: int, stride: int) -> str:
        """A skip that changes the shape is a convolution of one pixel."""
        into = net.channels(x)
        if self.vocabulary[gene] == "skip":
            return x if stride == 1 and into == channels else net.act(net.norm(net.conv(x, channels, 1, stride)))
        kernel, expansion, *groups = (int(part[1:]) for part in self.vocabulary[gene].split("_"))
        return inverted_residual(
            net, x, channels, inner=into * expansion, kernel=kernel, stride=stride, groups=groups[0] if groups else 1
        )  # fmt: skip
