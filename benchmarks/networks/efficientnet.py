"""EfficientNet-B0: inverted residuals with SiLU and a squeeze-excite whose width follows the block's input."""

from __future__ import annotations

import torch
from torch import nn

from .blocks import ConvNorm, SqueezeExcite

EPS = 1e-3


class MBConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvNorm(inputs, width, act=nn.SiLU, eps=EPS))
        layers += [
            ConvNorm(width, width, kernel, stride, groups=width, act=nn.SiLU, eps=EPS),
            SqueezeExcite(width, max(1, inputs // 4), nn.SiLU, nn.Sigmoid),
            ConvNorm(width, outputs, act=None, eps=EPS),
        ]
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.residual else y


class EfficientNetB0(nn.Module):
    # expansion, kernel, stride, width, repeats
    TABLE = (
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    )

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, 32, 3, 2, act=nn.SiLU, eps=EPS)]
        inputs = 32
        for expansion, kernel, stride, width, repeats in self.TABLE:
            for block in range(repeats):
                layers.append(MBConv(inputs, width, expansion, kernel, 1 if block else stride))
                inputs = width
        layers.append(ConvNorm(inputs, 1280, act=nn.SiLU, eps=EPS))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(1280, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


def efficientnet_b0() -> nn.Module:
    return EfficientNetB0()
