"""Checking a changed network by running it: agreement with a reference, and whether the final model is sound.

Two values agree where they differ by little in comparison with the largest element, and by little in comparison with how far the value
moves with the input: the first alone would let a large bias hide any difference. Values inside the network are compared as its outputs
are (`nasopt.runtime.interior`).

Two networks that compute the same function round differently. Where a difference exceeds its tolerance, it is compared with the value's
own rounding noise: how much it moves in the reference when inputs and weights change in the last place, and when ONNX Runtime fuses
operators. A difference of up to `NOISE_FACTOR` times that noise is no disagreement; but a value whose noise exceeds `NOISE_LIMIT`, like
one that is the same whatever the input, says nothing, and others have to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
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
from nasopt.runtime.interior import exposing
from nasopt.runtime.sessions import open_session, random_inputs, run

__all__ = ["TOLERANCE", "Agreement", "Inputs", "agreement", "check_result", "outputs_of"]

TOLERANCE = 1e-5
"""max|difference| / max|reference| of an output."""

CENTRED_TOLERANCE = 1e-4
"""max|difference| / max|reference - its mean over the inputs|, of any value; inside a network, rounding reaches 4e-5 (ResNet-50)."""

VARIES = 1e-6
"""A value that moves by less than this with the input, relative to its largest element, is constant as far as float32 can tell."""

NOISE_FACTOR = 4
NOISE_LIMIT = 1e-3
"""A value that is noisier than this (what is left of large numbers that cancel, a random operator) says nothing."""

Array = np.ndarray[Any, Any]
Inputs = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a network is from its reference.

    Attributes:
        ok: nothing differs, and something could be compared.
        error: max|difference| / max|reference|, the worst over all outputs and inputs.
        detail: what to tell the user.
        comparable: False where nothing differs because nothing could be compared: no output is finite, or all is rounding noise.
    """

    ok: bool
    error: float
    detail: str
    comparable: bool = True


class _Verdict(Enum):
    AGREES = "agrees"
    DIFFERS = "differs"
    SILENT = "silent"
    """Constant, not finite or drowned in rounding: it would look the same in a wrong network."""


@dataclass(frozen=True, slots=True)
class _Distance:
    """How far a value is from the reference's, the worst over all inputs; None where there is nothing to divide by."""

    error: float | None
    centred: float | None
    varies: bool = True
    tolerance: float = TOLERANCE
    """Of the error; that of the centred one is the same for all."""

    @property
    def far(self) -> bool:
        return (self.error or 0.0) > self.tolerance or (self.centred or 0.0) > CENTRED_TOLERANCE

    def verdict(self, noise: _Distance) -> _Verdict:
        """What the distance means, given how far rounding alone takes the reference from itself."""
        pairs = (self.error or 0.0, self.tolerance, noise.error or 0.0), (self.centred or 0.0, CENTRED_TOLERANCE, noise.centred or 0.0)
        if any(found > max(tolerance, NOISE_FACTOR * own) for found, tolerance, own in pairs):
            return _Verdict.DIFFERS
        drowned = any(found > tolerance and own > NOISE_LIMIT for found, tolerance, own in pairs)
        return _Verdict.AGREES if self.varies and not drowned else _Verdict.SILENT


def outputs_of(
    model: onnx.ModelProto, inputs: Sequence[Inputs], *, also: Sequence[str] = (), optimise: bool = False, origin: str = "model"
) -> list[list[Any]]:
    """All outputs for each of several inputs; the session is closed before this returns.

    Args:
        model: the network.
        inputs: arrays by input name, once a run.
        also: values inside the network to be had after its outputs.
        optimise: whether ONNX Runtime may fuse operators.
        origin: what error messages call the model.
    """
    with exposing(model, also):
        session = open_session(model, optimise=optimise, origin=origin)
    return [run(session, feed, origin=origin) for feed in inputs]


