"""Shape arithmetic: the small constants that Shape/Gather/Slice/Cast/Concat chains compute.

Exporters spell sizes as little programs (``Concat(Gather(Shape(x), 0), 64, -1)`` into a Reshape). Under bound input shapes every
step of such a chain is a constant; `evaluate` computes one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

__all__ = ["LIMIT", "evaluate", "slice_index"]

LIMIT = 4096
"""Larger tensors are data, not shape arithmetic, and are not folded."""

Array = np.ndarray[Any, Any]
Attrs = Mapping[str, Any]
Inputs = Sequence["Array | None"]


def evaluate(op: str, inputs: Inputs, attrs: Attrs) -> list[Array] | None:
    """The outputs of one node whose inputs are all known.

    Args:
        op: operator of the default domain.
        inputs: one array an input; None for an optional input left out.
        attrs: the node's attributes.

    Returns:
        The outputs, or None where the operator is not shape arithmetic or the result would be too large.
    """
    rule = _RULES.get(op)
    if rule is None:
        return None
    try:
        with np.errstate(all="ignore"):
            result = rule(inputs, attrs)
    except (IndexError, ValueError, TypeError, ZeroDivisionError, OverflowError, KeyError):
        return None
    outputs = result if isinstance(result, list) else [result]
    return outputs if all(output.size <= LIMIT for output in outputs) else None


def slice_index(rank: int, starts: Array, ends: Array, axes: Array | None, steps: Array | None) -> tuple[slice, ...]:
    """ONNX Slice operands as a numpy index."""
    index = [slice(None)] * rank
    for place in range(len(starts)):
        axis = int(axes[place]) if axes is not None else place
        step = int(steps[place]) if steps is not None else 1
        start, end = int(starts[place]), int(ends[place])
        # A negative step that runs to the front is spelt with a very negative end, which numpy would take from the back.
        stop = None if step < 0 and end < -(2**31) + 2 else end
        index[axis] = slice(start, stop, step)
    return tuple(index)


def _operand(inputs: Inputs, attrs: Attrs, slot: int, name: str) -> Array | None:
    """An operand that older opsets carry as an attribute and newer ones as an input."""
    if slot < len(inputs) and inputs[slot] is not None:
        return inputs[slot]
    return np.asarray(attrs[name]) if name in attrs else None


def _need(value: Array | None) -> Array:
    if value is None:
        raise ValueError("operand missing")
    return value


def _cast(inputs: Inputs, attrs: Attrs) -> Array:
    return _need(inputs[0]).astype(tensor_dtype_to_np_dtype(attrs["to"]))


def _clip(inputs: Inputs, attrs: Attrs) -> Array:
    data = _need(inputs[0])
    low, high = (_operand(inputs, attrs, slot, name) for slot, name in ((1, "min"), (2, "max")))
    least = data if low is None else np.maximum(data, low)
    return np.asarray(least if high is None else np.minimum(least, high), data.dtype)


def _constant_of_shape(inputs: Inputs, attrs: Attrs) -> Array:
    shape = tuple(int(n) for n in _need(inputs[0]))
    if int(np.prod(shape, dtype=np.int64)) > LIMIT:
        raise ValueError("too large")
    value = attrs.get("value")
    fill = np.zeros(1, np.float32) if value is None else value
    return np.full(shape, fill.reshape(-1)[0], fill.dtype)


def _divide(inputs: Inputs, attrs: Attrs) -> Array:
    a, b = _need(inputs[0]), _need(inputs[1])
    if not np.issubdtype(a.dtype, np.integer):
        return np.asarray(a / b, a.dtype)
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), a.dtype)


def _mod(inputs: Inputs, attrs: Attrs) -> Array:
    a, b = _need(inputs[0]), _need(inputs[1])
    return np.asarray(np.fmod(a, b) if attrs.get("fmod", 0) else np.mod(a, b))


def _squeeze(inputs: Inputs, attrs: Attrs) -> Array:
    axes = _operand(inputs, attrs, 1, "axes")
    return np.squeeze(_need(inputs[0]), None if axes is None else tuple(int(axis) for axis in axes))


def _unsqueeze(inputs: Inputs, attrs: Attrs) -> Array:
    return np.expand_dims(_need(inputs[0]), tuple(int(axis) for axis in _need(_operand(inputs, attrs, 1, "axes")).reshape(-1)))


def _slice(inputs: Inputs, attrs: Attrs) -> Array:
    data = _need(inputs[0])
    starts, ends = _need(_operand(inputs, attrs, 1, "starts")), _need(_operand(inputs, attrs, 2, "ends"))
    steps = inputs[4] if len(inputs) > 4 else None
    return data[slice_index(data.ndim, starts, ends, _operand(inputs, attrs, 3, "axes"), steps)]


def _reshape(inputs: Inputs, attrs: Attrs) -> Array:
    data, target = _need(inputs[0]), _need(inputs[1])
    return data.reshape([data.shape[i] if n == 0 and not attrs.get("allowzero", 0) else int(n) for i, n in enumerate(target)])


def _expand(inputs: Inputs, attrs: Attrs) -> Array:
    data, target = _need(inputs[0]), tuple(int(n) for n in _need(inputs[1]))
    shape = np.broadcast_shapes(data.shape, target)
    if int(np.prod(shape, dtype=np.int64)) > LIMIT:
        raise ValueError("too large")
    return np.broadcast_to(data, shape)


def _range(inputs: Inputs, attrs: Attrs) -> Array:
    start, limit, delta = (_need(value).reshape(-1)[0] for value in inputs[:3])
    if abs((limit - start) / delta) > LIMIT:
        raise ValueError("too large")
    return np.arange(start, limit, delta, dtype=start.dtype)


def _split(inputs: Inputs, attrs: Attrs) -> list[Array]:
    data, axis = _need(inputs[0]), int(attrs.get("axis", 0))
    sizes = _operand(inputs, attrs, 1, "split")
    if sizes is None:
        return list(np.array_split(data, int(attrs["num_outputs"]), axis))
    return list(np.split(data, np.cumsum(sizes)[:-1], axis))


def _reduce(function: Callable[..., Any]) -> Callable[[Inputs, Attrs], Array]:
    def rule(inputs: Inputs, attrs: Attrs) -> Array:
        axes = _operand(inputs, attrs, 1, "axes")
        axis = None if axes is None else tuple(int(a) for a in axes)
        data = _need(inputs[0])
        return np.asarray(function(data, axis=axis, keepdims=bool(attrs.get("keepdims", 1))), data.dtype)

    return rule


def _unary(function: Callable[[Any], Any]) -> Callable[[Inputs, Attrs], Array]:
    return lambda inputs, attrs: np.asarray(function(_need(inputs[0])))


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[Inputs, Attrs], Array]:
    return lambda inputs, attrs: np.asarray(function(_need(inputs[0]), _need(inputs[1])))


def _nary(function: Callable[[Any, Any], Any]) -> Callable[[Inputs, Attrs], Array]:
    def rule(inputs: Inputs, attrs: Attrs) -> Array:
        total = _need(inputs[0])
        for value in inputs[1:]:
            total = function(total, _need(value))
        return np.asarray(total)

    return rule


_RULES: dict[str, Callable[[Inputs, Attrs], Array | list[Array]]] = {
    "Abs": _unary(np.abs),
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "Cast": _cast,
    "Ceil": _unary(np.ceil),
    "Clip": _clip,
    "Concat": lambda inputs, attrs: np.concatenate([_need(value) for value in inputs], int(attrs["axis"])),
    "ConstantOfShape": _constant_of_shape,
    "Div": _divide,
    "Equal": _binary(np.equal),
    "Exp": _unary(np.exp),
    "Expand": _expand,
    "Flatten": lambda inputs, attrs: _need(inputs[0]).reshape(
        int(np.prod(_need(inputs[0]).shape[: int(attrs.get("axis", 1))], dtype=np.int64)), -1
    ),
    "Floor": _unary(np.floor),
    "Gather": lambda inputs, attrs: np.take(_need(inputs[0]), _need(inputs[1]).astype(np.int64), axis=int(attrs.get("axis", 0))),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Identity": _unary(np.asarray),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Log": _unary(np.log),
    "Max": _nary(np.maximum),
    "Min": _nary(np.minimum),
    "Mod": _mod,
    "Mul": _binary(np.multiply),
    "Neg": _unary(np.negative),
    "Not": _unary(np.logical_not),
    "Or": _binary(np.logical_or),
    "Pow": lambda inputs, attrs: np.asarray(np.power(_need(inputs[0]), _need(inputs[1])), _need(inputs[0]).dtype),
    "Range": _range,
    "Reciprocal": _unary(np.reciprocal),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Round": _unary(np.round),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _unary(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _binary(np.subtract),
    "Sum": _nary(np.add),
    "Tile": lambda inputs, attrs: np.tile(_need(inputs[0]), _need(inputs[1])),
    "Transpose": lambda inputs, attrs: np.transpose(_need(inputs[0]), attrs.get("perm")),
    "Unsqueeze": _unsqueeze,
    "Where": lambda inputs, attrs: np.where(_need(inputs[0]), _need(inputs[1]), _need(inputs[2])),
}
