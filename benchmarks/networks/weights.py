"""Random weights with the numerics of a trained network: no layer explodes or vanishes, and norms differ between channels."""

from __future__ import annotations

import zlib

import torch
from torch import nn

Norm = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
Weighted = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def spread(shape: int, generator: torch.Generator) -> torch.Tensor:
    """Per-channel strengths as trained networks have them: most near one, a tail of weak ones."""
    return torch.rand(shape, generator=generator) * 1.2 + 0.1


def initialise(model: nn.Module, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, Weighted):
            fan = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):
                fan = module.in_channels
            module.weight.data.normal_(0.0, (2.0 / fan) ** 0.5, generator=g)
            if isinstance(module, nn.Conv2d):
                module.weight.data.mul_(spread(module.out_channels, g).view(-1, 1, 1, 1))
            if module.bias is not None:
                module.bias.data.normal_(0.0, 0.05, generator=g)
        elif isinstance(module, Norm):
            assert module.weight is not None
            assert module.bias is not None
            module.weight.data.copy_(spread(module.weight.numel(), g).view_as(module.weight))
            module.bias.data.normal_(0.0, 0.2, generator=g)
    for name, parameter in model.named_parameters():
        if name.endswith(("token", "position")):
            parameter.data.normal_(0.0, 0.1, generator=g)
        elif name.endswith("scale"):
            parameter.data.copy_(spread(parameter.numel(), g).view_as(parameter) * 0.3)


def calibrate(model: nn.Module, shape: tuple[int, ...], seed: int, steps: int = 3, batch: int = 4) -> None:
    """Running statistics of every BatchNorm from a few forward passes on random inputs."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if norms:
        g = torch.Generator().manual_seed(seed + 1)
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        model.train()
        with torch.no_grad():
            for _ in range(steps):
                model(torch.randn(batch, *shape[1:], generator=g))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    model.eval()


def prepared(builder: object, shape: tuple[int, ...], name: str) -> nn.Module:
    """The module with its weights, the same on every call: the seed follows from the name."""
    assert callable(builder)
    seed = zlib.crc32(name.encode()) % 2**31
    model: nn.Module = builder()
    initialise(model, seed)
    calibrate(model, shape, seed)
    return model