def agreement(
    expected: Sequence[Sequence[Any]],
    got: Sequence[Sequence[Any]],
    inputs: Sequence[Inputs],
    reference: Callable[[], onnx.ModelProto],
    also: Sequence[str] = (),
) -> Agreement:
    """Compares outputs, and values inside, with those of a reference.

    Args:
        expected: the reference's values, once an input.
        got: the changed network's.
        inputs: what both were given.
        reference: makes the reference model, called only where its rounding noise has to be measured.
        also: names of the values inside, which follow the outputs in `expected` and `got`.
    """
    found = _distances(expected, got)
    outputs = len(found) - len(also)
    found[outputs:] = [replace(distance, tolerance=CENTRED_TOLERANCE) for distance in found[outputs:]]
    errors = [distance.error for distance in found[:outputs] if distance.error is not None]
    if not errors:
        return Agreement(False, np.inf, "no output of the original is finite on random inputs: nothing can be compared", comparable=False)
    error = max(errors)
    said = f"largest relative error {error:.2g} over {len(inputs)} random inputs"
    if also:
        said += f" ({max(distance.error or 0.0 for distance in found[outputs:]):.2g} in {len(also)} values inside)"
    far = any(distance.far for distance in found)
    noise = _noise(expected, inputs, reference(), also) if far else [_Distance(None, None)] * len(found)
    verdicts = [distance.verdict(own) for distance, own in zip(found, noise, strict=True)]
    if _Verdict.DIFFERS in verdicts:
        place = verdicts.index(_Verdict.DIFFERS)
        name = f"'{also[place - outputs]}' inside" if place >= outputs else f"output {place}"
        return Agreement(False, error, f"{said}; {name} differs by {_said(found[place])}; rounding moves it by {_said(noise[place])}")
    silent = [place for place, verdict in enumerate(verdicts) if verdict is _Verdict.SILENT]
    drowned = next((place for place in silent if place < outputs and (found[place].error or 0.0) > TOLERANCE), None)
    known = len(verdicts) - len(silent)
    if drowned is not None:
        # What is left to be seen must reach as far as the last operators.
        seen = bool(also) and verdicts[-1] is _Verdict.AGREES
        instead = f"but {known} other values agree, up to '{also[-1]}'" if seen else "and no value shortly before it tells more"
        said += f"; rounding alone moves output {drowned} by {_said(noise[drowned])}, {instead}"
        return Agreement(seen, error, said, comparable=seen)
    if not known:
        said += "; no compared value varies with the input by more than rounding: this would hold for a wrong network, too"
    return Agreement(True, error, said)


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


def _noise(expected: Sequence[Sequence[Any]], inputs: Sequence[Inputs], reference: onnx.ModelProto, also: Sequence[str]) -> list[_Distance]:
    """How far the reference's values move by rounding alone."""
    rng = np.random.default_rng(0)
    nudged = [{name: _nudge(value, rng) for name, value in feed.items()} for feed in inputs]
    fused = _distances(expected, outputs_of(reference, inputs, also=also, optimise=True))
    moved = _distances(expected, outputs_of(_nudged(reference, rng), nudged, also=also))
    return [
        _Distance(max(a.error or 0.0, b.error or 0.0), max(a.centred or 0.0, b.centred or 0.0)) for a, b in zip(fused, moved, strict=True)
    ]


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


def _distances(expected: Sequence[Sequence[Any]], got: Sequence[Sequence[Any]]) -> list[_Distance]:
    """One entry a value; both lists hold a row of values for each input."""
    return [_distance(one, other) for one, other in zip(zip(*expected, strict=True), zip(*got, strict=True), strict=True)]


def _distance(expected: Sequence[Any], got: Sequence[Any]) -> _Distance:
    """How far one value is from the reference's, given both for each input."""
    errors = [error for pair in zip(expected, got, strict=True) if (error := _relative(*pair)) is not None]
    if not errors:
        return _Distance(None, None, varies=False)
    error = max(errors)
    first = np.asarray(expected[0])
    if len(expected) < 2 or not np.issubdtype(first.dtype, np.floating) or len({np.shape(one) for one in expected}) > 1:
        same = len(expected) > 1 and all(np.array_equal(first, one) for one in expected[1:])
        return _Distance(error, None, varies=not same)
    values = np.stack(expected).astype(np.float64)
    finite = np.isfinite(values).all(0)
    values = values[:, finite]
    moves = float(np.abs(values - values.mean(0)).max(initial=0.0))
    largest = float(np.abs(values).max(initial=0.0))
    if moves <= VARIES * largest:
        return _Distance(error, None, varies=False)
    if not np.isfinite(error):
        return _Distance(error, error)
    return _Distance(error, max(float(np.abs(a[finite] - b[finite]).max(initial=0.0)) for a, b in zip(expected, got, strict=True)) / moves)


def _said(distance: _Distance) -> str:
    """A distance in words: relative to the largest element or, where that is worse against its tolerance, to what varies."""
    error, centred = distance.error or 0.0, distance.centred or 0.0
    return f"{centred:.2g} of what varies" if centred / CENTRED_TOLERANCE > error / distance.tolerance else f"{error:.2g}"


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
