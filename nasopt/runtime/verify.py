"""Checking a changed network by running it: agreement with a reference, and whether the final model is sound.

Two networks that compute the same function round differently. Where the relative difference exceeds `TOLERANCE`, it is compared with
the network's own rounding noise: how much the reference's outputs move when its inputs and weights change in the last place, and when
ONNX Runtime fuses its operators. A difference of up to `NOISE_FACTOR` times that noise is still agreement, and the detail says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx.numpy_helper import from_array, to_array

from nasopt.errors import ModelNotSupportedError, UsageError
from nasopt.graphs.diff import interface_changes
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import PROTOBUF_LIMIT
from nasopt.graphs.shapes import skeleton
from nasopt.results import Check
from nasopt.runtime.sessions import open_session, random_inputs, run

__all__ = ["NOTHING_FINITE", "TOLERANCE", "Agreement", "agreement", "check_result", "outputs_of", "require_comparable"]

TOLERANCE = 1e-5
"""max|difference| / max|reference| of an output."""

NOISE_FACTOR = 4
NOISE_LIMIT = 1e-2
"""A network that is noisier than this (one with random operators, say) cannot be verified."""

NOTHING_FINITE = "no output of the original is finite on random inputs: nothing can be compared"

Array = np.ndarray[Any, Any]
Inputs = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a network is from its reference, in max|difference| / max|reference|, the worst over all outputs and inputs."""

    ok: bool
    error: float
    detail: str


def outputs_of(model: onnx.ModelProto, inputs: Sequence[Inputs], *, optimise: bool = False, origin: str = "model") -> list[list[Any]]:
    """All outputs for each of several inputs; the session is closed before this returns.

    Args:
        model: the network.
        inputs: arrays by input name, once a run.
        optimise: whether ONNX Runtime may fuse operators.
        origin: what error messages call the model.
    """
    session = open_session(model, optimise=optimise, origin=origin)
    return [run(session, feed, origin=origin) for feed in inputs]


def agreement(
    expected: Sequence[Sequence[Any]], got: Sequence[Sequence[Any]], inputs: Sequence[Inputs], reference: Callable[[], onnx.ModelProto]
) -> Agreement:
    """Compares outputs with those of a reference.

    Args:
        expected: the reference's outputs, once an input.
        got: the changed network's.
        inputs: what both were given.
        reference: makes the reference model, called only where its rounding noise has to be measured.
    """
    error = _distance(expected, got)
    if error is None:
        return Agreement(False, np.inf, NOTHING_FINITE)
    if error <= TOLERANCE:
        return Agreement(True, error, f"largest relative error {error:.2g} over {len(inputs)} random inputs")
    noise = _noise(expected, inputs, reference())
    said = f"largest relative error {error:.2g}; the network's own rounding noise is {noise:.2g}"
    return Agreement(noise <= NOISE_LIMIT and error <= NOISE_FACTOR * noise, error, said)


def require_comparable(graph: Graph, *, seed: int = 0) -> None:
    """Whether a network's outputs say anything: called where a comparison with it has failed.

    Args:
        graph: the network, input shapes bound.
        seed: seed of the random inputs.

    Raises:
        ModelNotSupportedError: no output is finite on random inputs, or rounding alone moves the outputs too far.
    """
    inputs = [random_inputs(graph, 1000 * seed + number) for number in range(3)]
    expected = outputs_of(graph.model, inputs, origin=graph.origin)
    if _distance(expected, expected) is None:
        raise ModelNotSupportedError(f"{graph.origin}: no output is finite on random inputs, so that no result could be verified")
    noise = _noise(expected, inputs, graph.model)
    if noise > NOISE_LIMIT:
        raise ModelNotSupportedError(
            f"{graph.origin}: rounding alone moves its outputs by {100 * noise:.2g} % on random inputs, so that no result could be verified"
        )


def check_result(original: Graph, result: onnx.ModelProto, *, origin: str = "result", seed: int = 0) -> tuple[Check, ...]:
    """Whether a finished model is valid, keeps the interface of its original and runs.

    Args:
        original: what it was made from, input shapes bound.
        result: the finished model.
        origin: what error messages call it.
        seed: seed of the random inputs.
    """
    valid = _checker(result)
    if valid and (before := _checker(original.model)):
        valid, inherited = "", f"; the checker faults the original as well ({before})"
    else:
        inherited = ""
    checks = [Check("checker", not valid, valid or f"onnx accepts the model, and its shapes fit{inherited}")]
    changed = interface_changes(original, result)
    checks.append(Check("interface", not changed, "; ".join(changed) or "inputs, outputs, opsets, metadata and functions are the same"))
    try:
        graph = Graph(result, original.bound, origin=origin)
    except (ModelNotSupportedError, UsageError) as error:
        return (*checks, Check("shapes", False, str(error)))
    different = [name for name in original.outputs if graph.shapes.get(name) != original.shapes.get(name)]
    lost = len(_unknown(graph)) - len(_unknown(original))
    detail = f"the shape of '{different[0]}' differs" if different else f"{lost} shapes can no longer be inferred" if lost > 0 else ""
    checks.append(Check("shapes", not detail, detail or "every output has the shape that it had"))
    return (*checks, _runs(original, result, origin, seed))


