"""Resize and Upsample: along one axis after the other, every element of the result is a weighted sum of a few of the input.

One code for every mode and rank: nearest takes one element, linear two, cubic four. Coordinates are computed in float32, as ONNX Runtime
computes them, so that ties fall the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nasopt.runtime.torch_ops.registry import Call, executor


def _coordinates(how: str, x: Tensor, scale: float, before: int, after: int) -> Tensor:
    """Positions in the input of positions `x` in the result."""
    pixels = (x + 0.5) / scale - 0.5
    if how == "half_pixel":
        return pixels
    if how == "half_pixel_symmetric":
        return before / 2 * (1 - after / (scale * before)) + pixels
    if how == "pytorch_half_pixel":
        return pixels if after > 1 else torch.zeros_like(x)
    if how == "align_corners":
        return x * (before - 1) / (after - 1) if after > 1 else torch.zeros_like(x)
    return (x + 0.5) / scale if how == "tf_half_pixel_for_nn" else x / scale


_ROUNDING: dict[str, Callable[[Tensor], Tensor]] = {
    "round_prefer_floor": lambda x: torch.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: torch.floor(x + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}


def _cropped(x: Tensor, region: tuple[float, float], before: int, after: int) -> Tensor:
    start, end = region
    if after > 1:
        return start * (before - 1) + x * ((end - start) * (before - 1) / (after - 1))
    return torch.full_like(x, 0.5 * (start + end) * (before - 1))


def _sampled(call: Call, mode: str, rounding: Callable[[Tensor], Tensor], at: Tensor, size: int) -> list[tuple[Tensor, Tensor | None]]:
    """Which elements of an axis are summed, with which weights; None for a single one."""
    if mode == "nearest":
        return [(rounding(at).clamp(0, size - 1).to(torch.int64), None)]
    if mode == "linear":
        at = at.clamp(0, size - 1)
        low = at.floor()
        first, second = low.to(torch.int64), (low + 1).clamp(max=size - 1).to(torch.int64)
        return [(first, 1 - (at - low)), (second, at - low)]
    low, a = at.floor(), call.get("cubic_coeff_a", -0.75)
    taps = []
    for shift in (-1, 0, 1, 2):
        distance = (at - (low + shift)).abs()
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((distance - 5) * distance + 8) * distance * a - 4 * a
        taps.append((low + shift, torch.where(distance <= 1, near, far)))
    if call.get("exclude_outside", 0):
        taps = [(place, torch.where((place < 0) | (place >= size), 0.0, weight)) for place, weight in taps]
        total = torch.stack([weight for _, weight in taps]).sum(0)
        taps = [(place, weight / total) for place, weight in taps]
    return [(place.clamp(0, size - 1).to(torch.int64), weight) for place, weight in taps]


def _along(x: Tensor, axis: int, taps: list[tuple[Tensor, Tensor | None]]) -> Tensor:
    result: Tensor | None = None
    for place, weight in taps:
        part = x.index_select(axis, place.to(x.device))
        if weight is not None:
            part = part * weight.to(x).reshape(-1, *[1] * (x.ndim - 1 - axis))
        result = part if result is None else result + part
    assert result is not None
    return result


def _no_antialias(call: Call) -> str:
    return "antialias" if call.get("antialias", 0) else ""


@executor("Resize", refuses=_no_antialias)
def _resize(call: Call, x: Tensor, *operands: Tensor | None) -> Tensor:
    """Opset 10 is given scales alone and knows asymmetric coordinates only; since 11 there are a region, scales and sizes."""
    if call.opset < 11:
        return _scaled(call, x, operands[0])
    region, scales, sizes = (*operands, None, None, None)[:3]
    axes = [axis % x.ndim for axis in call.ints("axes") or range(x.ndim)]
    given = [] if scales is None else scales.tolist()
    before = [x.shape[axis] for axis in axes]
    if given:
        after = [math.floor(size * scale) for size, scale in zip(before, given, strict=True)]
    else:
        assert sizes is not None
        after, given = _from_sizes(call, before, [int(size) for size in sizes.tolist()])
    how, mode = call.get("coordinate_transformation_mode", "half_pixel"), call.get("mode", "nearest")
    rounding = _ROUNDING[call.get("nearest_mode", "round_prefer_floor")]
    corners = [0.0] * len(axes) + [1.0] * len(axes) if region is None or not region.numel() else region.tolist()
    for place, axis in enumerate(axes):
        if before[place] == after[place] and given[place] == 1 and how != "tf_crop_and_resize":
            continue
        positions = torch.arange(after[place], dtype=torch.float32)
        if how == "tf_crop_and_resize":
            at = _cropped(positions, (corners[place], corners[place + len(axes)]), before[place], after[place])
        else:
            at = _coordinates(how, positions, given[place], before[place], after[place])
        x = _along(x, axis, _sampled(call, mode, rounding, at, before[place]))
        if how == "tf_crop_and_resize":
            outside = ((at < 0) | (at > before[place] - 1)).to(x.device).reshape(-1, *[1] * (x.ndim - 1 - axis))
            x = x.masked_fill(outside, call.get("extrapolation_value", 0.0))
    return x


def _from_sizes(call: Call, before: list[int], wanted: list[int]) -> tuple[list[int], list[float]]:
    ratios = [want / have for want, have in zip(wanted, before, strict=True)]
    policy = call.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return wanted, ratios
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [math.floor(scale * size + 0.5) for size in before], [scale] * len(before)


@executor("Upsample")
def _scaled(call: Call, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """Also Resize in opset 10: asymmetric coordinates, rounded as ONNX Runtime rounds them before opset 11."""
    given = call.get("scales") if scales is None else scales.tolist()
    for axis, scale in enumerate(given):
        if scale == 1:
            continue
        after = math.floor(x.shape[axis] * scale)
        at = torch.arange(after, dtype=torch.float32) / scale
        rounding = torch.ceil if scale < 1 else torch.floor
        x = _along(x, axis, _sampled(call, call.get("mode", "nearest"), rounding, at, x.shape[axis]))
    return x
