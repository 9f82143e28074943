"""The rows that a product multiplies with its weight: a convolution is a matrix product over patches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nasopt.graphs.graph import Node
from nasopt.graphs.products import Product

__all__ = ["FEW_ROWS", "MANY_ROWS", "Sample", "features", "positions", "share_of", "targets", "with_constant"]

Array = np.ndarray[Any, Any]
Sample = tuple[int, int]
"""Rows to look at: at least so many, and so many for each feature (rows of one image resemble each other)."""

FEW_ROWS, MANY_ROWS = (20_000, 40), (60_000, 100)

Ints = np.ndarray[Any, np.dtype[np.int64]]


def share_of(width: int, rows: int, sample: Sample) -> float:
    """Which share of the rows to look at.

    Args:
        width: features.
        rows: in all.
        sample: of them.
    """
    return max(sample[0], sample[1] * width) / max(rows, 1)


def with_constant(into: Array) -> Array:
    """Features (groups, rows, features) and the constant 1 behind them."""
    return np.concatenate([into, np.ones((*into.shape[:2], 1), into.dtype)], axis=2)


def positions(product: Product, output: Array, share: float, rng: np.random.Generator) -> Ints:
    """Draws rows of a batch's output: flat places in it, channels apart, in ascending order.

    Args:
        product: the product.
        output: what it made of a batch.
        share: of the rows.
        rng: where the draw comes from.
    """
    total = output.size // max(output.shape[product.axis], 1)
    count = min(total, math.ceil(share * total))
    return np.sort(rng.choice(total, count, replace=False)) if count < total else np.arange(total)


def targets(product: Product, value: Array, rows: Ints) -> Array:
    """The channels of a value at these rows: (rows, channels)."""
    moved = np.moveaxis(value, product.axis, -1)
    return np.asarray(moved[np.unravel_index(rows, moved.shape[:-1])])


def features(product: Product, x: Array, output_shape: tuple[int, ...], kernel: tuple[int, ...], rows: Ints) -> Array:
    """What the weight is multiplied with at these rows: (groups, rows, input channels of a group × kernel positions).

    Args:
        product: the product.
        x: its input.
        output_shape: of its output for this input.
        kernel: spatial shape of the kernel; empty but for convolutions.
        rows: from `positions`.
    """
    if product.node.op != "Conv":
        return x.reshape(-1, x.shape[-1])[rows][None]
    strides = _per_axis(product.node, "strides", len(kernel))
    dilations = _per_axis(product.node, "dilations", len(kernel))
    pads = _pads(product.node, x.shape[2:], output_shape[2:], kernel, strides, dilations)
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    windows = sliding_window_view(padded, spans, axis=tuple(range(2, x.ndim)))
    windows = windows[(slice(None), slice(None), *(slice(None, None, s) for s in strides), *(slice(None, None, d) for d in dilations))]
    image, *place = np.unravel_index(rows, (output_shape[0], *output_shape[2:]))
    taken = np.moveaxis(windows, 1, 1 + len(kernel))[(image, *place)]  # rows, channels, kernel
    return np.moveaxis(taken.reshape(len(rows), product.groups, -1), 1, 0)


def _per_axis(node: Node, name: str, rank: int) -> list[int]:
    return [int(n) for n in node.attrs.get(name, [1] * rank)]


def _pads(
    node: Node, sizes: tuple[int, ...], outputs: tuple[int, ...], kernel: tuple[int, ...], strides: list[int], dilations: list[int]
) -> list[tuple[int, int]]:
    mode = str(node.attrs.get("auto_pad", "NOTSET"))
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        given = [int(n) for n in node.attrs.get("pads", [0] * (2 * len(kernel)))] if mode == "NOTSET" else [0] * (2 * len(kernel))
        return list(zip(given[: len(kernel)], given[len(kernel) :], strict=True))
    pads = []
    for size, out, k, s, d in zip(sizes, outputs, kernel, strides, dilations, strict=True):
        total = max(0, (out - 1) * s + (k - 1) * d + 1 - size)
        less, more = total // 2, total - total // 2
        pads.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return pads
