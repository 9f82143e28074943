"""Pieces that several families share: convolution-norm-activation, squeeze and excite, channel rounding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Activation = Callable[[], nn.Module]


def divisible(value: float, by: int = 8) -> int:
    """The usual rounding of a scaled width: to a multiple of `by`, and never more than a tenth below."""
    rounded = max(by, int(value + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * value else rounded


class ConvNorm(nn.Sequential):
    """Conv2d without bias, BatchNorm2d and, unless `act` is None, an activation; padding keeps the size."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        act: Activation | None = nn.ReLU,
        eps: float = 1e-5,
    ) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs, eps=eps)]
        if act is not None:
            layers.append(act())
        super().__init__(*layers)


class SqueezeExcite(nn.Module):
    """Global pool, two 1x1 convolutions and a gate that multiplies every channel of the input."""

    def __init__(self, channels: int, squeezed: int, act: Activation, gate: Activation) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.act = act()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = x.mean((2, 3), keepdim=True)
        gate: torch.Tensor = self.gate(self.expand(self.act(self.reduce(pooled))))
        return x * gate
