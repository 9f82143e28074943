"""What `compress` evolves: saliency kept against MACs, under constraints, from the path of the greedy descent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nasopt.mutations.space import SearchSpace
from nasopt.search.constraints import Constraints
from nasopt.search.front import front_of
from nasopt.search.nsga2 import evolved

__all__ = ["Objective", "Outcome", "evolve"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


class Objective(Protocol):
    """Something to maximise, for a whole population at once; predictors join the search through this."""

    name: str
    weight: float
    """What one of it is worth in the choice, in shares of saliency; the front has it in any case."""

    def __call__(self, space: SearchSpace, kept: Ints) -> Floats:
        """One number a candidate, larger is better; `kept` is (population, groups)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a search leaves behind.

    Attributes:
        genomes: the Pareto front (feasible candidates only, unless there are none), by ascending MACs; with further objectives the whole
            last population.
        generations: how many were run.
        evaluations: how many different candidates were scored.
        stopped_by: ``generations`` or ``time limit``.
    """

    genomes: Ints
    generations: int
    evaluations: int
    stopped_by: str


def evolve(
    space: SearchSpace,
    constraints: Constraints,
    seeds: Sequence[Ints],
    *,
    seed: int,
    generations: int,
    time_limit: float | None = None,
    population: int = 100,
    objectives: Sequence[Objective] = (),
    on_generation: Callable[[int], None] | None = None,
) -> Outcome:
    """Runs NSGA-II.

    Args:
        space: the compiled space.
        constraints: what every result must satisfy.
        seeds: genomes to begin with; the rest of the first population is drawn around them.
        seed: of every random number; equal seeds give equal results in runs that no clock stops.
        generations: upper bound.
        time_limit: seconds after which no new generation is begun; the first always is.
        population: size.
        objectives: further objectives beside saliency and MACs.
        on_generation: called with the number of each finished generation.
    """
    rng = np.random.default_rng(seed)
    objectives, begun = tuple(objectives), time.monotonic()

    def judge(genomes: Ints) -> tuple[Floats, Floats]:
        kept = space.kept(genomes)
        further = [-objective(space, kept) for objective in objectives]
        return np.stack([-space.saliency(kept), space.costs.macs(kept), *further], axis=1), constraints.excess(space, kept)

    outcome = evolved(
        _first_population(space, seeds, population, rng),
        space.lengths,
        judge,
        sizes=(2 + len(objectives), len(constraints.names)),
        seed=seed,
        generations=generations,
        late=lambda: time_limit is not None and time.monotonic() - begun > time_limit,
        on_generation=on_generation,
    )
    genomes = outcome.genomes
    feasible = constraints.hold(space, space.kept(genomes))
    found = genomes[feasible] if feasible.any() else genomes
    front = np.unique(found, axis=0) if objectives else front_of(space, found)
    return Outcome(front, outcome.generations, outcome.evaluations, "time limit" if outcome.stopped else "generations")


def _first_population(space: SearchSpace, seeds: Sequence[Ints], size: int, rng: np.random.Generator) -> Ints:
    """The seeds, thinned evenly where there are too many, and neighbours of theirs."""
    unique = list({seed.tobytes(): seed for seed in seeds}.values()) or [space.lengths - 1]
    # The last seed is the one that satisfies the constraints.
    chosen = [unique[place] for place in np.unique(np.linspace(0, len(unique) - 1, min(len(unique), size // 2)).round().astype(int))]
    rows = list(chosen)
    while len(rows) < size:
        base = chosen[len(chosen) - 1 - int(rng.integers(0, max(1, len(chosen) // 2)))]
        moved = rng.random(len(base)) < max(0.1, 2.0 / max(1, len(base)))
        rows.append(np.clip(base + moved * rng.integers(-2, 3, len(base)), 0, space.lengths - 1))
    return np.array(rows)
