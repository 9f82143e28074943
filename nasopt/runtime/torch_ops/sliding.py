"""Where a sliding window lies: kernel, strides, dilations and padding of convolutions and pools, per spatial axis."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from nasopt.runtime.torch_ops.registry import Call

__all__ = ["Window", "flat_pads", "window"]


@dataclass(frozen=True, slots=True)
class Window:
    """A window in ``len(kernel)`` spatial axes; `after` includes what `ceil_mode` reaches beyond the padding, `beyond`."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]
    beyond: list[int]

    @property
    def symmetric(self) -> bool:
        return self.before == self.after

    def pad(self, x: Tensor, value: float = 0.0) -> Tensor:
        """The input with everything around it that the window covers."""
        return functional.pad(x, flat_pads(self.before, self.after), value=value)


def flat_pads(before: list[int], after: list[int]) -> list[int]:
    """The order of `torch.nn.functional.pad`: from the last axis to the first."""
    return [number for pair in zip(reversed(before), reversed(after), strict=True) for number in pair]


def window(call: Call, size: list[int], kernel: list[int]) -> Window:
    """The window of a node over an input of spatial `size`."""
    rank = len(size)
    strides, dilations = (call.ints(name) or [1] * rank for name in ("strides", "dilations"))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    auto = call.get("auto_pad", "NOTSET")
    beyond = [0] * rank
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(size, strides, reach, strict=True)]
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        before, after = (small, large) if auto == "SAME_UPPER" else (large, small)
    else:
        pads = [0] * 2 * rank if auto == "VALID" else call.ints("pads") or [0] * 2 * rank
        before, after = pads[:rank], pads[rank:]
    if call.get("ceil_mode", 0):
        for axis in range(rank):
            room = size[axis] + before[axis] + after[axis] - reach[axis]
            steps = -(-room // strides[axis])
            if steps * strides[axis] >= size[axis] + before[axis]:
                steps -= 1  # the last window must begin inside the input or the padding before it
            beyond[axis] = max(steps * strides[axis] - room, 0)
        after = [a + b for a, b in zip(after, beyond, strict=True)]
    return Window(kernel, strides, dilations, before, after, beyond)
