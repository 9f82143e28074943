"""A YOLOv5s-like detector: Focus by slices, C3 blocks, SPPF, nearest upsampling, three detection heads.

The heads return their raw maps as three outputs; `detect=True` reshapes them to anchors the way the published code does.
"""

from __future__ import annotations

import torch
from torch import nn

from .blocks import ConvNorm


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    return ConvNorm(inputs, outputs, kernel, stride, act=nn.SiLU, eps=1e-3)


class Focus(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = conv(12, outputs, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        return self.conv(torch.cat(parts, 1))


class Residual(nn.Module):
    def __init__(self, width: int, shortcut: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), conv(width, width, 3))
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.shortcut else y


class C3(nn.Module):
    def __init__(self, inputs: int, outputs: int, depth: int, shortcut: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.left, self.right, self.join = conv(inputs, half), conv(inputs, half), conv(2 * half, outputs)
        self.body = nn.Sequential(*(Residual(half, shortcut) for _ in range(depth)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.join(torch.cat([self.body(self.left(x)), self.right(x)], 1))


class SPPF(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce, self.join = conv(inputs, inputs // 2), conv(2 * inputs, outputs)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [self.reduce(x)]
        for _ in range(3):
            levels.append(self.pool(levels[-1]))
        return self.join(torch.cat(levels, 1))


class Detector(nn.Module):
    def __init__(self, width: int = 32, depth: int = 1, classes: int = 80, detect: bool = False) -> None:
        super().__init__()
        w, d = width, depth
        self.detect, self.fields = detect, classes + 5
        self.stem = nn.Sequential(Focus(w), conv(w, 2 * w, 3, 2), C3(2 * w, 2 * w, d))
        self.p3 = nn.Sequential(conv(2 * w, 4 * w, 3, 2), C3(4 * w, 4 * w, 3 * d))
        self.p4 = nn.Sequential(conv(4 * w, 8 * w, 3, 2), C3(8 * w, 8 * w, 3 * d))
        self.p5 = nn.Sequential(conv(8 * w, 16 * w, 3, 2), SPPF(16 * w, 16 * w), C3(16 * w, 16 * w, d, False))
        self.up5, self.up4 = conv(16 * w, 8 * w), conv(8 * w, 4 * w)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.n4, self.n3 = C3(16 * w, 8 * w, d, False), C3(8 * w, 4 * w, d, False)
        self.down3, self.down4 = conv(4 * w, 4 * w, 3, 2), conv(8 * w, 8 * w, 3, 2)
        self.o4, self.o5 = C3(8 * w, 8 * w, d, False), C3(16 * w, 16 * w, d, False)
        self.heads = nn.ModuleList(nn.Conv2d(c * w, 3 * self.fields, 1) for c in (4, 8, 16))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        p3 = self.p3(self.stem(x))
        p4 = self.p4(p3)
        t5 = self.up5(self.p5(p4))
        t4 = self.up4(self.n4(torch.cat([self.upsample(t5), p4], 1)))
        o3 = self.n3(torch.cat([self.upsample(t4), p3], 1))
        o4 = self.o4(torch.cat([self.down3(o3), t4], 1))
        o5 = self.o5(torch.cat([self.down4(o4), t5], 1))
        maps = tuple(head(o) for head, o in zip(self.heads, (o3, o4, o5), strict=True))
        return tuple(self.anchored(m) for m in maps) if self.detect else maps

    def anchored(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = x.shape
        return x.view(batch, 3, self.fields, height, width).permute(0, 1, 3, 4, 2).sigmoid()


def yolo_c3() -> nn.Module:
    return Detector()


def yolo_c3_anchors() -> nn.Module:
    return Detector(width=16, detect=True)
