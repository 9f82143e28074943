"""What `compress` writes: model, script and new weights; models along the Pareto front."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from nasopt.api.repair import Lesson, repair
from nasopt.api.request import Request
from nasopt.errors import InvalidEditError, UsageError
from nasopt.files import write_atomically
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import content_hash, write_model
from nasopt.mutations import Edit
from nasopt.mutations.script import Script, read_script, refer_to_script, replay
from nasopt.mutations.set_weights import SetWeights, pack
from nasopt.results import FrontPoint
from nasopt.search.allocate import Allocation

__all__ = ["front", "write_result"]

PARETO_MODELS = 8


def write_result(request: Request, original: Graph, edits: tuple[Edit, ...], model: onnx.ModelProto, output: Path) -> None:
    """Model, script and new weights appear together, each of them whole, or not at all."""
    name = output.with_suffix(".json").name
    edits = tuple(_placed(edit, output) for edit in edits)
    stale = _weights_of(output)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".nasopt-") as scratch:
        staged = Path(scratch) / output.name
        write_model(model, staged)
        hashes = content_hash(request.path), content_hash(staged)
        script = Script(request.path.name, hashes[0], edits, dict(original.bound), output.name, hashes[1])
        write_atomically(Path(scratch) / name, script.to_json().encode())
        for edit in edits:
            if edit.tensors is not None:
                write_atomically(Path(scratch) / edit.detail["file"], pack(edit.tensors))
        for part in sorted(Path(scratch).iterdir(), key=lambda part: part.name == output.name):
            part.replace(output.with_name(part.name))
    if stale is not None and all(edit.tensors is None for edit in edits):
        stale.unlink(missing_ok=True)


def _weights_of(output: Path) -> Path | None:
    """The weights of a result that is to be replaced: none but those that its own script names, by hash."""
    try:
        before = read_script(output.with_suffix(".json"))
    except (UsageError, InvalidEditError):
        return None
    mine = any(edit.kind == SetWeights.kind and edit.tensors is not None for edit in before.edits)
    return output.with_suffix(".safetensors") if mine else None


def _placed(edit: Edit, output: Path) -> Edit:
    """New weights go beside the model, under its name."""
    return edit if edit.tensors is None else replace(edit, detail={**edit.detail, "file": output.with_suffix(".safetensors").name})


def front(
    request: Request,
    allocation: Allocation,
    original: Graph,
    first: tuple[Edit, ...],
    directory: Path | None,
    lesson: Lesson | None,
) -> tuple[FrontPoint, ...]:
    """The front as records; with a directory, models along it are repaired and written."""
    space, kept = allocation.space, allocation.front
    costs = space.costs
    columns = [costs.macs(kept), costs.params(kept), costs.peak_activation_bytes(kept), space.saliency(kept)]
    points = [
        FrontPoint(int(macs), int(params), int(peak), max(0.0, float(saliency)), place == allocation.chosen)
        for place, (macs, params, peak, saliency) in enumerate(zip(*columns, strict=True))
    ]
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        chosen = np.unique(np.linspace(0, len(points) - 1, min(PARETO_MODELS, len(points))).round().astype(int)).tolist()
        # All of them appear together, or none: an interrupt leaves no half of a front.
        with tempfile.TemporaryDirectory(dir=directory, prefix=".nasopt-") as scratch:
            for place in chosen:
                points[place] = replace(points[place], output=directory / f"{request.path.stem}-{points[place].macs}.onnx")
                staged = Path(scratch) / f"{request.path.stem}-{points[place].macs}.onnx"
                request.report("front", None, str(points[place].output))
                _write_point(request, allocation, original, first, kept[place].tolist(), lesson, staged)
            for part in Path(scratch).iterdir():
                part.replace(directory / part.name)
    return tuple(points)


def _write_point(
    request: Request,
    allocation: Allocation,
    original: Graph,
    first: tuple[Edit, ...],
    kept: list[int],
    lesson: Lesson | None,
    target: Path,
) -> None:
    space = allocation.space
    prune = space.edit(kept)
    edits = (*first, *([prune] if prune.detail["groups"] else []))
    model = onnx.ModelProto()
    model.CopyFrom(original.model)  # the name of its script will be written into it, even where nothing is cut
    model = replay(model, edits, original.bound, str(request.path))
    removed = space.removed(kept)
    if lesson is not None and removed.any():
        mended = repair(space.units, removed, model, lesson, threads=request.threads, report=request.report)
        model, edits = mended.model, (*edits, *([mended.edit] if mended.edit is not None else []))
    refer_to_script(model, target.with_suffix(".json"))
    write_result(request, original, edits, model, target)
