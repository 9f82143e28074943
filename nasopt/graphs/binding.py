"""Binding dynamic input dimensions for analysis; the written model stays as dynamic as it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import onnx

from nasopt.errors import ModelNotSupportedError, UsageError

if TYPE_CHECKING:
    from nasopt.graphs.graph import Graph

__all__ = ["bind_inputs", "declared_shape"]


def declared_shape(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """The shape as the file declares it: a number, or the name of a dynamic dimension (``"?"`` where it has none, or where it is −1)."""
    dims = value.type.tensor_type.shape.dim
    return tuple(int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or "?" for dim in dims)


def bind_inputs(graph: Graph, given: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """A concrete shape for every graph input.

    Args:
        graph: the graph, its `inputs` known.
        given: shapes by input name; a dynamic first dimension that is not given is a batch of 1.

    Returns:
        Input name → shape.

    Raises:
        UsageError: a shape names no input, has the wrong rank, contradicts a declared or an equally named dimension, or a dynamic
            dimension other than the first is left open.
    """
    unknown = sorted(set(given) - set(graph.inputs))
    if unknown:
        raise UsageError(f"--input-shape names '{unknown[0]}', which is no input of the model; its inputs are: {', '.join(graph.inputs)}")
    named: dict[str, int] = {}
    bound: dict[str, tuple[int, ...]] = {}
    for value in graph.model.graph.input:
        if value.name not in graph.inputs:
            continue
        if not value.type.HasField("tensor_type"):
            raise ModelNotSupportedError(f"{graph.origin}: input '{value.name}' is not a tensor; nasopt handles tensor inputs only")
        bound[value.name] = _bind(value, given.get(value.name), named)
    return bound


def _bind(value: onnx.ValueInfoProto, given: Sequence[int] | None, named: dict[str, int]) -> tuple[int, ...]:
    declared = declared_shape(value)
    if given is None and not value.type.tensor_type.HasField("shape"):
        raise UsageError(f"input '{value.name}' declares no shape; say which one to use: --input-shape {value.name}:1,3,224,224")
    if given is not None and value.type.tensor_type.HasField("shape") and len(given) != len(declared):
        raise UsageError(f"--input-shape {value.name}: has {len(given)} dimensions, the input has {len(declared)}: {_spell(declared)}")
    shape: list[int] = []
    for axis, dim in enumerate(declared if value.type.tensor_type.HasField("shape") else tuple(given or ())):
        wanted = None if given is None else int(given[axis])
        size = _size(value.name, axis, dim, wanted, named, declared)
        shape.append(size)
    return tuple(shape)


def _size(name: str, axis: int, dim: int | str, wanted: int | None, named: dict[str, int], declared: tuple[int | str, ...]) -> int:
    if isinstance(dim, int):
        if wanted is not None and wanted != dim:
            raise UsageError(f"--input-shape {name}: dimension {axis} is {dim} in the model, not {wanted}")
        size = dim
    else:
        size = wanted if wanted is not None else named.get(dim, 1 if axis == 0 else 0)
        if size == 0 and wanted is None:
            example = ",".join(str(d) if isinstance(d, int) else "1" if i == 0 else "224" for i, d in enumerate(declared))
            raise UsageError(f"input '{name}' has a dynamic dimension {axis} ('{dim}'); say how long it is: --input-shape {name}:{example}")
        if dim != "?" and named.setdefault(dim, size) != size:
            raise UsageError(f"--input-shape {name}: dimension {axis} ('{dim}') is {size} here and {named[dim]} in another input")
    if size <= 0 and isinstance(dim, int):
        raise ModelNotSupportedError(f"input '{name}' of the model holds nothing: dimension {axis} is {size}")
    if size <= 0:
        raise UsageError(f"input '{name}': dimension {axis} is {size}; sizes must be positive")
    return size


def _spell(declared: tuple[int | str, ...]) -> str:
    return "x".join(str(dim) for dim in declared)
