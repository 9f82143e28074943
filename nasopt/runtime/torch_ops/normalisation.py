"""Batch, instance, group, layer and root-mean-square normalisation, LRN and Lp norms."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from nasopt.runtime.torch_ops.registry import Call, Result, executor


def _per_pixel(call: Call) -> str:
    return "" if call.get("spatial", 1) else "spatial=0"


@executor("BatchNormalization", refuses=_per_pixel)
def _batch_norm(call: Call, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor) -> Result:
    """In training mode it uses the batch's own statistics and moves the running ones, as `torch.nn.BatchNorm2d` does.

    ONNX's momentum is the share that the old average keeps, torch's the share that the new one gets.
    """
    epsilon, momentum = call.get("epsilon", 1e-5), call.get("momentum", 0.9)
    if call.get("training_mode", 0):
        return _batch_norm_with_statistics(x, scale, shift, mean, variance, epsilon, momentum)
    return functional.batch_norm(x, mean, variance, scale, shift, call.training, 1 - momentum, epsilon)


def _batch_norm_with_statistics(
    x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor, epsilon: float, momentum: float
) -> Result:
    """A node that is itself in training mode hands out the moved averages."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    own_variance, own_mean = torch.var_mean(x, axes, correction=0)
    result = functional.batch_norm(x, own_mean, own_variance, scale, shift, False, 0.0, epsilon)
    return result, momentum * mean + (1 - momentum) * own_mean, momentum * variance + (1 - momentum) * own_variance


def _standardise(x: Tensor, axes: list[int], epsilon: float) -> Tensor:
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + epsilon)


def _per_channel(weight: Tensor, like: Tensor) -> Tensor:
    return weight.reshape(-1, *[1] * (like.ndim - 2))


@executor("InstanceNormalization")
def _instance_norm(call: Call, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    normal = _standardise(x, list(range(2, x.ndim)), call.get("epsilon", 1e-5))
    return normal * _per_channel(scale, x) + _per_channel(shift, x)


@executor("GroupNormalization")
def _group_norm(call: Call, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift hold an element a group in opset 18 and one a channel since 21."""
    channels, groups = x.shape[1], int(call.get("num_groups"))
    rows = x.reshape(x.shape[0], groups, -1)
    normal = _standardise(rows, [2], call.get("epsilon", 1e-5)).reshape(x.shape)
    scale, shift = (weight.repeat_interleave(channels // weight.shape[0]) for weight in (scale, shift))
    return normal * _per_channel(scale, x) + _per_channel(shift, x)


@executor("LayerNormalization")
def _layer_norm(call: Call, x: Tensor, scale: Tensor, shift: Tensor | None = None) -> Result:
    start, epsilon = int(call.get("axis", -1)) % x.ndim, call.get("epsilon", 1e-5)
    size = x.shape[start:]
    if call.wants(1) or call.wants(2) or scale.shape != size or (shift is not None and shift.shape != size):
        axes = list(range(start, x.ndim))
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        inverse = torch.rsqrt(variance + epsilon)
        result = (x - mean) * inverse * scale
        return result if shift is None else result + shift, mean, inverse
    return functional.layer_norm(x, size, scale, shift, epsilon)


@executor("RMSNormalization")
def _rms_norm(call: Call, x: Tensor, scale: Tensor) -> Tensor:
    axes = list(range(int(call.get("axis", -1)) % x.ndim, x.ndim))
    return x * torch.rsqrt(x.square().mean(axes, keepdim=True) + call.get("epsilon", 1e-5)) * scale


@executor("MeanVarianceNormalization")
def _mean_variance_norm(call: Call, x: Tensor) -> Tensor:
    axes = call.ints("axes") or [0, 2, 3]
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) / (variance.sqrt() + 1e-9)


@executor("LRN")
def _local_response_norm(call: Call, x: Tensor) -> Tensor:
    """The sum is over ⌊(size−1)/2⌋ channels before and ⌈(size−1)/2⌉ after."""
    size = int(call.get("size"))
    padded = functional.pad(x.square().flatten(2).unsqueeze(1), [0, 0, (size - 1) // 2, size // 2])
    mean = functional.avg_pool2d(padded, (size, 1), 1).squeeze(1).reshape(x.shape)
    scale = mean * float(call.get("alpha", 1e-4)) + float(call.get("bias", 1.0))
    return x / scale ** float(call.get("beta", 0.75))


@executor("LpNormalization")
def _lp_norm(call: Call, x: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, call.get("p", 2), int(call.get("axis", -1)), keepdim=True)
    return x / torch.where(norm == 0, math.inf, norm)
