"""Inputs that were held out, with what the original and the result answer to them, as a person can compare them.

Shown is the first output of the original that is something to look at, by the first rule that holds:

* **class**: floats (N, C), C of 2 or more, also as (N, C, 1, 1). Scores stay as they are where all lie in 0 to 1; logarithms of
  probabilities go through `exp`, others through a softmax. Embeddings are left out, as far as they can be told from scores: by their unit
  length, or because of many numbers none stands out. So is what is never negative but beyond 1: coordinates, features.
* **mask**: integers (N, height, width), or floats with a channel a class: one stands out at most pixels, and they are probabilities or have
  both signs.
* **image**: three channels that vary together, as colours do.
* **heatmap**: other floats of rank 4; the channel that varies most in the original's answers, from the least to the most of the original's
  answer to this input.

What numbers mean cannot be told from them for certain: a few signed numbers that are no classes are shown as if they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs.binding import declared_shape
from nasopt.results import Answer, Sample
from nasopt.runtime import pictures
from nasopt.runtime.calibration import Calibration
from nasopt.runtime.preprocess import image_layout
from nasopt.runtime.sessions import open_session, run

__all__ = ["samples"]

Array = np.ndarray[Any, Any]

MOST = 8
"""Samples."""
BEST = 3
"""Classes of each."""

_CLEAR = 0.3
"""How far the best class of a pixel is above chance, a median over pixels, where channels are classes."""
_COLOURED = 0.5
"""Least correlation between the channels of an image; those of classes exclude one another."""
_MOST_CLASSES = 256
"""Of a mask; more are counts or features."""
_MANY = 32
"""Numbers of a row of which one stands out if they are scores."""
_OUTSTANDING = 1.15
"""So many times farther from the mean than the highest of as many normal numbers: 0.9 in a face embedding, 1.4 or more in scores."""
_ENOUGH = 64
"""Pixels a side that tell what maps are."""
_EXACT = 1e-3


def samples(
    original: onnx.ModelProto, result: onnx.ModelProto, calibration: Calibration, *, threads: int = 1, origin: str = "model"
) -> tuple[Sample, ...]:
    """Runs both networks on the first inputs that were held out, which are a random draw.

    Args:
        original: the network before.
        result: the network after, with the same inputs and outputs.
        calibration: the inputs.
        threads: of ONNX Runtime.
        origin: what error messages call the networks.

    Returns:
        A sample an input, eight at most; none where no output is anything to look at, or where a network fails.
    """
    try:
        outputs = _answers(original, result, calibration, threads, origin)
    except ModelNotSupportedError:  # a section of the report is no reason to lose a result that was verified
        return ()
    nhwc = any(image_layout(value.shape) == "NHWC" for value in calibration.held_out[0].values()) if calibration.held_out else False
    for name, (before, after) in outputs.items():
        if (shown := _shown(before, after, nhwc=nhwc)) is not None:
            kind, sides, likeness = shown
            inputs = _pictures(calibration, len(likeness))
            return tuple(Sample(name, kind, *row) for row in zip(inputs, *sides, likeness, strict=True))
    return ()


def _pictures(calibration: Calibration, count: int) -> list[bytes | None]:
    pixels = () if calibration.pixels is None else calibration.pixels[:count]
    drawn = [pictures.image(image) for image in pixels]
    return [*drawn, *[None] * (count - len(drawn))]


def _answers(
    original: onnx.ModelProto, result: onnx.ModelProto, calibration: Calibration, threads: int, origin: str
) -> dict[str, tuple[Array, Array]]:
    """The outputs of both networks that have a row an input."""
    feeds: list[dict[str, Array]] = []
    held = 0
    for batch in calibration.held_out:
        feeds.append(_first(original, batch, MOST - held))
        held += _rows(feeds[-1])
        if held >= MOST:
            break
    found = []
    for model in (original, result):
        session = open_session(model, threads=threads, origin=origin)
        found.append([run(session, feed, origin=origin) for feed in feeds])
    pairs = {}
    for place, value in enumerate(original.graph.output):
        sides = [[answers[place] for answers in network] for network in found]
        if not all(isinstance(part, np.ndarray) for side in sides for part in side):
            continue  # a sequence or a map
        forms = {part.shape[1:] for side in sides for part in side}
        if len(forms) == 1 and all(
            part.ndim and len(part) == _rows(feed) for side in sides for part, feed in zip(side, feeds, strict=True)
        ):
            before, after = (np.concatenate(side)[:MOST] for side in sides)
            pairs[value.name] = before, after
    return pairs


def _first(model: onnx.ModelProto, batch: Mapping[str, Array], count: int) -> dict[str, Array]:
    """The first inputs of a batch where its size is dynamic, else all of them."""
    shapes = [declared_shape(value) for value in model.graph.input if value.name in batch]
    free = all(shape and isinstance(shape[0], str) for shape in shapes)
    return {name: value[:count] if free else value for name, value in batch.items()}


def _rows(feed: Mapping[str, Array]) -> int:
    return max((len(value) for value in feed.values() if value.ndim), default=1)


Shown = tuple[str, tuple[list[Answer], list[Answer]], list[float]]
"""The kind, the answers of both networks, and how alike they are."""


def _shown(before: Array, after: Array, *, nhwc: bool) -> Shown | None:
    if before.dtype.kind not in "fiub" or not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None
    floats = before.dtype.kind == "f"
    if floats and (before.ndim == 2 or (before.ndim == 4 and (before.shape[2:] == (1, 1) or before.shape[1:3] == (1, 1)))):
        return _classes(*(value.reshape(len(value), -1).astype(np.float64) for value in (before, after)))
    if before.ndim == 3 and not floats:
        before, after = before[:, None], after[:, None]
    elif before.ndim == 4 and (image_layout(before.shape) or ("NHWC" if nhwc else "NCHW")) == "NHWC":
        before, after = np.moveaxis(before, -1, 1), np.moveaxis(after, -1, 1)
    if before.ndim != 4 or min(before.shape[2:]) < 2:
        return None
    if before.shape[1] == 3 and _coloured(before):
        return _images(before, after)
    if not floats:
        return _masks(before[:, 0], after[:, 0]) if before.shape[1] == 1 else None
    if _one_stands_out(before):
        return _masks(before.argmax(axis=1), after.argmax(axis=1))
    return _heatmaps(before, after)


def _classes(before: Array, after: Array) -> Shown | None:
    if not _are_scores(before):
        return None
    scores = _scores_of(before)
    sides = [[_best(row) for row in scores(side)] for side in (before, after)]
    likeness = [float(one.classes[0][0] == other.classes[0][0]) for one, other in zip(*sides, strict=True)]
    return "class", (sides[0], sides[1]), likeness


def _are_scores(rows: Array) -> bool:
    count = rows.shape[1]
    if count < 2:
        return False
    if rows.min() >= -_EXACT:  # probabilities that are all but certain have unit length, too
        return bool(rows.max() <= 1 + _EXACT)
    if np.allclose(np.square(rows).sum(axis=1), 1, atol=_EXACT):
        return False
    highest = (rows.max(axis=1) - rows.mean(axis=1)) / np.maximum(rows.std(axis=1), 1e-30)
    return count < _MANY or float(np.median(highest)) >= _OUTSTANDING * math.sqrt(2 * math.log(count))


def _scores_of(rows: Array) -> Callable[[Array], Array]:
    """What makes scores of a network's numbers."""
    if rows.min() >= -_EXACT and rows.max() <= 1 + _EXACT:
        return lambda values: values
    if rows.max() <= _EXACT and np.allclose(np.exp(rows).sum(axis=1), 1, atol=_EXACT):
        return np.exp
    return _softmax


