"""A choice made on measurements: a shortlist is built, repaired and measured, the surrogate learns from it, and the search goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import numpy as np
import onnx

from nasopt.api.candidate import search, timed
from nasopt.api.latency_goal import FOLLOW_UPS
from nasopt.api.repair import Lesson, Repaired, repair, untouched
from nasopt.api.request import Request
from nasopt.errors import ConstraintUnreachableError, UsageError
from nasopt.graphs.graph import Graph
from nasopt.mutations import apply_edit
from nasopt.mutations.space import SearchSpace
from nasopt.results import Latency, Measured
from nasopt.search.allocate import Allocation
from nasopt.search.constraints import Constraints
from nasopt.search.granularity import STEPS
from nasopt.search.surrogate import refitted

__all__ = ["Choice", "MeasuredSearch"]

Ints = np.ndarray[Any, np.dtype[np.int64]]

MEASURED = 6
"""Candidates that are measured unless the user says how many."""

SECONDS = 300.0
"""After which no further candidate is begun, unless the user says how many or how long."""

PATIENCE, GAIN = 2, 0.01
"""The search ends after so many rounds that did not lower the damage by such a share."""

A_ROUND = 2
"""Candidates measured between two searches."""

WORTH = 0.9
"""A finer step is taken where it leaves less than this share of the damage: full vectors run faster, and tell on other machines too."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and what was measured on the way.

    Attributes:
        allocation: with the chosen candidate.
        mended: its weights; None where there was nothing to learn from.
        latency: its time beside the original's; None where that was not wanted.
        missed: whether that is more than was asked for.
        measured: one record a candidate, in the order in which they were measured.
        stopped_by: ``candidates``, ``time limit`` or ``no gain``.
    """

    allocation: Allocation
    mended: Repaired | None
    latency: Latency | None
    missed: bool
    measured: tuple[Measured, ...]
    stopped_by: str


@dataclass(frozen=True)
class _Tried:
    allocation: Allocation
    mended: Repaired | None
    damage: float
    metric: float | None
    latency: Latency | None
    predicted: float | None
    missed: bool
    """Whether it was measured to take longer than was asked for."""

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """The least is best: first those that are as fast as was asked for, then those that are not slower than the input."""
        return self.missed, self.latency is not None and self.latency.slower, self.damage


@dataclass
class MeasuredSearch:
    """Searches, measures, learns, and searches again: `run`.

    The damage of a candidate is the divergence of its answers, once repaired, on inputs that were held out; with a metric of the
    user's it is what the metric loses.

    Attributes:
        request: what was asked for.
        original: the network as it was read.
        prepared: after the edits that come before pruning.
        space: the compiled space, at any granularity.
        constraints: what to reach.
        lesson: what to repair with and to judge by; None where a metric is all there is.
        whole: what the metric gives for the original; None without one.
        estimates: whether losses of the space are estimates of what will be measured, before anything has been.
    """

    request: Request
    original: Graph
    prepared: Graph
    space: SearchSpace
    constraints: Constraints
    lesson: Lesson | None
    whole: float | None
    estimates: bool
    tried: list[_Tried] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        request = self.request
        self.begun = monotonic()
        self.most = MEASURED if request.measure is None else request.measure
        if request.time_limit is not None:
            self.seconds = request.time_limit
        else:
            self.seconds = SECONDS if request.measure is None and request.clock else np.inf

    def run(self) -> Choice:
        """The choice.

        Raises:
            ConstraintUnreachableError: no network of the space satisfies the constraints.
            UsageError: the metric fails.
        """
        best = self._coarse_and_fine()
        stale, stopped = 0, "candidates"
        while len(self.tried) < self.most + FOLLOW_UPS * best.missed and stale < PATIENCE and not self._late():
            learnt = refitted(self.space, [tried.allocation.kept for tried in self.tried], [tried.damage for tried in self.tried])
            try:
                allocation = search(self.request, learnt.at(best.allocation.space.steps), self.constraints, None)
            except ConstraintUnreachableError:  # what was measured says that nothing is fast enough
                stopped = "no gain"
                break
            new = [kept for kept in allocation.shortlist if not self._known(kept)]
            if not new:
                stopped = "no gain"
                break
            before = best
            for kept in _diverse(new, max(1, min(A_ROUND, self.most - len(self.tried)))):
                if not self._late():
                    best = min(best, self._try(_at(allocation, kept, learnt), estimated=True), key=lambda tried: tried.rank)
            stale = 0 if _better(best, before, GAIN) else stale + 1
        if stale >= PATIENCE:
            stopped = "no gain"
        elif len(self.tried) < self.most and self._late():
            stopped = "time limit"
        records = tuple(self._record(tried, chosen=tried is best) for tried in self.tried)
        return Choice(best.allocation, best.mended, best.latency, best.missed, records, stopped)

    def _coarse_and_fine(self) -> _Tried:
        """The best candidate as predictions have it, and if there is time those at each step that ``auto`` may take; of all, the best."""
        request = self.request
        tries = [self._try(search(request, self.space, self.constraints, request.granularity), estimated=self.estimates)]
        for step in STEPS if request.granularity == "auto" and self.most >= len(STEPS) else ():
            if len(tries) >= self.most or self._late() or set(tries[0].allocation.space.steps) == {step}:
                continue
            try:
                allocation = search(replace(request, best_effort=False), self.space, self.constraints, step)
            except ConstraintUnreachableError:
                continue
            if not self._known(allocation.kept):
                tries.append(self._try(allocation, estimated=self.estimates))
        best, *finer = sorted(tries, key=lambda tried: -max(tried.allocation.space.steps, default=0))
        for tried in finer:
            best = tried if _better(tried, best, 1 - WORTH) else best
        return best

    def _known(self, kept: Ints) -> bool:
        return any((kept == tried.allocation.kept).all() for tried in self.tried)

    def _late(self) -> bool:
        return monotonic() - self.begun > self.seconds

    def _try(self, allocation: Allocation, *, estimated: bool) -> _Tried:
        request, space = self.request, allocation.space
        request.report("measure", len(self.tried) / self.most, f"candidate {len(self.tried) + 1}")
        prune, removed = space.edit(allocation.kept.tolist()), space.removed(allocation.kept.tolist())
        model = apply_edit(self.prepared, prune)
        mended = None
        if self.lesson is not None:
            if request.compensate and removed.any():
                mended = repair(space.units, removed, model, self.lesson, threads=request.threads, report=request.report)
            else:
                mended = untouched(model, self.lesson, threads=request.threads)
            model = mended.model
        metric = None
        if request.metric is not None and self.whole is not None:
            request.report("metric", None, str(request.metric))
            metric = self._metric(model)
            damage = np.inf if metric is None else self.whole - metric
        else:
            damage = mended.record.after if mended is not None else allocation.predicted
        latency = None
        if request.measure_latency:
            request.report("measure", len(self.tried) / self.most, f"latency of candidate {len(self.tried) + 1}")
            latency = timed(request, self.original, allocation, model)
        predicted = allocation.predicted if estimated else None
        too_slow = request.goal is not None and not request.goal.reached(latency)
        self.tried.append(_Tried(allocation, mended, float(damage), metric, latency, predicted, too_slow))
        return self.tried[-1]

    def _metric(self, model: onnx.ModelProto) -> float | None:
        """What the user's metric gives; None where it fails after it has worked: such a candidate is not taken."""
        assert self.request.metric is not None
        if not self.tried:
            return self.request.metric.measure(model)
        left = self.seconds - (monotonic() - self.begun)
        try:
            return self.request.metric.measure(model, timeout=max(left, 1.0) if np.isfinite(left) else None)
        except UsageError as error:
            self.request.report("metric", None, str(error))
            return None

    def _record(self, tried: _Tried, *, chosen: bool) -> Measured:
        space, kept = tried.allocation.space, tried.allocation.kept
        return Measured(
            macs=int(space.costs.macs(kept[None])[0]),
            steps=tuple(sorted(set(space.steps))),
            predicted=tried.predicted,
            divergence=tried.mended.record.after if tried.mended is not None else None,
            metric=tried.metric,
            latency=tried.latency.ratio if tried.latency is not None else None,
            chosen=chosen,
        )


def _better(one: _Tried, other: _Tried, share: float) -> bool:
    """Whether it is not slower where the other is, or its damage less by a share: of the other's size, since a metric can gain, too."""
    if one.rank[:2] != other.rank[:2]:
        return one.rank[:2] < other.rank[:2]
    return one.damage < other.damage - share * abs(other.damage)


def _at(allocation: Allocation, kept: Ints, space: SearchSpace) -> Allocation:
    """The same search with another candidate of its shortlist."""
    front = np.unique(np.concatenate([allocation.front, kept[None]]), axis=0)
    front = front[np.lexsort((-allocation.space.saliency(front), -allocation.space.costs.macs(front)))]
    place = int(np.flatnonzero((front == kept).all(axis=1))[0])
    return replace(allocation, space=space.at(allocation.space.steps), kept=kept, front=front, chosen=place)


def _diverse(candidates: Sequence[Ints], count: int) -> list[Ints]:
    """The first, and then those that differ most from what was taken."""
    taken = [candidates[0]]
    while len(taken) < min(count, len(candidates)):
        far = [min(int((one != other).sum()) for other in taken) for one in candidates]
        taken.append(candidates[int(np.argmax(far))])
    return taken
