"""Pooling and sampling along spatial axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nasopt.runtime.torch_ops.registry import Call, Result, executor, plain
from nasopt.runtime.torch_ops.sliding import Window, flat_pads, window

_MAX: dict[int, Callable[..., Any]] = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_CONV = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}


def _window(call: Call, x: Tensor) -> Window:
    return window(call, list(x.shape[2:]), call.ints("kernel_shape") or [])


def _torch_pads(place: Window) -> bool:
    """Whether torch's own padding, equal on both sides and at most half a kernel, is what is asked for."""
    return place.symmetric and all(2 * pad <= size for pad, size in zip(place.before, place.kernel, strict=True))


@executor("MaxPool")
def _max_pool(call: Call, x: Tensor) -> Result:
    place, exact = _window(call, x), x if x.is_floating_point() else x.to(torch.float32)  # exact: ONNX allows 8 bits
    padding = place.before if _torch_pads(place) else [0] * len(place.before)
    padded = exact if _torch_pads(place) else place.pad(exact, -math.inf)
    pooled = _MAX[x.ndim - 2](padded, place.kernel, place.strides, padding, place.dilations, return_indices=call.wants(1))
    if not call.wants(1):
        alone: Tensor = pooled.to(x.dtype)
        return alone
    values, found = pooled
    shift = [0] * len(padding) if padded is exact else place.before
    return values.to(x.dtype), _whole_tensor_places(found, x.shape, padded.shape[2:], shift, bool(call.get("storage_order", 0)))


def _whole_tensor_places(found: Tensor, shape: Sequence[int], inner: Sequence[int], before: list[int], columns_first: bool) -> Tensor:
    """ONNX counts positions in the whole tensor, torch within one channel of the padded input."""
    coordinates = torch.unravel_index(found, tuple(inner))
    sizes = shape[2:]
    order = list(range(len(sizes)))
    if columns_first:
        order.reverse()
    place = torch.zeros_like(found)
    for axis in order:
        place = place * sizes[axis] + coordinates[axis] - before[axis]
    channels = torch.arange(shape[0] * shape[1], device=found.device).reshape(*shape[:2], *[1] * len(sizes))
    return place + channels * math.prod(sizes)


def _window_sums(x: Tensor, place: Window) -> Tensor:
    """The sum under every position of a window; `x` is padded already."""
    rank = len(place.kernel)
    ones = torch.ones(1, 1, *place.kernel, dtype=x.dtype, device=x.device)
    sums = _CONV[rank](x.reshape(-1, 1, *x.shape[2:]), ones, None, place.strides, 0, place.dilations)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


@executor("AveragePool")
def _average_pool(call: Call, x: Tensor) -> Tensor:
    """A sum divided by the number of elements under the window, those of the padding counted or not, those beyond it never."""
    place, include = _window(call, x), bool(call.get("count_include_pad", 0))
    if _torch_pads(place) and not any(place.beyond) and all(step == 1 for step in place.dilations):
        return _AVERAGE[x.ndim - 2](x, place.kernel, place.strides, place.before, False, include)
    ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
    inside = [after - beyond for after, beyond in zip(place.after, place.beyond, strict=True)]
    counted = functional.pad(ones, flat_pads(place.before, inside), value=float(include))
    counted = functional.pad(counted, flat_pads([0] * len(inside), place.beyond))
    return _window_sums(place.pad(x), place) / _window_sums(counted, place)


@executor("LpPool")
def _lp_pool(call: Call, x: Tensor) -> Tensor:
    place, order = _window(call, x), int(call.get("p", 2))
    sums = _window_sums(place.pad(x.abs() ** order), place)
    # A root's derivative at 0 is infinite, times 0 no number: where a window is all 0, as behind a Relu, nothing moves.
    rooted: Tensor = torch.where(sums > 0, sums.clamp_min(torch.finfo(sums.dtype).tiny) ** (1 / order), 0.0)
    return rooted


@plain("GlobalAveragePool")
def _global_average(x: Tensor) -> Tensor:
    return x.mean(list(range(2, x.ndim)), keepdim=True)


@plain("GlobalMaxPool")
def _global_max(x: Tensor) -> Tensor:
    return x.amax(list(range(2, x.ndim)), keepdim=True)


@executor("GlobalLpPool")
def _global_lp(call: Call, x: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, int(call.get("p", 2)), list(range(2, x.ndim)), keepdim=True)
    return norm


_SAMPLING = {"linear": "bilinear", "cubic": "bicubic"}


@executor("GridSample")
def _grid_sample(call: Call, x: Tensor, grid: Tensor) -> Tensor:
    mode = call.get("mode", "bilinear")
    return functional.grid_sample(x, grid, _SAMPLING.get(mode, mode), call.get("padding_mode", "zeros"), bool(call.get("align_corners", 0)))


@executor("AffineGrid")
def _affine_grid(call: Call, theta: Tensor, size: Tensor) -> Tensor:
    return functional.affine_grid(theta, size.tolist(), bool(call.get("align_corners", 0)))
