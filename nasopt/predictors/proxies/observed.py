"""What a network does while it runs: its products, rectifiers, norms and pools, seen where torch is called.

A plain module is built of submodules, a bridged one (`nasopt.runtime.bridge`) calls functions. What both share is the call of a torch
function, so that is where they are watched, and where norms are given another meaning. Nothing in the network is hooked or replaced.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nasopt.errors import MissingExtraError

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode
except ModuleNotFoundError:
    raise MissingExtraError("this needs PyTorch: pip install 'nasopt[torch]'") from None

__all__ = ["Norms", "Observer", "Product", "Redraw"]

Redraw = Callable[[nn.Parameter, Tensor], Tensor]
"""What to multiply with instead of a weight: given the parameter and what of it would be multiplied with (the same, or transposed)."""

_Function = Callable[..., Any]
_Arguments = tuple[Any, ...]
_Options = dict[str, Any]
_Place = tuple[int, str]
"""Of an argument: its position and its name."""

MOMENTUM = 0.1
"""Of running variances, as torch has it by default."""


class Norms(enum.Enum):
    """What a batch normalisation does while it is observed. Running statistics of the network are neither read nor moved."""

    BATCH = "normalises by the batch's own statistics, as at the first step of training"
    OFF = "passes on what it gets"
    FRESH = "as in BATCH, with scale 1, shift 0, and running variances of its own, which begin at 1"


@dataclass(frozen=True, slots=True)
class Product:
    """A convolution or a product of matrices, as it was called."""

    weight: nn.Parameter | None
    """None where both operands were computed, as queries and keys are."""
    macs: int
    """Multiply-accumulates of all rows of the batch, bias excluded."""
    axis: int
    """Of the output, where its channels are."""
    channels: int


@dataclass(frozen=True, slots=True)
class _Signature:
    """Where a function has its operands."""

    left: _Place
    right: _Place
    bias: _Place | None = None
    layout: str = "matrix"
    """``conv``, ``transposed``, ``dense`` (the weight is read transposed) or ``matrix``."""


class Observer(TorchFunctionMode):
    """Watches the calls of torch functions within its ``with`` block.

    Attributes:
        products: in the order of their calls.
        outputs: of the products that have a weight, if they are kept, in that order.
        agreements: (rows, rows), how many rectified elements two rows of the batch agree on, on or off, over all rectifiers; None
            unless they are counted, or if there was no rectifier.
        pooled: what the last pool over a whole image read: the features before the classifier. None without one.
        variances: of `Norms.FRESH`, the running variance of each norm, in the order of their calls.
    """

    def __init__(
        self, rows: int, *, norms: Norms = Norms.BATCH, keep: bool = False, agree: bool = False, redraw: Redraw | None = None
    ) -> None:
        """Prepares to watch.

        Args:
            rows: of the batch.
            norms: what batch normalisation does.
            keep: keep the outputs of products.
            agree: count agreements of rectifiers.
            redraw: multiply with other weights, and without bias.
        """
        super().__init__()
        self._rows, self._norms, self._keep, self._agree, self._redraw = rows, norms, keep, agree, redraw
        self._softmax: tuple[Tensor, Tensor] | None = None
        self._norm = 0
        self.products: list[Product] = []
        self.outputs: list[Tensor] = []
        self.agreements: Tensor | None = None
        self.pooled: Tensor | None = None
        self.variances: list[Tensor] = []

    def run(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
        """What the network answers, watched from the start."""
        self._norm, self.products, self.outputs, self.pooled, self._softmax = 0, [], [], None, None
        with self:
            return network(*inputs)

    def logits(self, output: Tensor) -> Tensor:
        """What a softmax that made the output has read; the output itself if none did."""
        if self._softmax is None:
            return output
        read, made = self._softmax
        # The bridge reshapes what its softmax made: another tensor on the same numbers.
        return read.reshape(output.shape) if made.data_ptr() == output.data_ptr() and made.numel() == output.numel() else output

    def __torch_function__(self, func: _Function, types: Any, args: _Arguments = (), kwargs: _Options | None = None) -> Any:
        """Called instead of every torch function; what is called from here is not watched."""
        options = kwargs or {}
        if func in _PRODUCTS:
            return self._product(func, _PRODUCTS[func], args, options)
        if func in _NORMS:
            return self._normalise(_NORMS[func], args, options)
        if self._agree and func in _RECTIFIERS and _RECTIFIERS[func](args, options):
            self._count(_argument(args, options, _INPUT))
        if func is functional.hardsigmoid:
            return functional.relu6(_argument(args, options, _INPUT) + 3) / 6  # its own has no second derivative
        result = func(*args, **options)
        if func is functional.scaled_dot_product_attention:
            query, key, value = (_argument(args, options, place) for place in _ATTENTION)
            scores = query.numel() // query.shape[-1] * key.shape[-2]
            self.products.append(Product(None, scores * (query.shape[-1] + value.shape[-1]), -1, value.shape[-1]))
        if func in _POOLS and _is_global(_argument(args, options, _INPUT), result):
            self.pooled = _argument(args, options, _INPUT)
        elif func in _SOFTMAX:
            self._softmax = _argument(args, options, _INPUT), result
        return result

    def _product(self, func: _Function, signature: _Signature, args: _Arguments, options: _Options) -> Any:
        left, right = _argument(args, options, signature.left), _argument(args, options, signature.right)
        weight, place = _parameter(right), signature.right
        if weight is None and signature.layout == "matrix":
            weight, place = _parameter(left), signature.left
        if self._redraw is not None and weight is not None:
            drawn = self._redraw(weight, _argument(args, options, place))
            args, options = _replaced(args, options, place, drawn)
            args, options = _without_bias(args, options, signature)
        result = func(*args, **options)
        match signature.layout:
            case "conv":
                macs, axis = result.numel() * math.prod(right.shape[1:]), 1
            case "transposed":
                macs, axis = left.numel() * math.prod(right.shape[1:]), 1
            case _:
                macs, axis = result.numel() * left.shape[-1], -2 if place is signature.left else -1
        axis = max(axis, -result.ndim)
        self.products.append(Product(weight, macs, axis, result.shape[axis] if result.ndim else 1))
        if not self._keep or weight is None:
            return result
        self.outputs.append(result)
        return result.clone()  # what comes next may overwrite it

    def _normalise(self, places: tuple[_Place, ...], args: _Arguments, options: _Options) -> Tensor:
        x, scale, shift, epsilon = (_argument(args, options, place) for place in places)
        epsilon = 1e-5 if epsilon is None else epsilon
        if self._norms is Norms.OFF:
            return x  # type: ignore[no-any-return]
        if self._norms is Norms.BATCH:
            return functional.batch_norm(x, None, None, scale, shift, True, 0.0, epsilon)
        if self._norm == len(self.variances):
            self.variances.append(x.new_ones(x.shape[1]))
        variance, self._norm = self.variances[self._norm], self._norm + 1
        return functional.batch_norm(x, torch.zeros_like(variance), variance, None, None, True, MOMENTUM, epsilon)

    def _count(self, x: Tensor) -> None:
        """Adds how many elements rows agree on. With signs s of +-1 of n elements these are (n + s·s) / 2."""
        if x.numel() == 0 or x.numel() % self._rows:
            return
        signs = x.detach().reshape(self._rows, -1).gt(0).to(torch.float32).mul_(2).sub_(1)
        agree = (signs @ signs.T).double().add_(signs.shape[1]).div_(2)
        self.agreements = agree if self.agreements is None else self.agreements + agree


_INPUT: _Place = (0, "input")
_SELF, _OTHER, _MAT2 = (0, "self"), (1, "other"), (1, "mat2")
_DENSE = _Signature(_INPUT, (1, "weight"), (2, "bias"), "dense")
_CONV = _Signature(_INPUT, (1, "weight"), (2, "bias"), "conv")
_TRANSPOSED = _Signature(_INPUT, (1, "weight"), (2, "bias"), "transposed")

_PRODUCTS: dict[_Function, _Signature] = {
    **dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), _CONV),
    **dict.fromkeys((functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d), _TRANSPOSED),
    functional.linear: _DENSE,
    **dict.fromkeys((torch.matmul,), _Signature(_INPUT, _OTHER)),
    **dict.fromkeys((torch.mm, torch.bmm), _Signature(_INPUT, _MAT2)),
    **dict.fromkeys((Tensor.matmul, Tensor.__matmul__), _Signature(_SELF, _OTHER)),
    Tensor.__rmatmul__: _Signature(_OTHER, _SELF),
    **dict.fromkeys((Tensor.mm, Tensor.bmm), _Signature(_SELF, _MAT2)),
    torch.addmm: _Signature((1, "mat1"), (2, "mat2"), (0, "input")),
}

_ATTENTION: tuple[_Place, ...] = ((0, "query"), (1, "key"), (2, "value"))
"""Of scaled dot products: two products of computed matrices in one call."""

_NORMS: dict[_Function, tuple[_Place, ...]] = {
    functional.batch_norm: (_INPUT, (3, "weight"), (4, "bias"), (7, "eps")),
    torch.batch_norm: (_INPUT, (1, "weight"), (2, "bias"), (7, "eps")),
}


def _always(args: _Arguments, options: _Options) -> bool:  # noqa: ARG001 - the signature of all conditions
    return True


def _from_zero(position: int, name: str) -> Callable[[_Arguments, _Options], bool]:
    """Whether a function that bounds its input bounds it by 0 from below."""

    def asked(args: _Arguments, options: _Options) -> bool:
        low, high = (_argument(args, options, place) for place in ((position, name), (position + 1, name.replace("min", "max"))))
        return _is_number(low, 0) and not _is_number(high, 1)  # from 0 to 1 it is a gate

    return asked


def _is_number(bound: Any, number: float) -> bool:
    return bound is not None and (not isinstance(bound, Tensor) or bound.numel() == 1) and float(bound) == number


_RECTIFIERS: dict[_Function, Callable[[_Arguments, _Options], bool]] = {
    **dict.fromkeys(
        (torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu, functional.relu6, functional.leaky_relu), _always
    ),
    **dict.fromkeys((functional.prelu, torch.prelu, Tensor.prelu), _always),
    functional.hardtanh: _from_zero(1, "min_val"),
    **dict.fromkeys((torch.clamp, torch.clip, torch.clamp_min, Tensor.clamp, Tensor.clip, Tensor.clamp_min), _from_zero(1, "min")),
}
"""What cuts off, or weakens, what is not positive; and when it does."""

_POOLS = frozenset(
    {
        functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d,
        functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d, torch.mean, Tensor.mean,
    }
)  # fmt: skip
_SOFTMAX = frozenset({torch.softmax, Tensor.softmax, functional.softmax})


def _argument(args: _Arguments, options: _Options, place: _Place) -> Any:
    position, name = place
    return args[position] if position < len(args) else options.get(name)


def _replaced(args: _Arguments, options: _Options, place: _Place, value: Any) -> tuple[_Arguments, _Options]:
    position, name = place
    if position < len(args):
        return (*args[:position], value, *args[position + 1 :]), options
    return args, {**options, name: value}


def _without_bias(args: _Arguments, options: _Options, signature: _Signature) -> tuple[_Arguments, _Options]:
    bias = None if signature.bias is None else _argument(args, options, signature.bias)
    if signature.bias is None or bias is None:
        return args, options
    return _replaced(args, options, signature.bias, torch.zeros_like(bias) if signature.layout == "matrix" else None)


def _parameter(operand: Any) -> nn.Parameter | None:
    """The parameter that an operand is, or is a view of."""
    if isinstance(operand, nn.Parameter):
        return operand
    base = operand._base if isinstance(operand, Tensor) and operand._is_view() else None
    return base if isinstance(base, nn.Parameter) else None


def _is_global(x: Any, result: Any) -> bool:
    """Whether one number a channel is left of an image (or of a sequence)."""
    return (
        isinstance(x, Tensor)
        and isinstance(result, Tensor)
        and x.ndim > 2
        and x.numel() > result.numel()
        and result.numel() in {x.shape[0] * x.shape[1], x.shape[0] * x.shape[-1]}
        and result.shape[:1] == x.shape[:1]
    )