def _runs(original: Graph, result: onnx.ModelProto, origin: str, seed: int) -> Check:
    inputs = [random_inputs(original, seed)]
    try:
        (outputs,) = outputs_of(result, inputs, optimise=True, origin=origin)
    except ModelNotSupportedError as error:
        return Check("runs", False, str(error))
    odd = [place for place, value in enumerate(outputs) if not _finite(value).all()]
    if odd:
        (expected,) = outputs_of(original.model, inputs, optimise=True, origin=original.origin)
        odd = [place for place in odd if _finite(expected[place]).all()]
    names = [value.name for value in result.graph.output]
    return Check(
        "runs", not odd, f"output '{names[odd[0]]}' is not finite" if odd else "ONNX Runtime loads and runs it; its outputs are finite"
    )


def _noise(expected: Sequence[Sequence[Any]], inputs: Sequence[Inputs], reference: onnx.ModelProto) -> float:
    """How much the reference's outputs move by rounding alone."""
    rng = np.random.default_rng(0)
    nudged = [{name: _nudge(value, rng) for name, value in feed.items()} for feed in inputs]
    fused = _distance(expected, outputs_of(reference, inputs, optimise=True))
    moved = _distance(expected, outputs_of(_nudged(reference, rng), nudged))
    return max(fused or 0.0, moved or 0.0)


def _nudged(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    """The network with every weight one unit in the last place up or down, but for numbers that say how large a tensor becomes."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    sizes = {name for node in result.graph.node if node.op_type in ("Resize", "Upsample", "Range") for name in node.input[:4]}
    for tensor in result.graph.initializer:
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE) and tensor.name not in sizes:
            tensor.CopyFrom(from_array(_nudge(to_array(tensor), rng), tensor.name))
    return result


def _nudge(value: Array, rng: np.random.Generator) -> Array:
    """Each element one unit in the last place up or down; zeros and integers as they are."""
    if not np.issubdtype(value.dtype, np.floating):
        return value
    direction = np.where(rng.integers(0, 2, value.shape), np.inf, -np.inf).astype(value.dtype)
    return np.where(value == 0, value, np.nextafter(value, direction))


def _distance(expected: Sequence[Sequence[Any]], got: Sequence[Sequence[Any]]) -> float | None:
    """The largest relative difference of any output; None where there was nothing finite to compare."""
    errors = [_relative(a, b) for one, other in zip(expected, got, strict=True) for a, b in zip(one, other, strict=True)]
    known = [error for error in errors if error is not None]
    return max(known) if known else None


def _relative(expected: Any, got: Any) -> float | None:
    """max|difference| / max|reference| where the reference is finite; what is not floating-point must be equal."""
    a, b = np.asarray(expected), np.asarray(got)
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if not np.issubdtype(a.dtype, np.floating):
        return 0.0 if np.array_equal(a, b) else np.inf
    finite = np.isfinite(a)
    if a.size and not finite.any():
        return None
    reference, other = a[finite].astype(np.float64), b[finite].astype(np.float64)
    if not np.isfinite(other).all():
        return np.inf
    largest = float(np.abs(reference - other).max(initial=0.0))
    return largest / float(np.abs(reference).max()) if largest and reference.any() else np.inf if largest else 0.0


def _finite(value: Any) -> Array:
    array = np.asarray(value)
    return np.isfinite(array) if np.issubdtype(array.dtype, np.floating) else np.ones(array.shape, np.bool_)


def _checker(model: onnx.ModelProto) -> str:
    """What onnx's checker says against a model; empty where it accepts it."""
    try:
        if model.ByteSize() < PROTOBUF_LIMIT:
            onnx.checker.check_model(model, full_check=True)
        else:
            onnx.checker.check_model(skeleton(Graph(model)), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return " ".join(str(error).split())[:300]
    return ""


def _unknown(graph: Graph) -> list[str]:
    return [name for node in graph.nodes for name in node.outputs if name and name not in graph.shapes]
