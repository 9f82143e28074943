"""Reading and writing ONNX files.

The carrier is the `onnx.ModelProto` itself: whatever a file holds beyond what nasopt understands (metadata, functions, training
information, annotations) goes through untouched, and a protobuf loads three times faster than any richer IR imports.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto
from onnx.external_data_helper import load_external_data_for_model, uses_external_data
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.numpy_helper import to_array

from nasopt.errors import ModelNotSupportedError, UsageError
from nasopt.files import write_atomically

__all__ = ["content_hash", "external_files", "file_bytes", "read_model", "write_model"]

_PACKED = {value for name, value in TensorProto.DataType.items() if name == "STRING" or name.endswith(("INT4", "INT2", "4E2M1"))}
"""Element types of which a byte holds several, and strings, which are not stored raw."""

PROTOBUF_LIMIT = 2_000_000_000
"""A protobuf message ends at 2 GiB; above this a model is written with its weights beside it."""


def read_model(path: str | Path) -> onnx.ModelProto:
    """Reads an ONNX file with all its weights.

    Args:
        path: the ``.onnx`` file; external data is looked for beside it.

    Returns:
        The model, external data loaded into it.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        ModelNotSupportedError: it is not an ONNX model, it is truncated, or its external data is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise ModelNotSupportedError(f"{path}: not an ONNX model, or a truncated one (its bytes do not parse); export it again") from None
    if not model.HasField("graph") or not model.opset_import or not model.graph.output:
        raise ModelNotSupportedError(f"{path}: not an ONNX model (no graph, opset or outputs in it)")
    if not all(isinstance(text, str) for text in (*_labels(model), *_texts(model.graph))):
        raise ModelNotSupportedError(f"{path}: damaged (a name in it is not text); export it again")
    for tensor in _tensors(model):
        if uses_external_data(tensor):
            _require_external(tensor, path)
    try:
        load_external_data_for_model(model, str(path.parent.resolve()))
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ModelNotSupportedError(f"{path}: external data cannot be read ({_first_line(error)})") from None
    for tensor in _tensors(model):
        if problem := _damage(tensor):
            raise ModelNotSupportedError(f"{path}: weight '{tensor.name}' is damaged ({problem}); export the model again")
    return model


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes `model` atomically; weights go to ``<name>.data`` beside it only where the message would exceed protobuf's 2 GiB."""
    if model.ByteSize() < PROTOBUF_LIMIT:
        write_atomically(path, model.SerializeToString())
        return
    data_name = path.name + ".data"
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".nasopt-") as scratch:
        partial = Path(scratch) / path.name
        onnx.save_model(model, str(partial), save_as_external_data=True, location=data_name, size_threshold=1024)
        load_external_data_for_model(model, scratch)  # saving took the weights out of `model`
        (Path(scratch) / data_name).replace(path.with_name(data_name))
        partial.replace(path)


def content_hash(path: Path) -> str:
    """SHA-256 of a model file, its external data included (``sha256:…``)."""
    digest = hashlib.sha256()
    for part in [path, *external_files(path)]:
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def external_files(path: Path) -> list[Path]:
    """The files beside `path` that hold its external data, sorted by name."""
    model = onnx.load_model(str(path), load_external_data=False)
    names = {_location(tensor) for tensor in _tensors(model) if uses_external_data(tensor)}
    return [path.parent / name for name in sorted(names)]


def file_bytes(path: Path) -> int:
    """Size on disk, external data included."""
    return sum(part.stat().st_size for part in [path, *external_files(path)])


def _require_external(tensor: onnx.TensorProto, path: Path) -> None:
    location = _location(tensor)
    if not location or Path(location).is_absolute() or ".." in Path(location).parts:
        raise ModelNotSupportedError(f"{path}: weight '{tensor.name}' names external data outside the model's directory ('{location}')")
    if not (path.parent / location).is_file():
        raise ModelNotSupportedError(
            f"{path}: the external data file '{location}' (weight '{tensor.name}') is missing; it must lie beside the model"
        )


def _location(tensor: onnx.TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _damage(tensor: onnx.TensorProto) -> str:
    """What is wrong with a stored tensor: a type that does not exist, or data that do not fill its shape; empty where nothing is."""
    if tensor.data_type not in TensorProto.DataType.values() or tensor.data_type == TensorProto.UNDEFINED:
        return f"element type {tensor.data_type} does not exist"
    size = math.prod(tensor.dims)
    if min(tensor.dims, default=1) < 0:
        return "a negative dimension"
    if tensor.HasField("raw_data") and tensor.data_type not in _PACKED:
        wanted = size * int(np.dtype(tensor_dtype_to_np_dtype(tensor.data_type)).itemsize)
        return "" if len(tensor.raw_data) == wanted else f"{len(tensor.raw_data)} bytes instead of {wanted}"
    try:
        to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        return _first_line(error)
    return ""


def _labels(model: onnx.ModelProto) -> Iterator[object]:
    """The strings of a model outside its graph."""
    yield from (model.producer_name, model.producer_version, model.domain)
    yield from (entry.domain for entry in model.opset_import)
    yield from (text for entry in model.metadata_props for text in (entry.key, entry.value))
    yield from (text for function in model.functions for text in (function.name, function.domain))


def _texts(graph: onnx.GraphProto) -> Iterator[object]:
    """The strings of a graph. Protobuf hands out bytes for those that are no valid UTF-8."""
    yield graph.name
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for tensor in graph.initializer:
        yield tensor.name
        yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _texts(inner)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
