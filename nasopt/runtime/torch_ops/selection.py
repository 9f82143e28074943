"""What picks, joins, cuts and pads; sizes of tensors and tensors made from sizes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from nasopt.runtime.torch_ops.registry import TORCH_TYPES, Call, executor, plain


@executor("Concat")
def _concat(call: Call, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, int(call.get("axis", 1)))


def _sizes(call: Call, total: int, given: Tensor | None, parts: int) -> list[int]:
    """The sizes that are asked for, or equal ones of which the last may be smaller."""
    sizes = call.ints("split", given)
    if sizes is not None:
        return sizes
    most = -(-total // parts)
    return [max(min(most, total - most * place), 0) for place in range(parts)]


@executor("Split")
def _split(call: Call, x: Tensor, split: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = int(call.get("axis", 0))
    parts = int(call.get("num_outputs", len(call.node.outputs)))
    return torch.split(x, _sizes(call, x.shape[axis], split, parts), axis)


@executor("SplitToSequence")
def _split_to_sequence(call: Call, x: Tensor, split: Tensor | None = None) -> list[Tensor]:
    axis = int(call.get("axis", 0))
    if split is None:
        return [part if call.get("keepdims", 1) else part.squeeze(axis) for part in torch.split(x, 1, axis)]
    return list(torch.split(x, split.tolist(), axis))  # one number for all parts, or one each, as torch takes them


@plain("SequenceAt")
def _sequence_at(sequence: list[Tensor], place: Tensor) -> Tensor:
    return sequence[int(place)]


@executor("Slice")
def _slice(
    call: Call,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    first, last = call.ints("starts", starts) or [], call.ints("ends", ends) or []
    along = call.ints("axes", axes) or list(range(len(first)))
    strides = call.ints("steps", steps) or [1] * len(first)
    for axis, start, end, step in zip(along, first, last, strides, strict=True):
        size = x.shape[axis]
        places = range(*slice(start, end, step).indices(size))
        if step == 1:
            x = x.narrow(axis, places.start, len(places))
        elif len(places) < size or step < 0:
            x = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    return x


def _wrapped(index: Tensor, size: int) -> Tensor:
    """Negative positions count from the end."""
    index = index.to(torch.int64)
    return torch.where(index < 0, index + size, index)


@executor("Gather")
def _gather(call: Call, x: Tensor, index: Tensor) -> Tensor:
    axis = int(call.get("axis", 0)) % x.ndim
    picked = x.index_select(axis, _wrapped(index, x.shape[axis]).reshape(-1).to(x.device))
    return picked.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


@executor("GatherElements")
def _gather_elements(call: Call, x: Tensor, index: Tensor) -> Tensor:
    axis = int(call.get("axis", 0))
    return x.gather(axis, _wrapped(index, x.shape[axis]))


def _flat_places(shape: tuple[int, ...], index: Tensor) -> tuple[Tensor, int]:
    """Positions of whole blocks in a tensor whose first axes are flattened, from rows of coordinates; and how many axes those are."""
    depth = index.shape[-1]
    place = torch.zeros(index.shape[:-1], dtype=torch.int64, device=index.device)
    for axis in range(depth):
        place = place * shape[axis] + _wrapped(index[..., axis], shape[axis])
    return place, depth


@executor("GatherND")
def _gather_nd(call: Call, x: Tensor, index: Tensor) -> Tensor:
    shared = int(call.get("batch_dims", 0))
    batch = math.prod(x.shape[:shared])
    blocks, rows = x.reshape(batch, *x.shape[shared:]), index.reshape(batch, *index.shape[shared:])
    place, depth = _flat_places(tuple(blocks.shape[1:]), rows)
    flat = blocks.reshape(batch, -1, *blocks.shape[1 + depth :])
    offset = (torch.arange(batch, device=place.device) * flat.shape[1]).reshape(-1, *[1] * (place.ndim - 1))
    picked = flat.flatten(0, 1)[(place + offset).reshape(-1)]
    return picked.reshape([*index.shape[:-1], *x.shape[shared + depth :]])


_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@executor("Scatter", "ScatterElements")
def _scatter_elements(call: Call, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    axis = int(call.get("axis", 0))
    index, how = _wrapped(index, x.shape[axis]), call.get("reduction", "none")
    if how == "none":
        return x.scatter(axis, index, updates)
    return x.scatter_reduce(axis, index, updates, _REDUCE[how])


@executor("ScatterND")
def _scatter_nd(call: Call, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    place, depth = _flat_places(tuple(x.shape), index)
    block = math.prod(x.shape[depth:])
    flat, new = x.reshape(-1, block), updates.reshape(-1, block)
    places = place.reshape(-1, 1).expand(-1, block)
    how = call.get("reduction", "none")
    result = flat.scatter(0, places, new) if how == "none" else flat.scatter_reduce(0, places, new, _REDUCE[how])
    return result.reshape(x.shape)


@executor("OneHot")
def _one_hot(call: Call, index: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    size, axis = int(depth), int(call.get("axis", -1))
    place = index.to(torch.int64)
    place = torch.where(place < 0, place + size, place).unsqueeze(axis)
    shape = [1] * place.ndim
    shape[axis] = size
    return torch.where(place == torch.arange(size, device=place.device).reshape(shape), values[1], values[0])


@executor("Compress")
def _compress(call: Call, x: Tensor, condition: Tensor) -> Tensor:
    axis = call.get("axis")
    along = x.reshape(-1) if axis is None else x
    return along.index_select(int(axis or 0), torch.nonzero(condition).reshape(-1).to(x.device))


@executor("Pad")
def _pad(call: Call, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None) -> Tensor:
    amounts, along = call.ints("pads", pads) or [], call.ints("axes", axes)
    order = list(range(x.ndim)) if along is None else [axis % x.ndim for axis in along]
    table = [(0, 0)] * x.ndim
    for place, axis in enumerate(order):
        table[axis] = (amounts[place], amounts[place + len(order)])
    mode = call.get("mode", "constant")
    if mode == "constant":
        fill = call.get("value", 0.0) if value is None else value.item()
        return functional.pad(x, [number for pair in reversed(table) for number in pair], value=fill)
    for axis, (before, after) in enumerate(table):
        if before or after:
            x = x.index_select(axis, _mirrored(mode, x.shape[axis], before, after).to(x.device))
    return x


def _mirrored(mode: str, size: int, before: int, after: int) -> Tensor:
    """Which position every element of a padded axis is a copy of."""
    places = torch.arange(-before, size + after)
    if mode == "edge":
        return places.clamp(0, size - 1)
    if mode == "wrap":
        return places % size
    period = max(2 * (size - 1), 1)
    places = places % period
    return torch.where(places < size, places, period - places)


@executor("Shape")
def _shape(call: Call, x: Tensor) -> Tensor:
    return torch.tensor(x.shape[call.get("start", 0) : call.get("end")], dtype=torch.int64)


@plain("Size")
def _size(x: Tensor) -> Tensor:
    return torch.tensor(x.numel(), dtype=torch.int64)


@executor("ConstantOfShape")
def _constant_of_shape(call: Call, shape: Tensor) -> Tensor:
    value = call.get("value")
    fill = torch.zeros(1) if value is None else torch.from_numpy(value.copy())
    return fill.reshape(()).expand(shape.tolist())


@plain("Range")
def _range(start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    """As many elements as the operator's definition says: torch's own rounding of the count may differ."""
    first, last, delta = start.item(), limit.item(), step.item()
    count = max(math.ceil((last - first) / delta), 0)
    return first + torch.arange(count, dtype=start.dtype, device=start.device) * delta


@executor("EyeLike")
def _eye_like(call: Call, x: Tensor) -> Tensor:
    dtype = TORCH_TYPES[call.get("dtype")] if "dtype" in call.node.attrs else x.dtype
    places = torch.arange(x.shape[0]).reshape(-1, 1) + int(call.get("k", 0)) == torch.arange(x.shape[1])
    return places.to(dtype)


@executor("RandomNormal")
def _random_normal(call: Call) -> Tensor:
    noise = torch.randn(call.ints("shape") or [], dtype=TORCH_TYPES[call.get("dtype", 1)])
    return noise * float(call.get("scale", 1.0)) + float(call.get("mean", 0.0))


@executor("RandomUniform")
def _random_uniform(call: Call) -> Tensor:
    low, high = float(call.get("low", 0.0)), float(call.get("high", 1.0))
    return torch.rand(call.ints("shape") or [], dtype=TORCH_TYPES[call.get("dtype", 1)]) * (high - low) + low
