"""ShuffleNetV2 1.0x (split, concat, shuffle) and ShuffleNet 1.0x with three groups (grouped 1x1, shuffle, pooled concat)."""

from __future__ import annotations

import torch
from torch import nn

from .blocks import ConvNorm


def shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    batch, channels, height, width = x.shape
    x = x.reshape(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(batch, channels, height, width)


class UnitV2(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.split = stride == 1
        self.shortcut = nn.Identity()
        if not self.split:
            self.shortcut = nn.Sequential(ConvNorm(inputs, inputs, 3, stride, groups=inputs, act=None), ConvNorm(inputs, half))
        self.body = nn.Sequential(
            ConvNorm(half if self.split else inputs, half),
            ConvNorm(half, half, 3, stride, groups=half, act=None),
            ConvNorm(half, half),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, 1) if self.split else (x, x)
        return shuffle(torch.cat([self.shortcut(left), self.body(right)], 1), 2)


class ShuffleNetV2(nn.Module):
    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
        inputs = 24
        for width, repeats in ((116, 4), (232, 8), (464, 4)):
            for block in range(repeats):
                layers.append(UnitV2(inputs, width, 1 if block else 2))
                inputs = width
        layers.append(ConvNorm(inputs, 1024))
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(1024, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


class UnitV1(nn.Module):
    def __init__(self, inputs: int, outputs: int, groups: int, stride: int, first: bool) -> None:
        super().__init__()
        self.groups, self.stride = groups, stride
        middle = outputs // 4
        branch = outputs - inputs if stride == 2 else outputs
        self.reduce = ConvNorm(inputs, middle, groups=1 if first else groups)
        self.depthwise = ConvNorm(middle, middle, 3, stride, groups=middle, act=None)
        self.expand = ConvNorm(middle, branch, groups=groups, act=None)
        self.pool = nn.AvgPool2d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.expand(self.depthwise(shuffle(self.reduce(x), self.groups)))
        return torch.relu(torch.cat([self.pool(x), y], 1) if self.stride == 2 else x + y)


class ShuffleNetV1(nn.Module):
    def __init__(self, groups: int = 3, widths: tuple[int, ...] = (240, 480, 960), classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
        inputs = 24
        for width, repeats in zip(widths, (4, 8, 4), strict=True):
            for block in range(repeats):
                layers.append(UnitV1(inputs, width, groups, 1 if block else 2, first=inputs == 24))
                inputs = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


def shufflenet_v2() -> nn.Module:
    return ShuffleNetV2()


def shufflenet_v1_g3() -> nn.Module:
    return ShuffleNetV1()
