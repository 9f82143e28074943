"""ResNet-50 (the stride in the 3x3 convolution) and ResNeXt-50 32x4d."""

from __future__ import annotations

import torch
from torch import nn

from .blocks import ConvNorm


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(inputs, width),
            ConvNorm(width, width, 3, stride, groups=groups),
            ConvNorm(width, outputs, act=None),
        )
        plain = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if plain else ConvNorm(inputs, outputs, 1, stride, act=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, depths: tuple[int, ...], groups: int, width_per_group: int, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1))
        stages: list[nn.Module] = []
        inputs = 64
        for stage, depth in enumerate(depths):
            width = groups * width_per_group * 2**stage
            outputs = 256 * 2**stage
            for block in range(depth):
                stride = 2 if stage and not block else 1
                stages.append(Bottleneck(inputs, width, outputs, stride, groups))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.pool(self.stages(self.stem(x)))
        return self.head(features.flatten(1))


def resnet50() -> nn.Module:
    return ResNet((3, 4, 6, 3), groups=1, width_per_group=64)


def resnext50() -> nn.Module:
    return ResNet((3, 4, 6, 3), groups=32, width_per_group=4)
