"""Multiply-adds of a torch module: Conv, ConvTranspose, Linear and matrix products, bias excluded."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count(model: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """(MACs, parameters); torch's counter reports two operations per multiply-add and counts nothing but such products."""
    counter: Any = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:  # the fused CPU attention is not counted
        model(torch.zeros(shape))
    return counter.get_total_flops() // 2, sum(parameter.numel() for parameter in model.parameters())
