"""``verify``: a result is its original with channels removed, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from nasopt.errors import InvalidEditError
from nasopt.graphs.diff import changes
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.model_file import content_hash, read_model
from nasopt.mutations import Edit
from nasopt.mutations.contract import mutation_of
from nasopt.mutations.script import read_script, replay, script_of, understood
from nasopt.results import Check, VerifyResult
from nasopt.runtime.interior import watched
from nasopt.runtime.sessions import random_inputs
from nasopt.runtime.verify import Agreement, Inputs, agreement, check_result, outputs_of

__all__ = ["verify", "verify_edits"]

Shapes = Mapping[str, Sequence[int]]


def verify(
    original: str | Path, result: str | Path, *, script: str | Path | None = None, input_shapes: Shapes | None = None, seed: int = 0
) -> VerifyResult:
    """Replays the edit script on the original, compares each edit with its masked reference, and the last model with the result.

    Without a script the result is not verified, but whatever needs none is checked all the same.

    Args:
        original: the ONNX file that was compressed.
        result: what came of it.
        script: the edit script; if left out, the one beside the result.
        input_shapes: sizes for dynamic inputs, if other than those the script was made with.
        seed: seed of the random inputs.

    Returns:
        Every check, and the largest relative error of any edit.

    Raises:
        UsageError: a file is missing.
        ModelNotSupportedError: a file is not a model that nasopt understands.
        InvalidEditError: the script is damaged.
    """
    original, result = Path(original), Path(result)
    model, final = read_model(original), read_model(result)
    place = Path(script) if script is not None else script_of(result, final)
    if place is None:
        missing = f"not checked: no edit script lies beside {result}, so that nothing is known of its weights; name it with --script"
        graph = Graph(model, input_shapes, origin=str(original))
        return VerifyResult((Check("replay", False, missing), *check_result(graph, final, origin=str(result), seed=seed)))
    edits = read_script(place)
    shapes = {**edits.input_shapes, **{name: tuple(shape) for name, shape in (input_shapes or {}).items()}}
    graph = Graph(model, shapes, origin=str(original))
    after = load_graph(result, shapes)
    checks = [_hash("original", original, edits.original_hash), _hash("result", result, edits.result_hash)]
    error = None
    try:
        outcome, replayed = verify_edits(model, edits.edits, shapes, origin=str(original), seed=seed)
    except InvalidEditError as problem:
        checks.append(Check("replay", False, f"the script does not fit the original: {problem}"))
    else:
        error = outcome.max_relative_error
        checks += [*outcome.checks, _same(Graph(replayed, shapes, origin="the replayed script"), after)]
    return VerifyResult((*checks, *check_result(graph, after.model, origin=str(result), seed=seed)), error)


def verify_edits(
    model: onnx.ModelProto, edits: Sequence[Edit], input_shapes: Shapes, *, origin: str = "model", seed: int = 0, tries: int = 3
) -> tuple[VerifyResult, onnx.ModelProto]:
    """Applies edits one after the other and compares the model after each with what the edit claims to be equal to.

    Args:
        model: the original.
        edits: what is done to it.
        input_shapes: sizes for inputs with dynamic dimensions.
        origin: what error messages call the model.
        seed: seed of the random inputs.
        tries: how many random inputs.

    Returns:
        One check an edit, and the edited model.

    Raises:
        InvalidEditError: an edit does not fit.
        ModelNotSupportedError: ONNX Runtime cannot run the model.
    """
    graph = Graph(model, input_shapes, origin=origin)
    inputs = [random_inputs(graph, 1000 * seed + number) for number in range(tries)]
    checks: list[Check] = []
    found: list[Agreement] = []
    for edit in edits:
        if mutation_of(edit).relearns:
            graph = Graph(replay(graph.model, [edit], input_shapes, origin), input_shapes, origin=origin)
            checks.append(_weights(edit))
            continue
        graph, agreed = _step(graph, edit, inputs)
        claim = "equals the model before it" + ("" if mutation_of(edit).lossless else " with the removed channels masked")
        checks.append(Check(edit.kind, agreed.ok, f"{claim}: {agreed.detail}"))
        found.append(agreed)
    failed = [one for one in found if not one.ok]
    comparable = not failed or any(one.comparable for one in failed)
    return VerifyResult(tuple(checks), max((one.error for one in found), default=None), comparable), graph.model


def _step(graph: Graph, edit: Edit, inputs: Sequence[Inputs]) -> tuple[Graph, Agreement]:
    """Applies one edit; what comes of it, and how far it is from what the edit claims."""
    mutation = mutation_of(edit)

    def reference() -> onnx.ModelProto:
        return mutation.masked(graph, edit)

    # One large model after the other: the reference is gone before the edited model is made.
    with understood(edit, graph.origin):
        masked = reference()
        inside = watched(graph, mutation.untouched(graph, edit))
    expected = outputs_of(masked, inputs, also=inside, origin=graph.origin)
    del masked
    after = Graph(replay(graph.model, [edit], graph.bound, graph.origin), graph.bound, origin=graph.origin)
    both = [name for name in inside if name in after.producers and after.shapes.get(name) == graph.shapes[name]]
    if len(both) < len(inside):  # simplifying took some of them out
        outputs = len(graph.outputs)
        places = [*range(outputs), *(outputs + inside.index(name) for name in both)]
        expected = [[row[place] for place in places] for row in expected]
    got = outputs_of(after.model, inputs, also=both, origin=f"{graph.origin} after {edit.kind}")
    return after, agreement(expected, got, inputs, reference, both)


def _weights(edit: Edit) -> Check:
    """New weights are what their file holds; there is nothing that they should equal."""
    with understood(edit, "the script"):
        count, file = edit.detail["tensors"], edit.detail["file"]
        if edit.tensors is None:
            return Check(edit.kind, False, f"not checked: '{file}', which holds {count} new weights, does not lie beside the script")
        same = len(edit.tensors) == count
        return Check(edit.kind, same, f"{len(edit.tensors)} weights are those of the file that the script names by hash")


def _hash(role: str, path: Path, expected: str) -> Check:
    same = content_hash(path) == expected
    return Check(
        f"{role} hash", same, f"{path} is the file that the script names" if same else f"{path} is not the file that the script names"
    )


def _same(replayed: Graph, result: Graph) -> Check:
    found = changes(replayed, result)
    if not found:
        return Check("replay", True, "the result is what the script makes of the original, tensor for tensor")
    first = found[0]
    what = f"{first.kind} at '{first.name}'" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    if all(change.kind == "weight values" for change in found):
        return Check("replay", False, f"the structure is what the script makes of the original, but weights have other values: {what}")
    return Check("replay", False, f"the result is not what the script makes of the original: {what}")
