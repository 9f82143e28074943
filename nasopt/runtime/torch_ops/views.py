"""The same elements, arranged otherwise."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from nasopt.runtime.torch_ops.registry import Call, executor, plain


@plain("Identity")
def _identity(x: Tensor) -> Tensor:
    return x


@executor("Reshape")
def _reshape(call: Call, x: Tensor, shape: Tensor) -> Tensor:
    """A 0 copies the size of the same axis, unless `allowzero` means it."""
    sizes = shape.tolist()
    if not call.get("allowzero", 0):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


@executor("Flatten")
def _flatten(call: Call, x: Tensor) -> Tensor:
    axis = int(call.get("axis", 1))
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@executor("Squeeze")
def _squeeze(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = call.ints("axes", axes)
    if chosen is None:
        return x.squeeze()
    gone = {axis % x.ndim for axis in chosen}
    return x.reshape([size for axis, size in enumerate(x.shape) if axis not in gone])


@executor("Unsqueeze")
def _unsqueeze(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = call.ints("axes", axes) or []
    rank = x.ndim + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


@executor("Transpose")
def _transpose(call: Call, x: Tensor) -> Tensor:
    return x.permute(call.ints("perm") or list(reversed(range(x.ndim))))


@plain("Expand")
def _expand(x: Tensor, shape: Tensor) -> Tensor:
    """Both broadcast: a 1 in the shape leaves an axis as it is."""
    return x.expand(np.broadcast_shapes(x.shape, shape.tolist()))


@plain("Tile")
def _tile(x: Tensor, repeats: Tensor) -> Tensor:
    return x.tile(repeats.tolist())


@executor("DepthToSpace")
def _depth_to_space(call: Call, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = int(call.get("blocksize"))
    if call.get("mode", "DCR") == "CRD":
        apart = x.reshape(n, c // b**2, b, b, h, w).permute(0, 1, 4, 2, 5, 3)
    else:
        apart = x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return apart.reshape(n, c // b**2, h * b, w * b)


@executor("SpaceToDepth")
def _space_to_depth(call: Call, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = int(call.get("blocksize"))
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)
