"""Reductions, and what picks positions along an axis."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from nasopt.runtime.torch_ops.registry import Call, Result, executor, plain

Reduction = Callable[[Tensor, list[int], bool], Tensor]


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return x.mean(axes, keep)
    total = x.sum(axes, keep, dtype=x.dtype)
    return torch.div(total, max(x.numel() // max(total.numel(), 1), 1), rounding_mode="trunc")


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """One axis at a time, the last first, so that the numbers of the others hold."""
    return reduce(lambda y, axis: y.prod(axis, keep, dtype=x.dtype), sorted(axes, reverse=True), x)


def _norm(order: int) -> Reduction:
    def norm(x: Tensor, axes: list[int], keep: bool) -> Tensor:
        exact = x if x.is_floating_point() else x.to(torch.float64)
        result: Tensor = torch.linalg.vector_norm(exact, order, axes, keep)
        return result.to(x.dtype)

    return norm


_REDUCTIONS: dict[str, Reduction] = {
    "ReduceL1": _norm(1),
    "ReduceL2": _norm(2),
    "ReduceLogSum": lambda x, axes, keep: x.sum(axes, keep).log(),
    "ReduceLogSumExp": torch.logsumexp,
    "ReduceMax": torch.amax,
    "ReduceMean": _mean,
    "ReduceMin": torch.amin,
    "ReduceProd": _product,
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keep, dtype=x.dtype),
    "ReduceSumSquare": lambda x, axes, keep: x.square().sum(axes, keep, dtype=x.dtype),
}


def _reducing(function: Reduction) -> Callable[..., Tensor]:
    def run(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = call.ints("axes", axes)
        if not chosen:
            if call.get("noop_with_empty_axes", 0):
                return x
            chosen = list(range(x.ndim))
        if not chosen:  # a scalar has no axis to reduce: as a row of one element it has
            return function(x.reshape(1), [0], False)
        return function(x, [axis % x.ndim for axis in chosen], bool(call.get("keepdims", 1)))

    return run


for _name, _function in _REDUCTIONS.items():
    executor(_name)(_reducing(_function))


@executor("ArgMax", "ArgMin")
def _arg(call: Call, x: Tensor) -> Tensor:
    pick = torch.argmax if call.node.op == "ArgMax" else torch.argmin
    axis, keep = int(call.get("axis", 0)), bool(call.get("keepdims", 1))
    if x.dtype == torch.bool:
        x = x.to(torch.uint8)
    if call.get("select_last_index", 0):
        return x.shape[axis] - 1 - pick(x.flip(axis), axis, keep)
    return pick(x, axis, keep)


@executor("TopK")
def _top_k(call: Call, x: Tensor, count: Tensor | None = None) -> Result:
    """Of equal elements the first comes first, which `torch.topk` does not promise."""
    axis, number = int(call.get("axis", -1)), int(call.get("k") if count is None else count)
    values, places = torch.sort(x, dim=axis, descending=bool(call.get("largest", 1)), stable=True)
    return values.narrow(axis, 0, number), places.narrow(axis, 0, number)


@executor("CumSum")
def _cumulative_sum(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    along = int(axis)
    turned = x.flip(along) if call.get("reverse", 0) else x
    total = turned.cumsum(along, dtype=x.dtype)
    if call.get("exclusive", 0):
        total = total - turned
    return total.flip(along) if call.get("reverse", 0) else total


@plain("NonZero")
def _non_zero(x: Tensor) -> Tensor:
    return torch.nonzero(x).T
