"""``compress``: ONNX in, a smaller ONNX out, trained weights kept."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import numpy as np
import onnx

from nasopt.api.preparation import compile_space, prepare, standing
from nasopt.api.records import cost_of, notes_on
from nasopt.api.verify import verify_edits
from nasopt.errors import ConstraintUnreachableError, ModelNotSupportedError, UsageError, VerificationError
from nasopt.graphs.admission import require_finite
from nasopt.graphs.cost import COUNTED, Totals, node_macs, totals, unknown_operators
from nasopt.graphs.explain import frozen_of, groups_of
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import check_writable, content_hash, read_model, write_atomically, write_model
from nasopt.mutations import MUTATIONS, Edit, apply_edit
from nasopt.mutations.importance import DEFAULT
from nasopt.mutations.preserve import preserved
from nasopt.mutations.script import Script, refer_to_script
from nasopt.mutations.space import SearchSpace
from nasopt.results import CompressResult, FrontPoint, Latency, VerifyResult
from nasopt.runtime.latency import compare
from nasopt.runtime.sessions import random_inputs
from nasopt.runtime.verify import check_result
from nasopt.search.allocate import Allocation, allocate
from nasopt.search.constraints import Constraints
from nasopt.search.granularity import CPU_STEP, Granularity

__all__ = ["Progress", "compress"]

Progress = Callable[[str, float | None, str], None]
"""Called with the stage, how much of it is done (None: unknown) and a detail."""

GENERATIONS = 60
TIME_LIMIT = 8.0
"""Seconds; the default 60 generations take about one on most networks."""

PARETO_MODELS = 8


@dataclass(frozen=True)
class _Request:
    """What was asked for, checked."""

    path: Path
    output: Path | None
    script: Path | None
    drops: Mapping[str, float]
    granularity: Granularity
    seed: int
    generations: int
    time_limit: float | None
    best_effort: bool
    fold_batchnorm: bool
    threads: int
    report: Progress


@dataclass(frozen=True)
class _Candidate:
    """A finished network, not yet written."""

    allocation: Allocation
    edits: tuple[Edit, ...]
    model: onnx.ModelProto
    verification: VerifyResult
    latency: Latency | None


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # networks that overflow are refused in words, not by warnings
def compress(
    model: str | Path,
    output: str | Path | None = None,
    *,
    flops_drop: float | None = None,
    params_drop: float | None = None,
    memory_drop: float | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    preserve: Sequence[str] = (),
    granularity: Granularity = "auto",
    importance: str | None = None,
    seed: int = 0,
    generations: int | None = None,
    time_limit: float | None = None,
    simplify: bool = True,
    fold_batchnorm: bool = False,
    measure_latency: bool = True,
    threads: int = 1,
    pareto: str | Path | None = None,
    best_effort: bool = False,
    dry_run: bool = False,
    force: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> CompressResult:
    """Compresses a trained network so that every constraint holds, and keeps its weights.

    Args:
        model: the ONNX file.
        output: where to write; its edit script goes beside it (``OUT.json``). May be left out for a dry run.
        flops_drop: relative drop of MACs to reach, between 0 and 1.
        params_drop: relative drop of parameters.
        memory_drop: relative drop of peak activation memory.
        input_shapes: shapes to bind dynamic inputs to; the result stays as dynamic as the model.
        preserve: glob patterns of weights, nodes or values whose channels stay.
        granularity: the step of channel counts; ``auto`` starts at 16 and goes finer where the drop needs it.
        importance: the measure that ranks channels (`nasopt.mutations.importance.IMPORTANCES`).
        seed: of every random number.
        generations: of the search; without it 60, and no longer than 8 s.
        time_limit: seconds for the search.
        simplify: first fold what is computed from weights alone, then remove identities, dead branches and duplicate computations.
        fold_batchnorm: fold BatchNormalization at the end.
        measure_latency: time the network before and after.
        threads: for the timing.
        pareto: a directory for models along the Pareto front.
        best_effort: take the nearest network where the constraints cannot be reached.
        dry_run: write nothing.
        force: overwrite.
        command: what to put on record as the command.
        progress: is told what happens.

    Returns:
        The record; `exit_code` says how it ended.

    Raises:
        UsageError: an argument that cannot be used.
        ModelNotSupportedError: a model that is not understood.
        ConstraintUnreachableError: a drop that is out of reach; nothing was written.
        VerificationError: the result failed its verification; nothing was written.
    """
    begun = monotonic()
    path, output, pareto = Path(model), None if output is None else Path(output), None if pareto is None else Path(pareto)
    drops = {name: drop for name, drop in (("flops", flops_drop), ("params", params_drop), ("memory", memory_drop)) if drop is not None}
    script = None if output is None else output.with_suffix(".json")
    _check_request(path, output, script, pareto, drops, granularity, dry_run=dry_run, force=force)
    limit = TIME_LIMIT if generations is None and time_limit is None else time_limit
    request = _Request(
        path, output, script, drops, granularity, seed, GENERATIONS if generations is None else generations, limit, best_effort,
        fold_batchnorm, threads, progress or _silent,
    )  # fmt: skip

    request.report("read", None, str(path))
    original = Graph(read_model(path), input_shapes, origin=str(path))
    require_finite(original)
    base = totals(original)
    _require_countable(original, base, drops)
    first, graph = prepare(original) if simplify else ((), original)

    request.report("analyse", None, f"{len(graph.nodes)} nodes")
    units, space = compile_space(graph, standing(preserved(original, preserve), first), importance or DEFAULT, seed)
    constraints = Constraints(drops, {"flops": base.macs, "params": base.params, "memory": base.peak_activation_bytes})
    notes = [*notes_on(original)]
    candidate = _candidate(request, original, space, constraints, first, request.granularity, measure=measure_latency)
    if (
        candidate.latency is not None
        and candidate.latency.slower
        and granularity == "auto"
        and min(candidate.allocation.space.steps, default=CPU_STEP) < CPU_STEP
    ):
        candidate = _coarser(request, original, space, constraints, first, candidate, notes)
    allocation = candidate.allocation
    if allocation.stopped_by != "generations":
        notes.append(f"the clock stopped the search after {allocation.generations} generations")

    result = Graph(candidate.model, original.bound, origin=str(output or path))
    _check_reached(totals(result), constraints, allocation)
    written = None if dry_run else output
    if written is not None:
        request.report("write", None, str(written))
        _write(request, original, candidate.edits, candidate.model, written)
    after = cost_of(result, written)
    return CompressResult(
        path=path,
        output=written,
        script=script if written is not None else None,
        before=cost_of(original, path),
        after=after,
        asked=dict(drops),
        drop={
            "flops": 1 - after.macs / max(base.macs, 1),
            "params": 1 - after.params / max(base.params, 1),
            "memory": 1 - after.peak_activation_bytes / max(base.peak_activation_bytes, 1),
        },
        groups=groups_of(units, allocation.kept.tolist(), allocation.space.steps),
        frozen=frozen_of(units),
        edits=tuple(MUTATIONS[edit.kind].describe(edit) for edit in candidate.edits),
        granularity=str(granularity),
        importance=importance or DEFAULT,
        saliency=max(0.0, float(space.saliency(allocation.kept[None])[0])),
        front=_front(request, allocation, original, first, None if dry_run else pareto),
        latency=candidate.latency,
        verification=candidate.verification,
        seed=seed,
        generations=allocation.generations,
        evaluations=allocation.evaluations,
        seconds=monotonic() - begun,
        reached=allocation.reached,
        command=command,
        notes=tuple(notes),
    )


def _silent(*_: object) -> None:
    """Nobody asked what happens."""


def _require_countable(graph: Graph, base: Totals, drops: Mapping[str, float]) -> None:
    """A drop of nothing would be reached by doing nothing, and one of an unknown whole cannot be told."""
    hidden = [node for node in graph.nodes if node.op in COUNTED and not node.domain and node_macs(graph, node) is None]
    if hidden and "flops" in drops:
        raise ModelNotSupportedError(
            f"{graph.origin}: the MACs of '{hidden[0].name}' ({hidden[0].op}) and {len(hidden) - 1} more nodes cannot be counted, "
            "because the shapes before them are not known; bind the inputs (--input-shape), or ask for a --params-drop"
        )
    counted = {"flops": base.macs, "params": base.params, "memory": base.peak_activation_bytes}
    for name in drops:
        if not counted[name]:
            unknown = ", ".join(unknown_operators(graph)) or "none"
            raise ModelNotSupportedError(
                f"{graph.origin}: nothing to count for --{name}-drop in this network (operators without a cost rule: {unknown})"
            )


def _check_request(
    path: Path,
    output: Path | None,
    script: Path | None,
    pareto: Path | None,
    drops: Mapping[str, float],
    granularity: Granularity,
    *,
    dry_run: bool,
    force: bool,
) -> None:
    if not drops:
        raise UsageError("nothing to reach: ask for a --flops-drop, --params-drop or --memory-drop")
    if output is None and not dry_run:
        raise UsageError("nowhere to write: name the result (-o), or ask for a dry run")
    if granularity != "auto" and granularity < 1:
        raise UsageError(f"--granularity {granularity}: must be 'auto' or a positive number of channels")
    Constraints(drops, {})  # checks that each drop lies between 0 and 1
    if output is not None and script is not None:
        if output.resolve() == path.resolve():
            raise UsageError(f"{output}: is the model itself; name another file for the result")
        if script == output:
            raise UsageError(f"{output}: the edit script would have the same name; end the result's name in .onnx")
        if not dry_run:
            check_writable(output, force=force)
            check_writable(script, force=force)
    if pareto is not None and not dry_run and pareto.exists() and (not pareto.is_dir() or (any(pareto.iterdir()) and not force)):
        raise UsageError(f"{pareto}: exists and is no empty directory; --force writes into it")


def _candidate(
    request: _Request,
    original: Graph,
    space: SearchSpace,
    constraints: Constraints,
    first: tuple[Edit, ...],
    granularity: Granularity,
    *,
    measure: bool,
) -> _Candidate:
    """Searches at a granularity, builds the answer, verifies and times it."""

    def on_generation(done: int) -> None:
        request.report("search", done / max(request.generations, 1), f"generation {done}")

    allocation = allocate(
        space,
        constraints,
        granularity=granularity,
        seed=request.seed,
        generations=request.generations,
        time_limit=request.time_limit,
        best_effort=request.best_effort,
        on_generation=on_generation,
    )
    prune = allocation.space.edit(allocation.kept.tolist())
    edits = [*first, *([prune] if prune.detail["groups"] else [])]
    request.report("verify", None, "structural edit against the masked original")
    verification, model = verify_edits(original.model, edits, original.bound, origin=str(request.path), seed=request.seed)
    if request.fold_batchnorm:
        fold = MUTATIONS["fold-batchnorm"].whole(Graph(model, original.bound, origin=str(request.path)))
        if fold is not None:
            folded, model = verify_edits(model, [fold], original.bound, origin=str(request.path), seed=request.seed)
            edits.append(fold)
            verification = _joined(verification, folded)
    if request.script is not None:
        refer_to_script(model, request.script)
    gc.collect()
    sound = check_result(original, model, origin=str(request.output or request.path), seed=request.seed)
    verification = _joined(verification, VerifyResult(sound))
    failed = [check for check in verification.checks if not check.ok]
    if failed:
        said = f"({failed[0].name}: {failed[0].detail}); nothing was written"
        if not verification.comparable:
            raise ModelNotSupportedError(f"{request.path}: no result of this network can be verified {said}")
        raise VerificationError(f"the result failed its verification {said}")
    latency = None
    if measure:
        request.report("measure", None, "latency before and after")
        latency = compare(original.model, model, random_inputs(original, request.seed), threads=request.threads)
    return _Candidate(allocation, tuple(edits), model, verification, latency)


def _coarser(
    request: _Request,
    original: Graph,
    space: SearchSpace,
    constraints: Constraints,
    first: tuple[Edit, ...],
    slow: _Candidate,
    notes: list[str],
) -> _Candidate:
    """A result in finer steps turned out slower than its input: the target's own step, if it reaches the drop, may not be."""
    assert slow.latency is not None
    try:
        coarse = _candidate(request, original, space, constraints, first, CPU_STEP, measure=True)
    except ConstraintUnreachableError:
        notes.append(f"slower than its input, and the drop is out of reach in steps of {CPU_STEP}")
        return slow
    assert coarse.latency is not None
    if coarse.latency.ratio < slow.latency.ratio:
        notes.append(
            f"finer steps were measured at {slow.latency.ratio:.2f} times the input's latency; steps of {CPU_STEP} were taken instead"
        )
        return coarse
    return slow


