"""Inputs from which a compressed network learns what it should still do: a user's data, or synthetic images where there is none.

A part of the inputs is never learnt from: it judges. Data that is not asked for is not read, and what is large lies in a temporary file.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

from nasopt.errors import ModelNotSupportedError, UsageError
from nasopt.graphs.binding import declared_shape
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.runtime.preprocess import image_layout
from nasopt.runtime.rows import Rows, sources
from nasopt.runtime.sessions import open_session, run
from nasopt.runtime.synthetic import is_image, synthetic_inputs

__all__ = ["LIMIT", "Batches", "Calibration", "first_of", "read_calibration", "synthetic_calibration"]

Array = np.ndarray[Any, Any]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Batches = tuple[dict[str, Array], ...]
_Batch = TypeVar("_Batch", bound=Mapping[str, Any])

LIMIT = 1000
"""Inputs that are drawn from larger data unless the user says how many."""

BATCH = 50
FIT_BATCHES = 5
"""Batches to learn from, at least: the reconstruction sets some of them aside to choose its ridge."""

HELD_OUT = 8
"""Inputs that are held out at least, where there are three times as many."""

SHOWN = 16
"""Images for the report."""

IN_MEMORY = 1 << 30
"""Bytes of one input over all batches; more are kept in a temporary file."""

_WORK = 4e10
"""MACs that the synthetic inputs may cost in all: few inputs for a large network."""
_TRAFFIC = 3e9
"""Bytes of activations that they may cause: few, too, for a network that is wide where images are large."""
_FEWEST, _MOST = 8, 300

_AT_ONCE = 1 << 26
"""Bytes of activations, at their peak, of one batch."""

_SAME = 1e-3


@dataclass(frozen=True, slots=True)
class Calibration:
    """Inputs of a network, in batches that it can run.

    Attributes:
        fit: batches to learn from.
        held_out: batches that judge: a tenth of all inputs, at least one batch, none of them in `fit`.
        count: inputs in all.
        source: what reports and scripts call them.
        synthetic: made and not given.
        pixels: the first of the held-out inputs as uint8 images (count, height, width, channels); None where inputs are no images.
        labels: of `fit`, once a batch; None where none were given.
        held_out_labels: of `held_out`.
    """

    fit: Batches
    held_out: Batches
    count: int
    source: str
    synthetic: bool
    pixels: Array | None
    labels: tuple[Array, ...] | None = None
    held_out_labels: tuple[Array, ...] | None = None

    def few(self, count: int) -> Batches:
        """The first batches to learn from, so many that they hold about `count` inputs, at least `FIT_BATCHES`."""
        return first_of(self.fit, count, FIT_BATCHES)


def first_of(batches: Sequence[_Batch], count: int, least: int = 0) -> tuple[_Batch, ...]:
    """The first batches, so many that they hold about `count` inputs, and at least `least` of them."""
    held, number = 0, 0
    for batch in batches:
        if held >= count and number >= least:
            break
        number += 1
        held += max((len(value) for value in batch.values() if np.ndim(value)), default=1)
    return tuple(batches[:number])


def read_calibration(
    path: Path,
    graph: Graph,
    *,
    labels: Path | None = None,
    preprocess: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Calibration:
    """Reads inputs from a ``.npy`` or ``.npz`` file or from a folder of images (docs/data.md).

    Args:
        path: the file or folder.
        graph: the network.
        labels: a ``.npy`` file of classes, one a row of the data.
        preprocess: how images are fed: JSON text, or the path of a JSON or TOML file.
        limit: inputs to draw at random from more; `LIMIT` where None.
        seed: of the draw.

    Raises:
        UsageError: the data cannot be read, does not fit the network, or is of no use.
    """
    limit = LIMIT if limit is None else limit
    batch = _written_batch(graph)
    if limit < 2 * batch:
        raise UsageError(f"--data-limit must be at least {2 * batch}, not {limit}: a part of the inputs is held out to judge the result")
    drawn: Ints = np.empty(0, np.int64)
    total, pixels = -1, None
    calls: dict[str, Array] = {}
    for name, rows in sources(path, graph, preprocess):
        if total < 0:
            total = rows.count
            if total < 2 * batch:
                raise UsageError(f"{path}: it holds {total} inputs; at least {2 * batch} are needed, and a few hundred are better")
            drawn = np.random.default_rng(seed).permutation(total)[:limit]
            drawn = drawn[: len(drawn) // batch * batch]
        elif rows.count != total:
            raise UsageError(f"{path}: '{name}' holds {rows.count} inputs, '{next(iter(calls))}' {total}; they must be as many")
        values = _gather(path, graph, name, rows, drawn)
        if rows.pixels:
            pixels = rows.pixels(drawn[:SHOWN])
        elif pixels is None:
            pixels = _pictures(graph, name, values[:SHOWN])
        calls[name] = values.reshape(-1, *graph.bound[name])
    if all(_constant(values) for values in calls.values()):
        raise UsageError(f"{path}: all inputs are equal; nothing can be learnt from them")
    classes = None if labels is None else _labels(labels, total)[drawn].reshape(-1, batch)
    of = f"{len(drawn):,} of {total:,}" if len(drawn) < total else f"{total:,}"
    source = f"{of} {'images' if path.is_dir() else 'inputs'} of {path.name}"
    try:
        return _split(graph, calls, len(drawn) // batch, source=source, pixels=pixels, classes=classes)
    except ModelNotSupportedError as error:
        raise UsageError(f"{path}: the network cannot be run on it: {error}") from None


def synthetic_calibration(graph: Graph, *, seed: int = 0) -> Calibration:
    """Makes inputs for a network of which no data is known: images where it takes images, noise where not."""
    batch = max([shape[0] if shape else 1 for shape in graph.bound.values()], default=1)
    costs = totals(graph)
    affordable = min(_WORK / max(costs.macs, 1), _TRAFFIC / max(costs.activation_bytes, 1)) * batch
    calls = max(2, math.ceil(np.clip(affordable, _FEWEST, _MOST) / batch))
    inputs = synthetic_inputs(graph, calls, np.random.default_rng(seed))
    image = next((name for name in graph.inputs if is_image(graph, name)), None)
    pixels = None if image is None else _pictures(graph, image, inputs[image].reshape(-1, *graph.bound[image][1:])[:SHOWN])
    source = f"{calls * batch:,} synthetic {'inputs' if image is None else 'images'}"
    return _split(graph, inputs, calls, source=source, pixels=pixels, synthetic=True)


def _labels(path: Path, total: int) -> Array:
    """Classes as integers, as many as there are inputs."""
    if not path.is_file():
        raise UsageError(f"--labels {path}: no such file")
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(f"--labels {path}: not a .npy file of integers ({error})") from None
    if not isinstance(found, np.ndarray) or found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise UsageError(f"--labels {path}: must hold one integer a row of the data, in one dimension")
    if len(found) != total:
        raise UsageError(f"--labels {path}: holds {len(found)} labels for {total} inputs")
    return found.astype(np.int64)


def _split(
    graph: Graph,
    calls: dict[str, Array],
    count: int,
    *,
    source: str,
    pixels: Array | None,
    synthetic: bool = False,
    classes: Array | None = None,
) -> Calibration:
    """Batches of inputs (calls, *bound shape): several calls together where the network takes them so. The first tenth is held out."""
    first = next(iter(graph.bound.values()), ())
    batch = first[0] if first else 1
    fitting = _AT_ONCE * batch // max(totals(graph).peak_activation_bytes, 1)
    together = max(1, min(BATCH, fitting) // batch) if _runs_batched(graph, calls) else 0

    def batches(calls: Mapping[str, Array], start: int, stop: int, least: int) -> Batches:
        parts = max(math.ceil((stop - start) / max(together, 1)), min(least, stop - start))
        edges = [start + part * (stop - start) // parts for part in range(parts + 1)]
        return tuple(
            {name: array[low:high].reshape(-1, *array.shape[2:]) if together else array[low] for name, array in calls.items()}
            for low, high in pairwise(edges)
        )

    # A tenth, but some, even of few: a single input has no spread to compare errors with.
    held = max(1, round(count / 10), min(HELD_OUT // batch, count // 3))
    shown = None if pixels is None else pixels[: held * batch]
    fit, judges = (held, count, FIT_BATCHES), (0, held, 1)
    made = Calibration(batches(calls, *fit), batches(calls, *judges), count * batch, source, synthetic, shown)
    if classes is None:
        return made
    known, others = (tuple(part["labels"] for part in batches({"labels": classes}, *which)) for which in (fit, judges))
    return replace(made, labels=known, held_out_labels=others)


def _runs_batched(graph: Graph, calls: dict[str, Array]) -> bool:
    """Whether the batch dimension is dynamic and means what it says: two inputs together give what each gives alone.

    Raises:
        ModelNotSupportedError: the network does not run on these inputs at all.
    """
    session = open_session(graph.model, origin=graph.origin)
    alone = [run(session, {name: array[place] for name, array in calls.items()}, origin=graph.origin) for place in (0, 1)]
    declared = [declared_shape(value) for value in graph.model.graph.input if value.name in graph.inputs]
    if not all(shape and isinstance(shape[0], str) for shape in declared) or len({shape[0] for shape in graph.bound.values()}) != 1:
        return False
    try:
        both = run(session, {name: array[:2].reshape(-1, *array.shape[2:]) for name, array in calls.items()}, origin=graph.origin)
    except ModelNotSupportedError:
        return False
    return all(_equal(together, *separate) for together, *separate in zip(both, *alone, strict=True))


def _equal(together: Any, first: Any, second: Any) -> bool:
    if not all(isinstance(value, np.ndarray) and value.ndim for value in (together, first, second)) or first.shape[1:] != second.shape[1:]:
        return False
    expected = np.concatenate([first, second])
    if together.shape != expected.shape or not np.issubdtype(expected.dtype, np.number):
        return bool(np.array_equal(together, expected))
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
    return np.allclose(together, expected, rtol=0, atol=_SAME * largest, equal_nan=True)


def _written_batch(graph: Graph) -> int:
    """The first dimension that all inputs share."""
    sizes = {shape[0] if shape else None for shape in graph.bound.values()}
    if len(sizes) != 1 or None in sizes:
        spelt = ", ".join(f"{name} {_spell(shape) or 'a scalar'}" for name, shape in graph.bound.items())
        raise UsageError(f"--data needs a network whose inputs share their first dimension, the batch; here: {spelt or 'no input'}")
    return int(sizes.pop() or 1)


def _gather(path: Path, graph: Graph, name: str, rows: Rows, drawn: Ints) -> Array:
    """The drawn rows as the network takes them, read a batch at a time."""
    shape, dtype = (len(drawn), *graph.bound[name][1:]), tensor_dtype_to_np_dtype(graph.dtypes[name])
    stored = _room(shape, dtype)
    for start in range(0, len(drawn), BATCH):
        chunk = drawn[start : start + BATCH]
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused
            values = rows.read(chunk).astype(dtype, copy=False)
        finite = np.isfinite(values).reshape(len(chunk), -1).all(axis=1)
        if not finite.all():
            raise UsageError(f"{path}: row {chunk[~finite].min()} of '{name}' holds NaN or infinite values")
        stored[start : start + len(chunk)] = values
    return stored


def _room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    if math.prod(shape) * dtype.itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="nasopt-") as file:  # its blocks are freed with the last array that looks at them
        return np.memmap(file, dtype, "w+", shape=shape)


def _constant(calls: Array) -> bool:
    rows = calls.reshape(-1, *calls.shape[2:])
    return all(np.array_equal(rows[0], row) for row in rows[1:])


def _pictures(graph: Graph, name: str, values: Array) -> Array | None:
    """Inputs whose preprocessing nobody told, as images to look at: the range that nearly all values have becomes black to white."""
    layout = image_layout(graph.bound[name])
    shown = np.moveaxis(values, 1, -1) if layout == "NCHW" else values
    if layout is None or shown.shape[-1] not in {1, 3} or values.dtype.kind not in "fu":
        return None
    if values.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    low, high = np.percentile(shown, (1, 99))
    scaled: Array = np.clip((shown - low) * (255 / max(high - low, 1e-12)), 0, 255)
    return scaled.astype(np.uint8)


def _spell(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
