"""Once-for-All: the spaces of its two mobile supernets, ProxylessNAS and MobileNetV3."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx

from nasopt.spaces.inverted_residual import inverted_residual
from nasopt.spaces.network import Activation, Network, divisible
from nasopt.spaces.space import Genes, OperationGraph, Space

__all__ = ["OfaMobileNetV3", "OfaProxylessNas", "ofa_lists"]

KERNELS, EXPANSIONS, DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
STAGES, BLOCKS = 5, 4
"""Stages of elastic depth, and the most blocks of one."""


@dataclass(frozen=True)
class _Ofa(Space):
    """What both share. Genes are the depths of the five stages, then kernel and expansion of every block.

    Attributes:
        width: multiplies all channels, which are rounded to multiples of 8.
        resolution: pixels of the input; the supernets take 128 to 224.
        classes: of the head.
    """

    vocabulary: ClassVar[tuple[str, ...]] = tuple(f"mb{expansion}_k{kernel}" for kernel in KERNELS for expansion in EXPANSIONS)
    blocks: ClassVar[int] = STAGES * BLOCKS
    """Those of elastic stages, and those that are always there, behind them."""

    width: float = 1.0
    resolution: int = 224
    classes: int = 1000

    @property
    def options(self) -> tuple[int, ...]:
        return (3,) * (STAGES + 2 * self.blocks)

    def count(self) -> int:
        stage: int = sum(9**depth for depth in DEPTHS)
        return int(stage**STAGES * 9 ** (self.blocks - STAGES * BLOCKS))

    def canonical(self, genes: Genes) -> Genes:
        """Blocks past a stage's depth say nothing."""
        used = list(self._used(genes))
        rest = [gene if used[place % self.blocks] else 0 for place, gene in enumerate(genes[STAGES:])]
        return (*genes[:STAGES], *rest)

    def parse(self, text: str) -> Genes:
        """Reads ``ks=7,5,0,…;e=6,3,0,…;d=2,4,…`` or OFA's JSON ``{"ks": […], "e": […], "d": […]}``; unused blocks may be anything."""
        expected = f"ks=…;e=…;d=… with {self.blocks} kernels of {KERNELS}, as many expansions of {EXPANSIONS}, {STAGES} depths of {DEPTHS}"
        lists = ofa_lists(text, ("ks", "e", "d"))
        if lists is None:
            raise self.refused(text, expected)
        found = self._genes(*lists)
        if found is None:
            raise self.refused(text, expected)
        return found

    def text(self, genes: Genes) -> str:
        """Kernels, expansions and depths; 0 for blocks that are not there."""
        ks, es = ([value for _, value in part] for part in self._parts(genes))
        depths = [DEPTHS[gene] for gene in genes[:STAGES]]
        return ";".join(f"{name}={','.join(map(str, values))}" for name, values in (("ks", ks), ("e", es), ("d", depths)))

    def row(self, row: Mapping[str, Any]) -> Genes:
        """The genes of a row of the published tables, with columns ``ks0``, …, ``e0``, …, ``d0`` … ``d4``."""
        ks, es = ([int(row[f"{name}{block}"]) for block in range(self.blocks)] for name in ("ks", "e"))
        depths = [int(row[f"d{stage}"]) for stage in range(STAGES)]
        found = self._genes(ks, es, depths)
        if found is None:
            raise self.refused(str(dict(row)), "kernels, expansions and depths of the space")
        return found

    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        layers = [f"mb{expansion}_k{kernel}" for (_, kernel), (_, expansion) in zip(*self._parts(genes), strict=True) if kernel]
        return {"network": OperationGraph.chain(layers)}

    def vec(self, genes: Genes) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The input of OFA's accuracy predictors without its resolution: kernels one-hot, then expansions, nothing for absent blocks."""
        vector = np.zeros((2, self.blocks, 3), np.float32)
        for part, found in enumerate(self._parts(genes)):
            for block, (gene, value) in enumerate(found):
                vector[part, block, gene] = value > 0
        return vector.reshape(-1)

    def decode(self, vector: np.ndarray[Any, np.dtype[np.float32]]) -> Genes:
        kernels, expansions = vector.reshape(2, self.blocks, 3)
        depths = (int(kernels[BLOCKS * stage : BLOCKS * (stage + 1)].sum()) - DEPTHS[0] for stage in range(STAGES))
        return self.canonical(self.check((*depths, *(int(block.argmax()) for block in (*kernels, *expansions)))))

    def build(self, genes: Genes) -> onnx.ModelProto:
        genes = self.check(genes)
        kernels, expansions = self._parts(genes)
        net = Network(self.name, (3, self.resolution, self.resolution))
        x = self._stem(net)
        for block, ((_, kernel), (_, expansion)) in enumerate(zip(kernels, expansions, strict=True)):
            if kernel:
                stage, place = divmod(block, BLOCKS)
                with net.scope(f"stage{stage}.block{place}"):
                    x = self._block(net, x, stage, place, kernel, expansion)
        return net.finish(self._head(net, x))

    @abstractmethod
    def _stem(self, net: Network) -> str:
        """Everything before the first elastic block."""

    @abstractmethod
    def _block(self, net: Network, x: str, stage: int, place: int, kernel: int, expansion: int) -> str:
        """An elastic block: the `place`-th of its stage."""

    @abstractmethod
    def _head(self, net: Network, x: str) -> str:
        """Everything behind the last elastic block."""

    def _wide(self, channels: int) -> int:
        return divisible(channels * self.width)

    def _used(self, genes: Genes) -> Iterator[bool]:
        for block in range(self.blocks):
            stage, place = divmod(block, BLOCKS)
            yield stage >= STAGES or place < DEPTHS[genes[stage]]

    def _parts(self, genes: Genes) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Gene and kernel, and gene and expansion of every block; 0 of those that are not there."""
        used = list(self._used(genes))
        halves = genes[STAGES : STAGES + self.blocks], genes[STAGES + self.blocks :]
        kernels, expansions = (
            [(gene, values[gene] if there else 0) for gene, there in zip(half, used, strict=True)]
            for half, values in zip(halves, (KERNELS, EXPANSIONS), strict=True)
        )
        return kernels, expansions

    def _genes(self, ks: Sequence[float], es: Sequence[float], depths: Sequence[float]) -> Genes | None:
        if (len(ks), len(es), len(depths)) != (self.blocks, self.blocks, STAGES) or not set(depths) <= set(DEPTHS):
            return None
        first = tuple(DEPTHS.index(int(depth)) for depth in depths)
        used = list(self._used((*first, *[0] * (2 * self.blocks))))
        rest = []
        for found, known in ((ks, KERNELS), (es, EXPANSIONS)):
            if any(there and value not in known for value, there in zip(found, used, strict=True)):
                return None
            rest += [known.index(int(value)) if there else 0 for value, there in zip(found, used, strict=True)]
        return (*first, *rest)


@dataclass(frozen=True)
class OfaMobileNetV3(_Ofa):
    """The MobileNetV3 supernet. Its published widths are 1.0 and 1.2; AIO-P used 1.2, the tables of ``ofa_mbv3`` 1.0."""

    name: ClassVar[str] = "ofa_mbv3"
    title: ClassVar[str] = "Once-for-All, MobileNetV3"
    source: ClassVar[str] = "Cai et al., ICLR 2020 (arXiv:1908.09791); code: mit-han-lab/once-for-all, ofa_mbv3.py"

    CHANNELS: ClassVar[tuple[int, ...]] = (24, 40, 80, 112, 160)
    STRIDES: ClassVar[tuple[int, ...]] = (2, 2, 2, 1, 2)
    SQUEEZED: ClassVar[tuple[bool, ...]] = (False, True, False, True, True)
    ACTIVATIONS: ClassVar[tuple[Activation, ...]] = ("relu", "relu", "hswish", "hswish", "hswish")

    def _stem(self, net: Network) -> str:
        channels = self._wide(16)
        with net.scope("stem"):
            x = net.act(net.norm(net.conv(net.input, channels, 3, 2)), "hswish")
        with net.scope("first"):
            return inverted_residual(net, x, channels, inner=channels, kernel=3, expand=False)

    def _block(self, net: Network, x: str, stage: int, place: int, kernel: int, expansion: int) -> str:
        inner = divisible(net.channels(x) * expansion)
        return inverted_residual(
            net, x, self._wide(self.CHANNELS[stage]), inner=inner, kernel=kernel, stride=1 if place else self.STRIDES[stage],
            act=self.ACTIVATIONS[stage], squeeze=divisible(inner // 4) if self.SQUEEZED[stage] else 0, hard_gate=True,
        )  # fmt: skip

    def _head(self, net: Network, x: str) -> str:
        with net.scope("head"):
            x = net.global_pool(net.act(net.norm(net.conv(x, self._wide(960), name="expand")), "hswish"))
            x = net.act(net.conv(x, self._wide(1280), name="mix"), "hswish")
            return net.linear(net.flatten(x), self.classes)


@dataclass(frozen=True)
class OfaProxylessNas(_Ofa):
    """The ProxylessNAS supernet, whose last stage is one block. Its published width is 1.3, which AIO-P used, too."""

    name: ClassVar[str] = "ofa_pn"
    title: ClassVar[str] = "Once-for-All, ProxylessNAS"
    source: ClassVar[str] = "Cai et al., ICLR 2020 (arXiv:1908.09791); code: mit-han-lab/once-for-all, ofa_proxyless.py"
    blocks: ClassVar[int] = STAGES * BLOCKS + 1

    CHANNELS: ClassVar[tuple[int, ...]] = (24, 40, 80, 96, 192, 320)
    STRIDES: ClassVar[tuple[int, ...]] = (2, 2, 2, 1, 2, 1)

    width: float = 1.3

    def _stem(self, net: Network) -> str:
        channels = self._wide(32)
        with net.scope("stem"):
            x = net.act(net.norm(net.conv(net.input, channels, 3, 2)), "relu6")
        with net.scope("first"):
            return inverted_residual(net, x, self._wide(16), inner=channels, kernel=3, expand=False, act="relu6")

    def _block(self, net: Network, x: str, stage: int, place: int, kernel: int, expansion: int) -> str:
        inner = divisible(net.channels(x) * expansion)
        stride = 1 if place else self.STRIDES[stage]
        return inverted_residual(net, x, self._wide(self.CHANNELS[stage]), inner=inner, kernel=kernel, stride=stride, act="relu6")

    def _head(self, net: Network, x: str) -> str:
        with net.scope("head"):
            x = net.act(net.norm(net.conv(x, self._wide(1280), name="mix")), "relu6")
            return net.linear(net.flatten(net.global_pool(x)), self.classes)


def ofa_lists(text: str, names: Sequence[str]) -> list[list[float]] | None:
    """Lists of numbers by name, from ``NAME=1,2;NAME=…`` or from JSON; None where that is not what it is."""
    text = text.strip()
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            return None
    else:
        parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
        found = {name: [float(word) for word in re.findall(r"\d{1,4}(?:\.\d{1,4})?", values)] for name, values in parts.items()}
    lists = [found.get(name) for name in names]
    if all(isinstance(values, list) and all(type(value) in (int, float) for value in values) for values in lists):
        return [list(values) for values in lists if values is not None]
    return None
