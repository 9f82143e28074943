"""The rows of a user's data, one input of the network at a time: NumPy files as they are, pictures through their preprocessing."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from onnx.helper import tensor_dtype_to_np_dtype

from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph
from nasopt.runtime.preprocess import EXAMPLE, Preprocess, read_preprocess

__all__ = ["Rows", "sources"]

Array = np.ndarray[Any, Any]
Ints = np.ndarray[Any, np.dtype[np.int64]]

IMAGES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class Rows:
    """Data for one input, read when it is asked for."""

    count: int
    read: Callable[[Ints], Array]
    """What the network is fed for these rows."""
    pixels: Callable[[Ints], Array] | None = None
    """The images behind it, where the data are images."""


def sources(path: Path, graph: Graph, preprocess: str | Path | None) -> Iterator[tuple[str, Rows]]:
    """The data of each input, one after the other, so that only one array of a ``.npz`` is in memory.

    Raises:
        UsageError: there is no such data, or it does not fit the network.
    """
    if not path.exists():
        raise UsageError(f"--data {path}: no such file or folder")
    if not path.is_dir() and path.suffix.lower() not in {".npy", ".npz"}:
        raise UsageError(f"--data {path}: it is neither a .npy or .npz file nor a folder of images")
    images = False
    for name, data in _arrays(path, graph):
        images |= not isinstance(data, np.ndarray) or _is_picture(graph, name, data)
        yield name, _rows_of(path, graph, name, data, preprocess)
    if preprocess is not None and not images:
        raise UsageError(f"{path}: --preprocess is for images (a folder, or uint8 arrays); these arrays are fed exactly as they are")


def _arrays(path: Path, graph: Graph) -> Iterator[tuple[str, Array | list[Path]]]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGES and file.name[0] != "." and file.is_file())
        if not files:
            raise UsageError(f"{path}: no images in this folder or below ({', '.join(sorted(IMAGES))})")
        yield _only_input(path, graph), files
        return
    try:
        if path.suffix.lower() == ".npy":
            yield _only_input(path, graph), np.lib.format.open_memmap(path, mode="r")  # which has no place for Python objects
            return
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as archive:
            if set(archive.files) != set(graph.inputs):
                names = f"it holds {', '.join(archive.files) or 'nothing'}; the network's inputs are {', '.join(graph.inputs)}"
                raise UsageError(f"{path}: the names of the arrays must be those of the inputs: {names}")
            for name in graph.inputs:
                yield name, np.asarray(archive[name])  # a member that is no array comes as bytes
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(f"{path}: it cannot be read as plain arrays: {error}") from None


def _only_input(path: Path, graph: Graph) -> str:
    if len(graph.inputs) != 1:
        names = ", ".join(graph.inputs)
        raise UsageError(
            f"{path}: the network has {len(graph.inputs)} inputs ({names}): give a .npz with one array for each, by these names"
        )
    name: str = graph.inputs[0]
    return name


def _is_picture(graph: Graph, name: str, data: Array) -> bool:
    return data.dtype == np.uint8 and graph.is_float(name)


def _rows_of(path: Path, graph: Graph, name: str, data: Array | list[Path], preprocess: str | Path | None) -> Rows:
    shape, dtype = graph.bound[name], tensor_dtype_to_np_dtype(graph.dtypes[name])
    if not isinstance(data, np.ndarray) or _is_picture(graph, name, data):
        if not graph.is_float(name):
            raise UsageError(f"{path}: images are for float inputs; '{name}' takes {dtype}: give a .npy of that type")
        if preprocess is None:
            raise UsageError(f"{path}: images need --preprocess, which says what the network was trained on; for example {EXAMPLE}")
        return _image_rows(path, data, read_preprocess(preprocess, name, shape))
    if data.ndim == 0 or data.shape[1:] != shape[1:]:
        taken = f"Nx{_spell(shape[1:])}" if shape[1:] else "N"
        raise UsageError(f"{path}: the array has shape {_spell(data.shape) or 'of a scalar'}, but input '{name}' takes {taken}")
    if not (graph.is_float(name) and np.issubdtype(data.dtype, np.floating)) and data.dtype.newbyteorder("=") != dtype:
        raise UsageError(f"{path}: the array holds {data.dtype}, but input '{name}' takes {dtype}; convert it with .astype('{dtype}')")
    return Rows(len(data), lambda rows: data[rows])


def _image_rows(path: Path, data: Array | list[Path], prep: Preprocess) -> Rows:
    if isinstance(data, np.ndarray):
        pictures = _pixel_last(path, data)

        def pixels(rows: Ints) -> Array:
            from PIL import Image

            return np.stack([prep.pixels(Image.fromarray(np.ascontiguousarray(pictures[row]))) for row in rows])
    else:

        def pixels(rows: Ints) -> Array:
            return np.stack([_decoded(data[row], prep) for row in rows])

    return Rows(len(data), lambda rows: prep.feed(pixels(rows)), pixels)


def _pixel_last(path: Path, data: Array) -> Array:
    """A view of uint8 images with the channels last, or without them where there is but one."""
    axis = next((axis for axis in (3, 1) if data.ndim == 4 and data.shape[axis] in {1, 3, 4}), None)
    if not data.size or (axis is None and data.ndim != 3):
        forms = "N x height x width x channels, N x channels x height x width or N x height x width"
        raise UsageError(f"{path}: uint8 arrays must be images, {forms}, not {_spell(data.shape)}")
    if axis is None:
        return data
    last = np.moveaxis(data, axis, 3)
    return last[..., 0] if last.shape[3] == 1 else last


def _decoded(file: Path, prep: Preprocess) -> Array:
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            return prep.pixels(ImageOps.exif_transpose(image))
    except Exception as error:  # noqa: BLE001  whatever the parser of a format trips over
        raise UsageError(f"{file}: the image cannot be read: {error}") from None


def _spell(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
