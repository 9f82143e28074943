"""Small PNG pictures of images, heatmaps and masks, for the report."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

__all__ = ["heat", "image", "mask"]

Array = np.ndarray[Any, Any]

SIDE = 160
"""Pixels of the longer side, about; some 40 KB for a photograph."""

_HEAT = np.array([(13, 8, 72), (84, 3, 160), (159, 33, 139), (213, 84, 87), (245, 144, 56), (240, 249, 33)], float)
"""Low to high is dark to light, so that it reads in grey, too."""
_CODES = "3a4049 f2b134 4aa3df e4572e 76b041 a06cd5 f28ca4 17bebb 9c6644 d9d375 3f6fb5 c0c5ce 8f2d56 2e7d4f ff8552 6b705c"
_PALETTE = np.array([list(bytes.fromhex(code)) for code in _CODES.split()], np.uint8)
"""Of the classes of a mask; the first, which often is the background, stays behind the others. The 17th looks like the first."""


def image(pixels: Array) -> bytes:
    """The PNG of uint8 pixels (height, width, 1 or 3)."""
    return _png(pixels, smooth=True)


def heat(values: Array, low: float, high: float) -> bytes:
    """The PNG of numbers (height, width) from `low` to `high`, in false colours; what is beyond is clipped."""
    shares = np.clip((values - low) / max(high - low, 1e-30), 0, 1)
    places = np.linspace(0, 1, len(_HEAT))
    colours = np.stack([np.interp(shares, places, _HEAT[:, channel]) for channel in range(3)], axis=-1)
    return _png(colours.round().astype(np.uint8), smooth=True)


def mask(classes: Array) -> bytes:
    """The PNG of classes (height, width), a colour for each."""
    return _png(_PALETTE[classes % len(_PALETTE)], smooth=False)


def _png(pixels: Array, *, smooth: bool) -> bytes:
    """Shrunk to `SIDE`, or enlarged pixel by pixel as a page would not do by itself."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    longer = max(picture.size)
    if longer > SIDE:
        width, height = (max(1, round(side * SIDE / longer)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX if smooth else Image.Resampling.NEAREST)
    elif longer <= SIDE // 2:
        factor = SIDE // longer
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
