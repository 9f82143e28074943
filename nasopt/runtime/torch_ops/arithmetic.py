"""Element by element: broadcast arithmetic, comparisons, logic, element types."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from onnx import TensorProto
from torch import Tensor

from nasopt.runtime.torch_ops.registry import TORCH_TYPES, Call, executor, plain

_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Add": torch.add,
    "And": torch.logical_and,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "BitwiseAnd": torch.bitwise_and,
    "BitwiseNot": torch.bitwise_not,
    "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Equal": torch.eq,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "IsNaN": torch.isnan,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Log": torch.log,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Or": torch.logical_or,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,  # half to even, in both
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Sub": torch.sub,
    "Tan": torch.tan,
    "Where": torch.where,
    "Xor": torch.logical_xor,
}
for _name, _function in _FUNCTIONS.items():
    plain(_name)(_function)


@plain("Div")
def _div(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


@executor("Mod")
def _mod(call: Call, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if call.get("fmod", 0) else torch.remainder(a, b)


@plain("Pow")
def _pow(base: Tensor, exponent: Tensor) -> Tensor:
    """The result has the base's type, whatever the exponent's."""
    return torch.pow(base, exponent).to(base.dtype)


@executor("BitShift")
def _bit_shift(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """In 64 bits, since torch shifts few of the unsigned types."""
    shift = torch.bitwise_left_shift if call.get("direction") == "LEFT" else torch.bitwise_right_shift
    return shift(a.to(torch.int64), b.to(torch.int64)).to(a.dtype)


@executor("IsInf")
def _is_inf(call: Call, x: Tensor) -> Tensor:
    positive, negative = (bool(call.get(name, 1)) for name in ("detect_positive", "detect_negative"))
    return torch.isinf(x) & ((positive & (x > 0)) | (negative & (x < 0)))


def _variadic(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    plain(name)(lambda *inputs: reduce(function, inputs))


_variadic("Max", torch.maximum)
_variadic("Min", torch.minimum)
_variadic("Sum", torch.add)


@plain("Mean")
def _mean(*inputs: Tensor) -> Tensor:
    return reduce(torch.add, inputs) / len(inputs)


@executor("Clip")
def _clip(call: Call, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Bounds are attributes before opset 11."""
    least, most = (call.get("min") if low is None else low), (call.get("max") if high is None else high)
    return x if least is None and most is None else torch.clamp(x, least, most)


def _unknown_type(call: Call) -> str:
    to = int(call.get("to", 0))
    return "" if to in TORCH_TYPES else f"to {TensorProto.DataType.Name(to)}"


@executor("Cast", refuses=_unknown_type)
def _cast(call: Call, x: Tensor) -> Tensor:
    return x.to(TORCH_TYPES[int(call.get("to"))])


@plain("CastLike")
def _cast_like(x: Tensor, other: Tensor) -> Tensor:
    return x.to(other.dtype)


@executor("Trilu")
def _trilu(call: Call, x: Tensor, diagonal: Tensor | None = None) -> Tensor:
    offset = 0 if diagonal is None else int(diagonal)
    return torch.triu(x, offset) if call.get("upper", 1) else torch.tril(x, offset)