def _joined(first: VerifyResult, second: VerifyResult) -> VerifyResult:
    errors = [error for error in (first.max_relative_error, second.max_relative_error) if error is not None]
    failed = [one for one in (first, second) if not one.ok]
    comparable = not failed or any(one.comparable for one in failed)
    return VerifyResult((*first.checks, *second.checks), max(errors, default=None), comparable)


def _check_reached(after: Totals, constraints: Constraints, allocation: Allocation) -> None:
    """Counted on the finished model itself, not on the tables that chose it."""
    if not allocation.reached:
        return
    counted = {"flops": after.macs, "params": after.params, "memory": after.peak_activation_bytes}
    for name, drop in constraints.drops.items():
        if counted[name] > (1 - drop) * constraints.base[name]:
            raise VerificationError(f"the result misses its --{name}-drop: the tables of the search disagree with the model")


def _write(request: _Request, original: Graph, edits: tuple[Edit, ...], model: onnx.ModelProto, output: Path) -> None:
    """Model and script appear together, each of them whole, or not at all."""
    name = output.with_suffix(".json").name
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".nasopt-") as scratch:
        staged = Path(scratch) / output.name
        write_model(model, staged)
        hashes = content_hash(request.path), content_hash(staged)
        script = Script(request.path.name, hashes[0], edits, dict(original.bound), output.name, hashes[1])
        write_atomically(Path(scratch) / name, script.to_json().encode())
        for part in sorted(Path(scratch).iterdir(), key=lambda part: part.name == output.name):
            part.replace(output.with_name(part.name))


