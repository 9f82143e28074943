"""One answer to a request: found, verified, timed, repaired."""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace

import numpy as np
import onnx

from nasopt.api.latency_goal import FOLLOW_UPS
from nasopt.api.repair import Lesson, Repaired, finetune, repair, untouched
from nasopt.api.request import Request
from nasopt.api.verify import verify_edits
from nasopt.errors import ConstraintUnreachableError, ModelNotSupportedError, VerificationError
from nasopt.graphs.graph import Graph
from nasopt.mutations import MUTATIONS, Edit
from nasopt.mutations.script import refer_to_script
from nasopt.mutations.space import SearchSpace
from nasopt.results import Check, Latency, Repair, VerifyResult
from nasopt.runtime.latency import compare
from nasopt.runtime.sessions import random_inputs
from nasopt.runtime.verify import check_result
from nasopt.search.allocate import Allocation, allocate
from nasopt.search.constraints import LATENCY, Constraints
from nasopt.search.granularity import CPU_STEP, Granularity

__all__ = ["Candidate", "coarser", "find", "finish", "missed", "realise", "search", "timed"]


TIME_LIMIT = 8.0
"""Seconds for one search where nobody says how long; the default 60 generations take about one on most networks."""


@dataclass(frozen=True)
class Candidate:
    """A finished network, not yet written."""

    allocation: Allocation
    edits: tuple[Edit, ...]
    model: onnx.ModelProto
    verification: VerifyResult
    latency: Latency | None
    repair: Repair | None


def search(request: Request, space: SearchSpace, constraints: Constraints, granularity: Granularity | None) -> Allocation:
    """Searches at a granularity; None takes the steps that the space has."""

    def on_generation(done: int) -> None:
        request.report("search", done / max(request.generations, 1), f"generation {done}")

    return allocate(
        space,
        constraints,
        granularity=granularity,
        seed=request.seed,
        generations=request.generations,
        time_limit=TIME_LIMIT if request.time_limit is None and request.clock else request.time_limit,
        best_effort=request.best_effort,
        on_generation=on_generation,
        objectives=() if request.predictor is None else (request.predictor,),
    )


def realise(request: Request, original: Graph, allocation: Allocation, first: tuple[Edit, ...], *, measure: bool) -> Candidate:
    """Builds what was found with its inherited weights, verifies and times it."""
    prune = allocation.space.edit(allocation.kept.tolist())
    edits = [*first, *([prune] if prune.detail["groups"] else [])]
    request.report("verify", None, "structural edit against the masked original")
    verification, model = verify_edits(original.model, edits, original.bound, origin=str(request.path), seed=request.seed)
    _require_sound(request, verification)
    latency = timed(request, original, allocation, model) if measure else None
    return Candidate(allocation, tuple(edits), model, verification, latency, None)


def timed(request: Request, original: Graph, allocation: Allocation, model: onnx.ModelProto) -> Latency:
    """Times a candidate beside the original, on the device that was asked for."""
    request.report("measure", None, "latency before and after")
    if request.goal is not None:
        return request.goal.measure(allocation.kept, model, request.seed)
    return compare(
        original.model, model, random_inputs(original, request.seed), threads=request.threads, backend=request.backend
    )  # fmt: skip


def find(
    request: Request,
    original: Graph,
    space: SearchSpace,
    constraints: Constraints,
    first: tuple[Edit, ...],
    granularity: Granularity,
) -> Candidate:
    """Searches at a granularity, builds the answer with its inherited weights, verifies and times it.

    An answer that turns out too slow, or much faster than was asked for, has been learned from: the search is begun anew, a few times, and
    of all answers that are fast enough the one that keeps most is taken.

    Raises:
        ConstraintUnreachableError: nothing satisfies the constraints, as predicted or as measured.
    """
    candidate = realise(request, original, search(request, space, constraints, granularity), first, measure=request.measure_latency)
    goal = request.goal
    if goal is None or not candidate.allocation.reached:
        return candidate
    tried = [candidate]
    while len(tried) <= FOLLOW_UPS and not goal.met(tried[-1].latency):
        try:
            allocation = search(request, space, constraints, granularity)
        except ConstraintUnreachableError:  # what was measured says that nothing is fast enough
            break
        if any(_same(allocation, one.allocation) for one in tried):
            break
        tried.append(realise(request, original, allocation, first, measure=request.measure_latency))
    enough = [one for one in tried if goal.reached(one.latency)]
    if enough:
        return max(enough, key=lambda one: _kept(one.allocation))
    return missed(request, constraints, min(tried, key=lambda one: np.inf if one.latency is None else one.latency.ratio))


def _same(one: Allocation, other: Allocation) -> bool:
    return bool((one.kept == other.kept).all())


