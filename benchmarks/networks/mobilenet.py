"""MobileNetV2 1.0 and MobileNetV3-large: inverted residuals, in V3 with squeeze-excite and hardswish."""

from __future__ import annotations

import torch
from torch import nn

from .blocks import Activation, ConvNorm, SqueezeExcite, divisible


class InvertedResidual(nn.Module):
    def __init__(
        self,
        inputs: int,
        outputs: int,
        expanded: int,
        kernel: int,
        stride: int,
        *,
        act: Activation,
        squeeze: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if expanded != inputs:
            layers.append(ConvNorm(inputs, expanded, act=act, eps=eps))
        layers.append(ConvNorm(expanded, expanded, kernel, stride, groups=expanded, act=act, eps=eps))
        if squeeze:
            layers.append(SqueezeExcite(expanded, divisible(expanded / 4), nn.ReLU, nn.Hardsigmoid))
        layers.append(ConvNorm(expanded, outputs, act=None, eps=eps))
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    # expansion, width, repeats, stride
    TABLE = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, 32, 3, 2, act=nn.ReLU6)]
        inputs = 32
        for expansion, width, repeats, stride in self.TABLE:
            for block in range(repeats):
                step = 1 if block else stride
                layers.append(InvertedResidual(inputs, width, inputs * expansion, 3, step, act=nn.ReLU6))
                inputs = width
        layers.append(ConvNorm(inputs, 1280, act=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(1280, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


class MobileNetV3Large(nn.Module):
    # kernel, expanded width, width, squeeze-excite, hardswish, stride
    TABLE = (
        (3, 16, 16, False, False, 1),
        (3, 64, 24, False, False, 2),
        (3, 72, 24, False, False, 1),
        (5, 72, 40, True, False, 2),
        (5, 120, 40, True, False, 1),
        (5, 120, 40, True, False, 1),
        (3, 240, 80, False, True, 2),
        (3, 200, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 184, 80, False, True, 1),
        (3, 480, 112, True, True, 1),
        (3, 672, 112, True, True, 1),
        (5, 672, 160, True, True, 2),
        (5, 960, 160, True, True, 1),
        (5, 960, 160, True, True, 1),
    )

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, 16, 3, 2, act=nn.Hardswish, eps=1e-3)]
        inputs = 16
        for kernel, expanded, width, squeeze, swish, stride in self.TABLE:
            act: Activation = nn.Hardswish if swish else nn.ReLU
            layers.append(InvertedResidual(inputs, width, expanded, kernel, stride, act=act, squeeze=squeeze, eps=1e-3))
            inputs = width
        layers.append(ConvNorm(inputs, 960, act=nn.Hardswish, eps=1e-3))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(nn.Linear(960, 1280), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


def mobilenet_v2() -> nn.Module:
    return MobileNetV2()


def mobilenet_v3_large() -> nn.Module:
    return MobileNetV3Large()
