"""``compress``: trained ONNX in, a smaller ONNX out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np
from onnx import ModelProto

from nasopt.api.candidate import coarser, find, finish, missed, realise
from nasopt.api.choice import MeasuredSearch
from nasopt.api.latency_goal import LatencyGoal
from nasopt.api.predicted import PredictedChange, read_predictor
from nasopt.api.preparation import compile_space, prepare, standing
from nasopt.api.probing import WORK, WORK_WITHOUT_DATA
from nasopt.api.records import cost_of, notes_on
from nasopt.api.repair import ENOUGH, Lesson, lesson
from nasopt.api.request import Finetune, Progress, Request, check_request
from nasopt.api.writing import front, write_result
from nasopt.errors import ModelNotSupportedError, UsageError, VerificationError
from nasopt.graphs.admission import require_finite
from nasopt.graphs.cost import COUNTED, Totals, node_macs, totals, unknown_operators
from nasopt.graphs.explain import frozen_of, groups_of
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import read_model
from nasopt.mutations import MUTATIONS
from nasopt.mutations.importance import BY_DERIVATIVES, DEFAULT, WITH_INPUTS
from nasopt.mutations.preserve import preserved
from nasopt.results import CompressResult, Labelled
from nasopt.runtime.calibration import Calibration, read_calibration, synthetic_calibration
from nasopt.runtime.devices.store import resolve
from nasopt.runtime.fidelity import accuracy, answers
from nasopt.runtime.matching import matched
from nasopt.runtime.metric import read_metric
from nasopt.runtime.sessions import open_session
from nasopt.runtime.side_by_side import samples
from nasopt.search.allocate import Allocation
from nasopt.search.constraints import LATENCY, Constraints
from nasopt.search.granularity import CPU_STEP, Granularity, reaches

__all__ = ["Progress", "compress"]

GENERATIONS = 60
FEWEST = 16
"""Synthetic inputs below which nothing is fitted: on 10 images, all that a ResNet-50 is given, it was no gain."""


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # networks that overflow are refused in words, not by warnings
def compress(
    model: str | Path,
    output: str | Path | None = None,
    *,
    flops_drop: float | None = None,
    params_drop: float | None = None,
    memory_drop: float | None = None,
    latency_drop: float | None = None,
    device: str | None = None,
    device_command: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    preserve: Sequence[str] = (),
    granularity: Granularity = "auto",
    importance: str | None = None,
    seed: int = 0,
    generations: int | None = None,
    time_limit: float | None = None,
    simplify: bool = True,
    fold_batchnorm: bool = False,
    data: str | Path | None = None,
    preprocess: str | Path | None = None,
    data_limit: int | None = None,
    labels: str | Path | None = None,
    learn_labels: bool = False,
    compensate: bool = True,
    finetune_steps: int | None = None,
    finetune_epochs: float | None = None,
    finetune_minutes: float | None = None,
    augment: Sequence[str] = (),
    checkpoint: str | Path | None = None,
    measure: int | None = None,
    metric: str | None = None,
    predictor: str | Path | None = None,
    predictor_weight: float = 0.0,
    measure_latency: bool = True,
    threads: int | None = None,
    pareto: str | Path | None = None,
    best_effort: bool = False,
    dry_run: bool = False,
    force: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> CompressResult:
    """Compresses a trained network so that every constraint holds; what is left of its weights is fitted to its answers.

    Args:
        model: the ONNX file.
        output: where to write; its edit script goes beside it (``OUT.json``). May be left out for a dry run.
        flops_drop: relative drop of MACs to reach, between 0 and 1.
        params_drop: relative drop of parameters.
        memory_drop: relative drop of peak activation memory.
        latency_drop: relative drop of latency on `device`, as measured: some variants are timed there, a predictor learns from them and is
            asked by the search, and the answer is timed again.
        device: what runs the network: a device of ``nasopt device calibrate``, or a back-end; ONNX Runtime if left out.
        device_command: a command line with ``{model}`` that times a network instead (docs/devices.md).
        input_shapes: shapes to bind dynamic inputs to; the result stays as dynamic as the model.
        preserve: glob patterns of weights, nodes or values whose channels stay.
        granularity: the step of channel counts; ``auto`` starts at 16 and goes finer where the drop needs it.
        importance: the measure that ranks channels (`nasopt.mutations.importance.IMPORTANCES`).
        seed: of every random number.
        generations: of a search; without it 60, and no longer than 8 s.
        time_limit: seconds for the search, and after which no further candidate is measured.
        simplify: first fold what is computed from weights alone, then remove identities, dead branches and duplicate computations.
        fold_batchnorm: fold BatchNormalization at the end.
        data: inputs of the kind that the network sees, without labels: a ``.npy``, a ``.npz``, or a folder of images (docs/data.md);
            channels are chosen and weights are fitted on them.
        preprocess: what makes floats of images: JSON text, or the path of a JSON or TOML file.
        data_limit: use so many of them.
        labels: a ``.npy`` file of classes, one a row of `data`: accuracy on the held-out inputs is reported.
        learn_labels: distillation learns from the labels as well.
        compensate: fit the weights that are left to the original's answers, without `data` on synthetic inputs.
        finetune_steps: then distil the result from the original on `data`, for so many steps of 128 inputs; no labels are needed.
        finetune_epochs: … for so many rounds through the data.
        finetune_minutes: … for so long.
        augment: change the images while distilling: ``flip``, ``crop``.
        checkpoint: a file from which an interrupted distillation goes on.
        measure: build, repair and measure so many candidates before one is chosen; with `data` or `metric` 6 without it, as many as can be
            begun in 5 minutes.
        metric: ``FILE.py:function``, called with the path of an ONNX file in a process of its own; the larger its number, the better.
        predictor: a task that a predictor ships for, or a folder of ``nasopt train aiop``: what it says of the architectures is a further
            objective of the search, and is reported.
        predictor_weight: share of saliency that a predicted change of 100 % is worth where one is chosen.
        measure_latency: time the network before and after.
        threads: of inference; if left out, those of the device, or 1.
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
    kept = None if checkpoint is None else Path(checkpoint)
    finetune = Finetune(finetune_steps, finetune_epochs, finetune_minutes, tuple(augment), kept, learn_labels)
    _check_companions(finetune, data=data, labels=labels, measure=measure, metric=metric, importance=importance)
    script, weights = (None, None) if output is None else (output.with_suffix(".json"), output.with_suffix(".safetensors"))
    resolved = resolve(device, threads=threads, command=device_command)
    threads = 1 if threads is None else threads
    request = Request(
        path, output, script, weights, drops, granularity, seed, GENERATIONS if generations is None else generations, time_limit,
        best_effort, fold_batchnorm, threads, compensate, finetune, measure,
        None if metric is None else read_metric(metric), measure_latency,
        generations is None, None, progress or _silent, resolved.backend,
    )  # fmt: skip
    check_request(request, pareto, latency_drop=latency_drop, dry_run=dry_run, force=force)
    judge = None if predictor is None else read_predictor(predictor)

    request.report("read", None, str(path))
    original = Graph(read_model(path), input_shapes, origin=str(path))
    require_finite(original)
    base = totals(original)
    _require_countable(original, base, drops)
    whole = None
    if request.metric is not None:
        request.report("metric", None, str(request.metric))
        whole = request.metric.measure(original.model)
    first, graph = prepare(original) if simplify else ((), original)
    calibration = _calibration(graph, data, preprocess, data_limit, None if labels is None else Path(labels), seed, compensate=compensate)

    # Asked before the work is done: labels may be wrong.
    known = _accuracy(original, original.model, calibration, threads) if calibration and calibration.held_out_labels is not None else None
    notes: list[str] = list(notes_on(original))
    taught = _lesson(request, graph, calibration, notes)
    request.report("analyse", None, f"{len(graph.nodes)} nodes")
    # Surgery counts on weights that are fitted afterwards.
    ranking = importance or (DEFAULT if taught is None or not (compensate or finetune.wanted) else WITH_INPUTS)
    units, space = compile_space(
        graph if taught is None else taught.teacher,
        standing(preserved(original, preserve), first),
        ranking,
        seed,
        calibration.few(ENOUGH) if calibration is not None else (),
        taught.calibration.held_out if taught is not None else (),
        widest=None if taught is None else taught.widest,
        work=WORK_WITHOUT_DATA if data is None else WORK,
        report=request.report,
    )
    if judge is not None:
        request = replace(request, predictor=PredictedChange(judge, space.costs, predictor_weight))
    if latency_drop is not None:
        goal = LatencyGoal.of(latency_drop, resolved, original, graph, space, seed=seed, report=request.report)
        request = replace(request, goal=goal)
    constraints = Constraints(drops, {"flops": base.macs, "params": base.params, "memory": base.peak_activation_bytes}, request.goal)
    choice = None
    if data is not None or request.metric is not None:
        estimates = metric is None and taught is not None and compensate and ranking == WITH_INPUTS
        choice = MeasuredSearch(request, original, graph, space, constraints, taught, whole, estimates).run()
        candidate = replace(realise(request, original, choice.allocation, first, measure=False), latency=choice.latency)
        if choice.missed:
            candidate = missed(request, constraints, candidate)
        if choice.stopped_by != "candidates":
            ended = {"time limit": "the clock ended the measurements", "no gain": "no gain ended the measurements"}[choice.stopped_by]
            notes.append(f"{ended}; candidates measured: {len(choice.measured)}")
    else:
        candidate = find(request, original, space, constraints, first, request.granularity)
        slow = candidate.latency is not None and candidate.latency.slower
        if slow and granularity == "auto" and not _in_full_steps(candidate.allocation):
            candidate = coarser(request, original, space, constraints, first, candidate, notes)
    allocation = candidate.allocation
    if granularity == "auto" and not _in_full_steps(allocation) and reaches(space, constraints, CPU_STEP):
        notes.append(f"--granularity {CPU_STEP} reaches this too, usually faster; finer steps keep more of what the network knows")
    if allocation.stopped_by != "generations":
        notes.append(f"the clock stopped the search after {allocation.generations} generations")
    candidate = finish(request, original, candidate, taught, None if choice is None else choice.mended)
    if compensate and candidate.repair is not None and not candidate.repair.kept:
        notes.append(f"fitting the weights on {candidate.repair.inputs} was no gain: the inherited ones were written")
    if finetune.wanted and candidate.repair is not None and not candidate.repair.distilled_steps:
        notes.append("distillation was no gain on inputs that were held out: what it learned was dropped")

    result = Graph(candidate.model, original.bound, origin=str(output or path))
    _check_reached(totals(result), constraints, allocation)
    points = front(request, allocation, original, first, None if dry_run else pareto, taught if compensate else None)
    labelled = None
    if known is not None and calibration is not None:
        count = sum(map(len, calibration.held_out_labels or ()))
        labelled = Labelled(count, known, _accuracy(original, candidate.model, calibration, threads))
    # Nobody knows what synthetic images should answer.
    shown = samples(original.model, candidate.model, calibration, threads=threads) if calibration and not calibration.synthetic else ()
    written = None if dry_run else output
    if written is not None:
        request.report("write", None, str(written))
        write_result(request, original, candidate.edits, candidate.model, written)
    after = cost_of(result, written)
    return CompressResult(
        path=path,
        output=written,
        script=request.script if written is not None else None,
        before=cost_of(original, path),
        after=after,
        asked=constraints.asked,
        drop={
            "flops": 1 - after.macs / max(base.macs, 1),
            "params": 1 - after.params / max(base.params, 1),
            "memory": 1 - after.peak_activation_bytes / max(base.peak_activation_bytes, 1),
            **({LATENCY: 1 - candidate.latency.ratio} if request.goal is not None and candidate.latency is not None else {}),
        },
        groups=groups_of(units, allocation.kept.tolist(), allocation.space.steps),
        frozen=frozen_of(units),
        edits=tuple(MUTATIONS[edit.kind].describe(edit) for edit in candidate.edits),
        granularity=str(granularity),
        importance=ranking,
        saliency=max(0.0, float(allocation.space.saliency(allocation.kept[None])[0])),
        front=points,
        latency=candidate.latency,
        repair=candidate.repair,
        verification=candidate.verification,
        seed=seed,
        generations=allocation.generations,
        evaluations=allocation.evaluations,
        seconds=monotonic() - begun,
        reached=allocation.reached,
        command=command,
        notes=tuple(notes),
        measured=() if choice is None else choice.measured,
        metric=whole,
        labelled=labelled,
        predicted=None if request.predictor is None else request.predictor.record(allocation.kept, str(path)),
        samples=shown,
    )