def _front(
    request: _Request, allocation: Allocation, original: Graph, first: tuple[Edit, ...], directory: Path | None
) -> tuple[FrontPoint, ...]:
    """The front as records; with a directory, models along it are written."""
    space, kept = allocation.space, allocation.front
    costs = space.costs
    columns = [costs.macs(kept), costs.params(kept), costs.peak_activation_bytes(kept), space.saliency(kept)]
    points = [
        FrontPoint(int(macs), int(params), int(peak), max(0.0, float(saliency)), place == allocation.chosen)
        for place, (macs, params, peak, saliency) in enumerate(zip(*columns, strict=True))
    ]
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        for place in np.unique(np.linspace(0, len(points) - 1, min(PARETO_MODELS, len(points))).round().astype(int)).tolist():
            target = directory / f"{request.path.stem}-{points[place].macs}.onnx"
            request.report("front", None, str(target))
            prune = space.edit(kept[place].tolist())
            edits = (*first, *([prune] if prune.detail["groups"] else []))
            model = onnx.ModelProto()
            model.CopyFrom(original.model)
            for edit in edits:
                model = apply_edit(Graph(model, original.bound, origin=str(request.path)), edit)
            refer_to_script(model, target.with_suffix(".json"))
            _write(request, original, edits, model, target)
            points[place] = replace(points[place], output=target)
    return tuple(points)
