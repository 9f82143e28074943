"""From constraints to a choice of channels: granularity, descent, evolution, and the last steps back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.errors import ConstraintUnreachableError
from nasopt.mutations.space import SearchSpace
from nasopt.search.constraints import Constraints
from nasopt.search.descent import descend, give_back, unreachable
from nasopt.search.front import front_of
from nasopt.search.granularity import CPU_STEP, Granularity, choose_steps

if TYPE_CHECKING:
    from nasopt.search.evolution import Objective

__all__ = ["Allocation", "allocate", "predicted"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Allocation:
    """What was chosen.

    Attributes:
        space: the space at the granularity that was used.
        kept: units kept per group.
        front: units kept per group of every point of the front, by descending MACs: (points, groups).
        chosen: which row of `front` was chosen.
        generations: of the search.
        evaluations: candidates that it scored.
        stopped_by: ``generations`` or ``time limit``.
        reached: False where no candidate satisfies the constraints and the nearest was taken.
        shortlist: units kept per group of the best candidates, the chosen one first: (candidates, groups).
    """

    space: SearchSpace
    kept: Ints
    front: Ints
    chosen: int
    generations: int
    evaluations: int
    stopped_by: str
    reached: bool
    shortlist: Ints

    @property
    def predicted(self) -> float:
        """What is lost, in the currency of the space's losses."""
        return predicted(self.space, self.kept)


def predicted(space: SearchSpace, kept: Ints) -> float:
    """What one candidate loses, in the currency of the space's losses."""
    return (1.0 - float(space.saliency(kept[None])[0])) * space.whole


def allocate(
    space: SearchSpace,
    constraints: Constraints,
    *,
    granularity: Granularity | None = "auto",
    seed: int = 0,
    generations: int = 60,
    time_limit: float | None = None,
    best_effort: bool = False,
    on_generation: Callable[[int], None] | None = None,
    objectives: Sequence[Objective] = (),
) -> Allocation:
    """Chooses how many units each group keeps.

    Args:
        space: the compiled space, at any granularity.
        constraints: what to reach.
        granularity: ``auto``, or the step of channel counts; None takes the steps that the space has.
        seed: of the search.
        generations: of the search; 0 takes the greedy answer.
        time_limit: seconds for the search.
        best_effort: take the nearest candidate where the constraints cannot be reached.
        on_generation: progress.
        objectives: further ones, which the search pursues, and which count in the choice by their weights.

    Raises:
        ConstraintUnreachableError: not even the smallest network of the space satisfies the constraints.
    """
    if granularity is not None:
        space = space.at([CPU_STEP if granularity == "auto" else granularity] * len(space.choices))
    if granularity == "auto":
        space = choose_steps(space, constraints)
    reached = not unreachable(space, constraints)
    if not reached and not best_effort:
        raise _unreachable_error(space, constraints)
    greedy, path = descend(space, constraints)
    candidates, done, evaluations, stopped = [*path, greedy], 0, len(path), "generations"
    if reached and generations > 0 and len(space.choices):
        from nasopt.search.evolution import evolve

        outcome = evolve(
            space, constraints, path, seed=seed, generations=generations, time_limit=time_limit, objectives=objectives,
            on_generation=on_generation,
        )  # fmt: skip
        candidates += list(outcome.genomes)
        done, stopped, evaluations = outcome.generations, outcome.stopped_by, evaluations + outcome.evaluations
    genomes = np.unique(np.array(candidates), axis=0)
    finished = greedy[None]
    if reached:
        feasible = genomes[constraints.hold(space, space.kept(genomes))]
        if not len(feasible):  # saliencies that overflow lead the descent astray: the smallest network always holds
            feasible = np.zeros((1, len(space.choices)), np.int64)
        # Steps back can lift a candidate past another: all are given theirs before the best is taken.
        ranked = feasible[np.argsort(-worth(space, feasible, objectives), kind="stable")][:16]
        finished = np.unique([give_back(space, constraints, genome) for genome in ranked], axis=0)
        finished = finished[np.argsort(-worth(space, finished, objectives), kind="stable")]
    best = finished[0]
    front = front_of(space, np.concatenate([genomes, best[None]]), chosen=best)[::-1]
    chosen = int(np.flatnonzero((front == best).all(axis=1))[0])
    return Allocation(
        space, space.kept(best[None])[0], space.kept(front), chosen, done, evaluations, stopped, reached, space.kept(finished)
    )


def worth(space: SearchSpace, genomes: Ints, objectives: Sequence[Objective]) -> Floats:
    """What candidates are chosen by: saliency kept, and further objectives by their weights."""
    kept = space.kept(genomes)
    return space.saliency(kept) + sum(one.weight * one(space, kept) for one in objectives if one.weight)


def _unreachable_error(space: SearchSpace, constraints: Constraints) -> ConstraintUnreachableError:
    floor = space.kept(np.zeros((1, len(space.choices)), np.int64))[0]
    reachable = constraints.reached(space, floor)
    asked = ", ".join(f"--{name}-drop {drop:g}" for name, drop in constraints.asked.items())
    # Rounded down: a bound must not look as if it could be asked for.
    bounds = ", ".join(f"{name} {math.floor(1e4 * reach) / 100:.2f} %" for name, reach in reachable.items())
    finer = "use a finer --granularity, " if max(space.steps, default=1) > 1 else ""
    return ConstraintUnreachableError(
        f"{asked} cannot be reached: the largest drops are {bounds}; ask for less, {finer}see what is frozen with 'nasopt explain', "
        "or take the nearest with --best-effort",
        reachable,
    )
