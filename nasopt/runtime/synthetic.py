"""Inputs for a network of which no data is known: dead leaves where it looks at images, noise elsewhere.

Dead leaves are shapes that cover one another, with radii as frequent as in photographs (density ∝ r⁻³): they share edges, flat regions,
correlated colours and scale invariance with natural images (Lee, Mumford & Huang, IJCV 2001), and representations learnt from them carry
over to photographs (Baradad et al., Learning to See by Looking at Noise, NeurIPS 2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

from nasopt.graphs.graph import Graph
from nasopt.runtime.preprocess import image_layout

__all__ = ["dead_leaves", "is_image", "synthetic_inputs"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

LEAVES = 60
"""Of an image. More bring the means that networks see farther from those that their BatchNormalization keeps."""

_TOGETHER = 32
"""Images that are painted at once. Their leaves have the same radii, in the same order."""

_PIXELS = 1 << 20
"""Of images that are painted at once."""


def is_image(graph: Graph, name: str) -> bool:
    """Whether an input looks like images: float, four dimensions, one of them as short as channels are."""
    return graph.is_float(name) and image_layout(graph.bound[name]) is not None


def synthetic_inputs(graph: Graph, calls: int, rng: np.random.Generator) -> dict[str, Array]:
    """Inputs for so many runs: by input name an array (calls, *bound shape).

    Images are dead leaves, other floats standard normal, integers 0 or 1, so that indices stay in range.
    """
    inputs: dict[str, Array] = {}
    for name in graph.inputs:
        dtype = tensor_dtype_to_np_dtype(graph.dtypes[name])
        shape = (calls, *graph.bound[name])
        if is_image(graph, name):
            inputs[name] = _images(shape, rng).astype(dtype)
        elif graph.is_float(name):
            inputs[name] = rng.standard_normal(shape).astype(dtype)
        else:
            inputs[name] = rng.integers(0, 2, shape).astype(dtype)
    return inputs


def _images(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    calls, batch, *rest = shape
    if image_layout(shape[1:]) == "NHWC":
        height, width, channels = rest
        return dead_leaves(calls * batch, height, width, channels, rng).reshape(shape)
    channels, height, width = rest
    return np.moveaxis(dead_leaves(calls * batch, height, width, channels, rng), -1, 1).reshape(shape)


def dead_leaves(count: int, height: int, width: int, channels: int, rng: np.random.Generator) -> Floats:
    """Dead leaves images (count, height, width, channels), of zero mean and unit variance over all of them."""
    images = np.empty((count, height, width, channels), np.float32)
    together = min(_TOGETHER, max(1, _PIXELS // (height * width)))
    for start in range(0, count, together):
        _paint(images[start : start + together], rng)
    images *= rng.uniform(0.5, 1.5, (count, 1, 1, 1)).astype(np.float32)  # contrast differs from photograph to photograph
    images -= images.mean(dtype=np.float64).astype(np.float32)
    images /= np.float32(max(images.std(dtype=np.float64), 1e-6))
    return images


def _paint(images: Floats, rng: np.random.Generator) -> None:
    count, height, width, channels = images.shape
    image, y, x = np.indices((count, height, width)).reshape(3, -1)
    ground = _surface(image, 2 * y / height - 1, 2 * x / width - 1, count, channels, rng)
    images[...] = ground.reshape(images.shape)
    longest = max(height, width)
    smallest, largest = 0.03 * longest + 0.5, 0.7 * longest
    for radius in 1 / np.sqrt(rng.uniform(largest**-2, smallest**-2, LEAVES)):  # density ∝ r⁻³
        _leaf(images, float(radius), rng)


def _leaf(images: Floats, radius: float, rng: np.random.Generator) -> None:
    """Puts one ellipse or rectangle on each image, shaded, textured and anywhere, looking only at the window that it can touch."""
    count, height, width, channels = images.shape
    centre = rng.uniform(-radius, np.array([height, width]) + radius, (count, 2)).astype(np.float32)
    angle, flat = rng.uniform(0, np.pi, (count, 1, 1)).astype(np.float32), rng.uniform(0.3, 1, (count, 1, 1)).astype(np.float32)
    rows, columns = (_window(centre[:, axis], radius, images.shape[1 + axis]) for axis in (0, 1))
    down = ((rows - centre[:, :1]) / np.float32(radius))[:, :, None]
    right = ((columns - centre[:, 1:]) / np.float32(radius))[:, None, :]
    along = np.cos(angle) * down + np.sin(angle) * right
    across = np.cos(angle) * right - np.sin(angle) * down
    ellipse = along**2 + (across / flat) ** 2 < 1
    rectangle = (np.abs(along) < 0.8) & (np.abs(across) < 0.8 * flat)
    image, y, x = np.nonzero(np.where(rng.integers(0, 2, (count, 1, 1)) == 1, ellipse, rectangle))
    surface = _surface(image, along[image, y, x], across[image, y, x], count, channels, rng)
    images[image, rows[image, y], columns[image, x]] = surface


def _surface(image: Ints, along: Array, across: Array, count: int, channels: int, rng: np.random.Generator) -> Array:
    """What pixels of a leaf look like: one colour, shaded from end to end, slightly rough.

    Args:
        image: to which of the images each pixel belongs.
        along: place of each pixel on the leaf, -1 to 1.
        across: the same, at a right angle.
        count: of images.
        channels: of an image.
        rng: decides on all of it.
    """
    colour = rng.standard_normal((count, 1)) + 0.35 * rng.standard_normal((count, channels))  # channels go mostly together
    slope = 0.3 * rng.standard_normal((2, count))
    shade = slope[0, image] * along + slope[1, image] * across + 0.15 * rng.standard_normal(len(image))
    painted: Array = colour[image] + shade[:, None]
    return painted


def _window(centre: Floats, radius: float, size: int) -> Ints:
    """Places along an axis, once an image, that hold all that a leaf covers of it; the corners of a rectangle lie 1.14 radii out."""
    reach = 1.15 * radius
    length = min(int(2 * reach) + 2, size)
    start = np.clip(np.floor(centre - reach).astype(np.int64), 0, size - length)
    places: Ints = start[:, None] + np.arange(length)
    return places
