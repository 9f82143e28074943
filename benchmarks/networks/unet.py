"""U-Net with batch norm: four levels, transposed convolutions up, skips joined by concatenation."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from .blocks import ConvNorm


def double(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(ConvNorm(inputs, outputs, 3), ConvNorm(outputs, outputs, 3))


class UNet(nn.Module):
    def __init__(self, base: int = 32, levels: int = 4, classes: int = 2) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(levels + 1)]
        self.first = double(3, base)
        self.down = nn.ModuleList(double(a, b) for a, b in pairwise(widths))
        pairs = list(pairwise(widths[::-1]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.join = nn.ModuleList(double(2 * b, b) for _, b in pairs)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(base, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(self.pool(skips[-1])))
        y = skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            y = join(torch.cat([skips.pop(), up(y)], 1))
        return self.head(y)


def unet() -> nn.Module:
    return UNet()
