"""Changes to images that leave what they show: only on request, because not every network may be shown a mirrored world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.runtime.preprocess import image_layout

__all__ = ["CHANGES", "Augment"]

Array = np.ndarray[Any, Any]

CHANGES = ("flip", "crop")

MARGIN = 8
"""A crop moves an image by up to this part of its height and width: 4 pixels of 32, 28 of 224."""

_AXES = {"NCHW": (2, 3), "NHWC": (1, 2)}
"""Of height and width."""


@dataclass(frozen=True, slots=True)
class Augment:
    """What is done to the image inputs of a network, drawn anew for every image.

    All image inputs of one sample change alike, so that a pair of stereo images or an image and its mask stay what they are.

    Attributes:
        flip: every second image is mirrored, left to right.
        crop: images move by up to an eighth of their size; what comes in at the border is reflected.
    """

    flip: bool = False
    crop: bool = False

    @classmethod
    def named(cls, names: Iterable[str]) -> Augment:
        """The changes of these names, from `CHANGES`.

        Raises:
            UsageError: there is no change of a name.
        """
        chosen = set(names)
        unknown = sorted(chosen.difference(CHANGES))
        if unknown:
            raise UsageError(f"there is no augmentation '{unknown[0]}'; there are {' and '.join(CHANGES)}")
        return cls(flip="flip" in chosen, crop="crop" in chosen)

    def __call__(self, inputs: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        """Changed copies of the image inputs, and all other inputs as they are.

        Raises:
            UsageError: no input is an image.
        """
        images = {name: _AXES[layout] for name, value in inputs.items() if (layout := image_layout(value.shape))}
        if not images:
            shapes = ", ".join(f"{name} {'x'.join(map(str, value.shape))}" for name, value in inputs.items())
            raise UsageError(f"augmentation needs an input of images, channels first or last; the network reads {shapes}")
        rows = len(inputs[next(iter(images))])
        mirrored, moves = rng.random(rows) < 0.5, rng.random((rows, 2))
        changed = dict(inputs)
        for name, (height, width) in images.items():
            value = changed[name]
            if self.flip:
                value = np.where(mirrored.reshape(-1, 1, 1, 1), np.flip(value, width), value)
            if self.crop:
                value = _moved(value, (height, width), moves)
            changed[name] = value
        return changed


def _moved(value: Array, axes: tuple[int, int], moves: np.ndarray[Any, np.dtype[np.float64]]) -> Array:
    """Each image moved by its own share of the margin; 0 is fully to one side and 1 to the other."""
    margins = [min(round(value.shape[axis] / MARGIN), value.shape[axis] - 1) for axis in axes]
    pads = [(0, 0)] * 4
    for axis, margin in zip(axes, margins, strict=True):
        pads[axis] = (margin, margin)
    padded = np.pad(value, pads, mode="reflect")
    result = np.empty_like(value)
    for row, shares in enumerate(moves):
        window = [slice(None)] * 3
        for axis, margin, share in zip(axes, margins, shares, strict=True):
            start = int(share * (2 * margin + 1))
            window[axis - 1] = slice(start, start + value.shape[axis])
        result[row] = padded[row][tuple(window)]
    return result