def _kept(allocation: Allocation) -> float:
    """Share of saliency."""
    return float(allocation.space.saliency(allocation.kept[None])[0])


def missed(request: Request, constraints: Constraints, candidate: Candidate) -> Candidate:
    """What becomes of a candidate that was measured too slow: the nearest that there is, if that is wanted.

    Raises:
        ConstraintUnreachableError: it is not.
    """
    latency = candidate.latency
    if request.best_effort or latency is None:
        return replace(candidate, allocation=replace(candidate.allocation, reached=False))
    reachable = {**constraints.reached(candidate.allocation.space, candidate.allocation.kept), LATENCY: 1 - latency.ratio}
    asked = ", ".join(f"--{name}-drop {drop:g}" for name, drop in constraints.asked.items())
    raise ConstraintUnreachableError(
        f"{asked} was predicted to be reached, but measured as {100 * (1 - latency.ratio):.1f} % less latency at best; ask for less, or "
        "take the nearest with --best-effort",
        reachable,
    )


def coarser(
    request: Request,
    original: Graph,
    space: SearchSpace,
    constraints: Constraints,
    first: tuple[Edit, ...],
    slow: Candidate,
    notes: list[str],
) -> Candidate:
    """A result in finer steps turned out slower than its input: the target's own step, if it reaches the drop, may not be."""
    assert slow.latency is not None
    try:
        coarse = find(request, original, space, constraints, first, CPU_STEP)
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


def finish(request: Request, original: Graph, candidate: Candidate, lesson: Lesson | None, mended: Repaired | None = None) -> Candidate:
    """Repairs the weights, folds norms if that was asked, and checks the model that will be written.

    Args:
        request: what was asked for.
        original: the network as it was read.
        candidate: from `find`.
        lesson: what to repair with; None where that is not wanted.
        mended: the repair, where it has been done already.

    Raises:
        VerificationError: the result is not what it should be.
        ModelNotSupportedError: nothing can be said of it.
    """
    allocation, edits, model = candidate.allocation, list(candidate.edits), candidate.model
    record, checks = None, candidate.verification
    removed = allocation.space.removed(allocation.kept.tolist())
    if lesson is not None and removed.any():
        units, threads = allocation.space.units, request.threads
        if mended is None:
            request.report("repair", None, lesson.calibration.source)
            if request.compensate:
                mended = repair(units, removed, model, lesson, threads=threads, report=request.report)
            else:
                mended = untouched(model, lesson, threads=threads)
        if request.finetune.wanted:
            request.report("distil", None, lesson.calibration.source)
            mended = finetune(mended, lesson, request.finetune, seed=request.seed, threads=threads, report=request.report)
        if mended.edit is not None and not _sound(original, mended.model, request):
            # Weights that fit what they were fitted on, and overflow elsewhere.
            mended = Repaired(model, None, replace(mended.record, after=mended.record.before, kept=False, distilled_steps=0))
        model, record = mended.model, mended.record
        edits += [mended.edit] if mended.edit is not None else []
    if request.fold_batchnorm:
        fold = MUTATIONS["fold-batchnorm"].whole(Graph(model, original.bound, origin=str(request.path)))
        if fold is not None:
            folded, model = verify_edits(model, [fold], original.bound, origin=str(request.path), seed=request.seed)
            edits.append(fold)
            checks = _joined(checks, folded)
    if request.script is not None:
        refer_to_script(model, request.script)
    gc.collect()
    checks = _joined(checks, VerifyResult(_checks(original, model, request)))
    _require_sound(request, checks)
    return replace(candidate, edits=tuple(edits), model=model, verification=checks, repair=record)


def _checks(original: Graph, model: onnx.ModelProto, request: Request) -> tuple[Check, ...]:
    return check_result(original, model, origin=str(request.output or request.path), seed=request.seed)


def _sound(original: Graph, model: onnx.ModelProto, request: Request) -> bool:
    return all(check.ok for check in _checks(original, model, request))


def _require_sound(request: Request, verification: VerifyResult) -> None:
    failed = [check for check in verification.checks if not check.ok]
    if failed:
        said = f"({failed[0].name}: {failed[0].detail}); nothing was written"
        if not verification.comparable:
            raise ModelNotSupportedError(f"{request.path}: no result of this network can be verified {said}")
        raise VerificationError(f"the result failed its verification {said}")


def _joined(first: VerifyResult, second: VerifyResult) -> VerifyResult:
    errors = [error for error in (first.max_relative_error, second.max_relative_error) if error is not None]
    failed = [one for one in (first, second) if not one.ok]
    comparable = not failed or any(one.comparable for one in failed)
    return VerifyResult((*first.checks, *second.checks), max(errors, default=None), comparable)
