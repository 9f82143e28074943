"""From pictures to what a network is fed: size, channels and normalisation, as `--preprocess` states them (docs/data.md)."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["EXAMPLE", "Preprocess", "image_layout", "read_preprocess"]

Array = np.ndarray[Any, Any]

EXAMPLE = """--preprocess '{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'"""

_BYTE = 255
_DEEP = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})
"""Pillow's modes of more than 8 bits, which it would clip and not scale."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes an input: resized, cropped, then ``(pixel * scale - mean) / std`` channel by channel."""

    size: tuple[int, int]
    """Height and width."""
    resize: str
    """``stretch`` to the size, or ``crop`` the middle of a picture whose shorter side was resized."""
    resize_to: int | None
    """The shorter side before cropping; None for as little as covers the size."""
    interpolation: str
    layout: str
    channels: str
    scale: float
    mean: tuple[float, ...]
    """Of each channel, in the order in which the network sees them."""
    std: tuple[float, ...]

    def pixels(self, image: Image.Image) -> Array:
        """The part of a picture that the network sees: uint8 (height, width, channels), RGB or grey.

        Raises:
            ValueError: the picture has more than 8 bits a channel.
        """
        from PIL import Image

        if image.mode in _DEEP:
            msg = f"it has more than 8 bits a channel (Pillow's mode {image.mode})"
            raise ValueError(msg)
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")
        image = image.convert("L" if self.channels == "gray" else "RGB")
        target = self._target(image.width, image.height)
        if target != image.size:
            image = image.resize(target, Image.Resampling[self.interpolation.upper()])
        height, width = self.size
        top, left = round((image.height - height) / 2), round((image.width - width) / 2)
        return np.asarray(image)[top : top + height, left : left + width].reshape(height, width, -1)

    def feed(self, pixels: Array) -> Array:
        """What the network is fed for pixels (count, height, width, channels): float32 in its layout and order of channels."""
        ordered = pixels[..., ::-1] if self.channels == "BGR" else pixels
        values = (ordered * np.float32(self.scale) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(values if self.layout == "NHWC" else np.moveaxis(values, -1, 1))

    def _target(self, width: int, height: int) -> tuple[int, int]:
        """Width and height before the crop, rounded down as torchvision does."""
        if self.resize == "stretch":
            return self.size[1], self.size[0]
        if self.resize_to is not None:
            to, of = self.resize_to, min(width, height)
        elif self.size[1] * height >= self.size[0] * width:
            to, of = self.size[1], width
        else:
            to, of = self.size[0], height
        return width * to // of, height * to // of


def image_layout(shape: Sequence[int]) -> str | None:
    """``NCHW`` or ``NHWC`` where just one of the axes is as short as channels are (1 to 4), else None."""
    if len(shape) != 4:
        return None
    first, last = 1 <= shape[1] <= 4, 1 <= shape[3] <= 4
    return None if first == last else "NCHW" if first else "NHWC"


def read_preprocess(given: str | Path, name: str, shape: tuple[int, ...]) -> Preprocess:
    """Reads what the user says, and takes what he does not say from the network.

    Args:
        given: JSON text, or the path of a JSON or TOML file.
        name: the network's input.
        shape: of that input.

    Raises:
        UsageError: it cannot be read, does not fit the input, or leaves open what the network does not tell.
    """
    table = _read(given)
    keys = [field.name for field in fields(Preprocess)]
    for key in table:
        if key not in keys:
            close = get_close_matches(key, keys, 1, 0.4)
            raise UsageError(f"--preprocess: unknown key '{key}'{f'; did you mean {close[0]}?' if close else ''} (keys: {', '.join(keys)})")
    if len(shape) != 4:
        raise UsageError(f"--preprocess: input '{name}' has shape {_spell(shape)}; images are fed to inputs with four dimensions")
    inferred = image_layout(shape)
    if inferred is None and "layout" not in table:
        raise UsageError(f"""--preprocess: the shape {_spell(shape)} does not tell the layout: say "layout": "NCHW" or "NHWC\"""")
    layout = _choice(table, "layout", ("NCHW", "NHWC"), inferred or "NCHW")
    height, width, count = shape[2:] + shape[1:2] if layout == "NCHW" else shape[1:]
    if count not in (1, 3):
        raise UsageError(f"--preprocess: input '{name}' has {count} channels ({_spell(shape)}, {layout}); images have 3, or 1 where gray")
    channels = _choice(table, "channels", ("RGB", "BGR", "gray"), "gray" if count == 1 else "RGB")
    if (channels == "gray") != (count == 1):
        raise UsageError(f"--preprocess: channels are {channels}, but input '{name}' has {count} ({_spell(shape)}, {layout})")
    size = _size(table, (height, width))
    if size != (height, width):
        raise UsageError(f"--preprocess: size is {_spell(size)}, but input '{name}' takes {height}x{width}; see --input-shape")
    resize = _choice(table, "resize", ("crop", "stretch"), "crop")
    scale = _numbers(table, "scale", 1, 1 / _BYTE)[0]
    if scale <= 0:
        raise UsageError(f"--preprocess: scale must be positive, not {scale:g}")
    return Preprocess(
        size=size,
        resize=resize,
        resize_to=_resize_to(table, resize, size),
        interpolation=_choice(table, "interpolation", ("bilinear", "bicubic", "nearest"), "bilinear"),
        layout=layout,
        channels=channels,
        scale=scale,
        mean=_mean(table, count, scale),
        std=_std(table, count),
    )


def _read(given: str | Path) -> dict[str, Any]:
    text, origin, toml = str(given), "--preprocess", False
    if isinstance(given, Path) or not text.lstrip().startswith("{"):
        path = Path(given)
        origin, toml = f"--preprocess {path}", path.suffix.lower() == ".toml"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageError(f"{origin}: {reason}; it takes JSON or the path of a JSON or TOML file, for example {EXAMPLE}") from None
    try:
        table = tomllib.loads(text) if toml else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{origin}: not valid {'TOML' if toml else 'JSON'}: {error}") from None
    if not isinstance(table, dict):
        raise UsageError(f"{origin}: it must hold keys and values, for example {EXAMPLE}")
    return table


def _choice(table: Mapping[str, Any], key: str, allowed: Sequence[str], default: str) -> str:
    value: str = table.get(key, default)
    if value not in allowed:
        raise UsageError(f"--preprocess: {key} must be one of {', '.join(allowed)}, not {json.dumps(value, default=str)}")
    return value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _size(table: Mapping[str, Any], default: tuple[int, int]) -> tuple[int, int]:
    value = table.get("size", default)
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_integer, value)):
        raise UsageError(f"--preprocess: size must be [height, width], not {json.dumps(value, default=str)}")
    return value[0], value[1]


