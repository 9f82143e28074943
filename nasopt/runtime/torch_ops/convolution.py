"""Conv and ConvTranspose in one, two and three dimensions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nasopt.runtime.torch_ops.registry import Call, executor
from nasopt.runtime.torch_ops.sliding import flat_pads, window

_CONV = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@executor("Conv")
def _conv(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    place = window(call, list(x.shape[2:]), list(weight.shape[2:]))
    if place.symmetric:
        padding = place.before
    else:
        x, padding = place.pad(x), [0] * len(place.before)
    return _CONV[x.ndim - 2](x, weight, bias, place.strides, padding, place.dilations, int(call.get("group", 1)))


@executor("ConvTranspose")
def _conv_transpose(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The whole result is computed and cut to size where its borders are not what torch can be asked for."""
    rank = x.ndim - 2
    strides, dilations = (call.ints(name) or [1] * rank for name in ("strides", "dilations"))
    extra = call.ints("output_padding") or [0] * rank
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    full = [(n - 1) * s + r for n, s, r in zip(x.shape[2:], strides, reach, strict=True)]
    before, after = _borders(call, list(x.shape[2:]), strides, [size + more for size, more in zip(full, extra, strict=True)])
    groups = int(call.get("group", 1))
    function = _TRANSPOSED[rank]
    if before == after and all(more < max(s, d) for more, s, d in zip(extra, strides, dilations, strict=True)):
        return function(x, weight, bias, strides, before, extra, groups, dilations)
    whole = function(x, weight, None, strides, 0, 0, groups, dilations)
    cut = functional.pad(whole, flat_pads([-n for n in before], [more - n for more, n in zip(extra, after, strict=True)]))
    return cut if bias is None else cut + bias.reshape(-1, *[1] * rank)


def _borders(call: Call, size: list[int], strides: list[int], full: list[int]) -> tuple[list[int], list[int]]:
    """What to cut off at the beginning and the end; a negative number at the end adds zeros."""
    auto = call.get("auto_pad", "NOTSET")
    wanted = call.ints("output_shape")
    if wanted is not None:
        wanted = wanted[-len(size) :]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(size, strides, strict=True)]
    else:
        pads = call.ints("pads") if auto == "NOTSET" else None
        return (pads[: len(size)], pads[len(size) :]) if pads else ([0] * len(size), [0] * len(size))
    totals = [have - want for have, want in zip(full, wanted, strict=True)]
    halves = [max(total, 0) // 2 for total in totals]
    # The larger half goes first unless SAME_UPPER says otherwise; what is missing can only be added at the end.
    head = halves if auto == "SAME_UPPER" else [max(total, 0) - half for total, half in zip(totals, halves, strict=True)]
    return head, [total - part for total, part in zip(totals, head, strict=True)]