def _check_companions(
    finetune: Finetune,
    *,
    data: str | Path | None,
    labels: str | Path | None,
    measure: int | None,
    metric: str | None,
    importance: str | None,
) -> None:
    """Whether what needs inputs, or each other, is there."""
    if finetune.wanted and data is None:
        raise UsageError("distillation needs inputs to learn from: bring them with --data")
    if (finetune.augment or finetune.checkpoint is not None or finetune.labels) and not finetune.wanted:
        raise UsageError(
            "--augment, --checkpoint and --learn-labels belong to distillation: ask for it with --finetune-steps, -epochs or -minutes"
        )
    if (labels is not None and data is None) or (finetune.labels and labels is None):
        raise UsageError("--labels says what the inputs of --data are, and --learn-labels needs it: bring both")
    if measure is not None and data is None and metric is None:
        raise UsageError("--measure compares candidates on inputs or by a metric: bring --data, or a --metric")
    if importance in BY_DERIVATIVES and data is None:
        raise UsageError(f"--importance {importance}: looks at what the network sees; bring inputs with --data")


def _in_full_steps(allocation: Allocation) -> bool:
    return min(allocation.space.steps, default=CPU_STEP) >= CPU_STEP


def _silent(*_: object) -> None:
    """Nobody asked what happens."""