def _resize_to(table: Mapping[str, Any], resize: str, size: tuple[int, int]) -> int | None:
    value: int | None = table.get("resize_to")
    if value is None:
        return None
    if resize != "crop":
        raise UsageError("""--preprocess: resize_to is the shorter side before cropping; it needs "resize": "crop\"""")
    if not _is_integer(value) or value < max(size):
        raise UsageError(
            f"--preprocess: resize_to must be an integer of at least {max(size)}, so that {_spell(size)} can be cropped from it"
        )
    return value


def _mean(table: Mapping[str, Any], count: int, scale: float) -> tuple[float, ...]:
    mean, largest = _numbers(table, "mean", count), _BYTE * scale
    if not all(0 <= value <= largest * (1 + 1e-6) for value in mean):
        hint = '; for a mean in 0 to 255, say "scale": 1' if "scale" not in table else ""
        raise UsageError(f"--preprocess: mean {_listed(mean)} is outside of pixel * scale, which goes from 0 to {largest:g}{hint}")
    return mean


def _std(table: Mapping[str, Any], count: int) -> tuple[float, ...]:
    std = _numbers(table, "std", count)
    if min(std) <= 0:
        raise UsageError(f"--preprocess: std must be positive, not {_listed(std)}")
    return std


def _numbers(table: Mapping[str, Any], key: str, count: int, default: float | None = None) -> tuple[float, ...]:
    """One number a channel; a single number stands for all channels."""
    value = table.get(key, default)
    if value is None:
        raise UsageError(f"--preprocess: {key} is missing: images are fed as (pixel * scale - mean) / std; for example {EXAMPLE}")
    numbers = value if isinstance(value, list) else [value] * count
    known = all(isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) for number in numbers)
    if not known or len(numbers) != count:
        many = f" or a list of {count}, one a channel" if count > 1 else ""
        raise UsageError(f"--preprocess: {key} must be a number{many}, not {json.dumps(value, default=str)}")
    return tuple(float(number) for number in numbers)


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _spell(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