def _softmax(values: Array) -> Array:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _best(scores: Array) -> Answer:
    order = np.argsort(-scores, kind="stable")[:BEST]
    return Answer(classes=tuple((int(place), float(scores[place])) for place in order))


def _thinned(maps: Array) -> Array:
    """Enough of large maps to tell what they are, in double precision."""
    rows, columns = (max(1, size // _ENOUGH) for size in maps.shape[2:])
    thin: Array = maps[:, :, ::rows, ::columns].astype(np.float64)
    return thin


def _coloured(maps: Array) -> bool:
    channels = np.moveaxis(_thinned(maps), 1, 0).reshape(3, -1)
    return bool((channels.std(axis=1) > 0).all()) and float(np.corrcoef(channels).min()) >= _COLOURED


def _one_stands_out(maps: Array) -> bool:
    """Whether channels are classes, one of which each pixel belongs to."""
    count = maps.shape[1]
    if not 2 <= count <= _MOST_CLASSES:
        return False
    values = _thinned(maps)
    if values.min() >= 0:
        if not np.allclose(values.sum(axis=1), 1, atol=_EXACT):
            return False  # features after a ReLU, or heatmaps
    else:
        values = _softmax(values)
    chance = 1 / count
    return float(np.median((values.max(axis=1) - chance) / (1 - chance))) >= _CLEAR


def _masks(before: Array, after: Array) -> Shown | None:
    sides = before.astype(np.int64), after.astype(np.int64)
    if min(side.min() for side in sides) < 0 or max(side.max() for side in sides) >= _MOST_CLASSES or sides[0].min() == sides[0].max():
        return None
    drawn = [[Answer(picture=pictures.mask(one)) for one in side] for side in sides]
    return "mask", (drawn[0], drawn[1]), [float((one == other).mean()) for one, other in zip(*sides, strict=True)]


def _images(before: Array, after: Array) -> Shown:
    """Both on one scale: as they are where bytes, else the range that nearly all values of the original have becomes black to white."""
    low, high = (0, 255) if before.dtype == np.uint8 else np.percentile(before, (1, 99))
    sides = [np.clip((side.astype(np.float64) - low) * (255 / max(high - low, 1e-30)), 0, 255) for side in (before, after)]
    drawn = [[Answer(picture=pictures.image(np.moveaxis(one, 0, -1).round().astype(np.uint8))) for one in side] for side in sides]
    return "image", (drawn[0], drawn[1]), [_correlation(one, other) for one, other in zip(before, after, strict=True)]


def _heatmaps(before: Array, after: Array) -> Shown | None:
    spread = _thinned(before).var(axis=(0, 2, 3))
    channel = int(spread.argmax())
    if not spread[channel] > 0:
        return None
    sides = [side[:, channel].astype(np.float64) for side in (before, after)]
    ranges = [(float(one.min()), float(one.max())) for one in sides[0]]
    drawn = [[Answer(picture=pictures.heat(one, low, high)) for one, (low, high) in zip(side, ranges, strict=True)] for side in sides]
    return "heatmap", (drawn[0], drawn[1]), [_correlation(one, other) for one, other in zip(*sides, strict=True)]


def _correlation(one: Array, other: Array) -> float:
    first, second = (np.ravel(value).astype(np.float64) for value in (one, other))
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float(first @ second / size) if size > 0 else float(np.array_equal(one, other))