def _calibration(
    graph: Graph,
    data: str | Path | None,
    preprocess: str | Path | None,
    limit: int | None,
    labels: Path | None,
    seed: int,
    *,
    compensate: bool,
) -> Calibration | None:
    if data is not None:
        return read_calibration(Path(data), graph, labels=labels, preprocess=preprocess, limit=limit, seed=seed)
    if preprocess is not None or limit is not None:
        raise UsageError(f"{'--preprocess' if preprocess is not None else '--data-limit'} says what to do with --data, which is not there")
    return matched(graph, synthetic_calibration(graph, seed=seed)) if compensate else None


def _lesson(request: Request, graph: Graph, calibration: Calibration | None, notes: list[str]) -> Lesson | None:
    """What the weights can be fitted to; None where that is not wanted, or would be no gain."""
    if calibration is None:
        return None
    if calibration.synthetic and calibration.count < FEWEST:
        notes.append("no repair: so large a network is not fitted on synthetic inputs in seconds; bring inputs with --data")
        return None
    return lesson(graph, calibration, threads=request.threads, report=request.report)


def _accuracy(original: Graph, model: ModelProto, calibration: Calibration, threads: int) -> float:
    """On the held-out inputs, whose labels are known."""
    given = answers(model, calibration.held_out, threads=threads, origin=original.origin)
    return accuracy(given, calibration.held_out_labels or (), calibration.labels or ())


def _require_countable(graph: Graph, base: Totals, drops: Mapping[str, float]) -> None:
    """A drop of nothing would be reached by doing nothing, and one of an unknown whole cannot be told."""
    hidden = [node for node in graph.nodes if node.op in COUNTED and not node.domain and node_macs(graph, node) is None]
    if hidden and "flops" in drops:
        open_session(graph.model, optimise=False, origin=graph.origin)  # an operator that nobody can run: no drop could be verified
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


def _check_reached(after: Totals, constraints: Constraints, allocation: Allocation) -> None:
    """Counted on the finished model itself, not on the tables that chose it."""
    if not allocation.reached:
        return
    counted = {"flops": after.macs, "params": after.params, "memory": after.peak_activation_bytes}
    for name, drop in constraints.drops.items():
        if counted[name] > (1 - drop) * constraints.base[name]:
            raise VerificationError(f"the result misses its --{name}-drop: the tables of the search disagree with the model")
