"""Activations, dropout, and softmax in its two forms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nasopt.runtime.torch_ops.registry import Call, Result, executor, plain

for _name, _function in {
    "HardSwish": functional.hardswish,
    "Mish": functional.mish,
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Softplus": functional.softplus,
    "Softsign": functional.softsign,
    "Tanh": torch.tanh,
}.items():
    plain(_name)(_function)


@executor("LeakyRelu")
def _leaky_relu(call: Call, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, call.get("alpha", 0.01))


@plain("PRelu")
def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    whole = slope.numel() == 1 and slope.ndim <= x.ndim
    if x.is_floating_point() and (whole or (x.ndim > 1 and tuple(slope.shape) == (x.shape[1], *[1] * (x.ndim - 2)))):
        return functional.prelu(x, slope.reshape(-1))  # torch's own, so that who watches its calls sees a rectifier
    return torch.where(x < 0, slope * x, x)


@executor("Elu")
def _elu(call: Call, x: Tensor) -> Tensor:
    return functional.elu(x, call.get("alpha", 1.0))


@executor("Celu")
def _celu(call: Call, x: Tensor) -> Tensor:
    return functional.celu(x, call.get("alpha", 1.0))


@executor("Selu")
def _selu(call: Call, x: Tensor) -> Tensor:
    alpha, gamma = call.get("alpha", 1.6732632423543772), call.get("gamma", 1.0507009873554805)
    return functional.elu(x, alpha) * float(gamma)


@executor("ThresholdedRelu")
def _thresholded_relu(call: Call, x: Tensor) -> Tensor:
    return functional.threshold(x, call.get("alpha", 1.0), 0.0)


@executor("Shrink")
def _shrink(call: Call, x: Tensor) -> Tensor:
    limit, bias = call.get("lambd", 0.5), call.get("bias", 0.0)
    return torch.where(x < -limit, x + bias, torch.where(x > limit, x - bias, torch.zeros_like(x)))


@executor("HardSigmoid")
def _hard_sigmoid(call: Call, x: Tensor) -> Tensor:
    return torch.clamp(call.get("alpha", 0.2) * x + call.get("beta", 0.5), 0.0, 1.0)


@executor("Swish")
def _swish(call: Call, x: Tensor) -> Tensor:
    return x * torch.sigmoid(call.get("alpha", 1.0) * x)


@executor("Gelu")
def _gelu(call: Call, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=call.get("approximate", "none"))


@executor("Dropout")
def _dropout(call: Call, x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Result:
    """Drops only where the node itself says so (`training_mode`): what was exported for inference drops nothing in `train()` either."""
    if training is None or not bool(training):
        return x, torch.ones_like(x, dtype=torch.bool) if call.wants(1) else None
    share = 0.5 if ratio is None else float(ratio)
    kept = torch.rand_like(x) >= share
    return torch.where(kept, x / (1 - share), torch.zeros_like(x)), kept


def _rows(call: Call, x: Tensor) -> tuple[Tensor, int]:
    """What a softmax is over: before opset 13 everything from its axis on, in one row; since then its axis."""
    if call.opset >= 13:
        return x, int(call.get("axis", -1))
    return x.flatten(int(call.get("axis", 1)) % max(x.ndim, 1)), -1


@executor("Softmax")
def _softmax(call: Call, x: Tensor) -> Tensor:
    rows, axis = _rows(call, x)
    return torch.softmax(rows, axis).reshape(x.shape)


@executor("LogSoftmax")
def _log_softmax(call: Call, x: Tensor) -> Tensor:
    rows, axis = _rows(call, x)
    return torch.log_softmax(rows, axis).reshape(x.shape)


@executor("Hardmax")
def _hardmax(call: Call, x: Tensor) -> Tensor:
    rows, axis = _rows(call, x)
    highest = rows.argmax(axis, keepdim=True)
    return torch.zeros_like(rows).scatter(axis, highest, 1.0).reshape(x.shape)
