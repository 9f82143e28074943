"""NSGA-II over integer genomes: saliency kept against MACs, under constraints.

pymoo does the sorting and the book-keeping; ours are the operators on integers, the hash that finds duplicates, and the seeds (the path
of the greedy descent). Ask-and-tell, so that a generation is one vectorised evaluation and a run can be stopped between any two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from nasopt.mutations.space import SearchSpace
from nasopt.search.constraints import Constraints

__all__ = ["Objective", "Outcome", "evolve"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


class Objective(Protocol):
    """Something to maximise, for a whole population at once; predictors join the search through this."""

    name: str

    def __call__(self, space: SearchSpace, kept: Ints) -> Floats:
        """One number a candidate, larger is better; `kept` is (population, groups)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a search leaves behind.

    Attributes:
        genomes: the Pareto front (feasible candidates only, unless there are none), by ascending MACs.
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
    problem = _Problem(space, constraints, objectives)
    rng = np.random.default_rng(seed)
    algorithm = NSGA2(
        pop_size=population,
        sampling=_first_population(space, seeds, population, rng),
        crossover=_UniformCrossover(),
        mutation=_StepMutation(space.lengths),
        eliminate_duplicates=_ByHash(),
    )
    algorithm.setup(problem, termination=NoTermination(), seed=seed, evaluator=Evaluator())
    begun, done, stopped = time.monotonic(), 0, "generations"
    while done < generations:
        late = time_limit is not None and time.monotonic() - begun > time_limit
        if late and done:
            stopped = "time limit"
            break
        offspring = algorithm.ask()
        if offspring is None or len(offspring) == 0:
            break
        algorithm.evaluator.eval(problem, offspring)
        algorithm.tell(infills=offspring)
        done += 1
        if on_generation is not None:
            on_generation(done)
    return Outcome(_front(space, constraints, algorithm.pop.get("X").astype(np.int64)), done, algorithm.evaluator.n_eval, stopped)


class _Problem(Problem):  # type: ignore[misc]
    def __init__(self, space: SearchSpace, constraints: Constraints, objectives: Sequence[Objective]) -> None:
        self.space, self.constraints, self.objectives = space, constraints, tuple(objectives)
        super().__init__(
            n_var=len(space.choices),
            n_obj=2 + len(self.objectives),
            n_ieq_constr=len(constraints.names),
            xl=0,
            xu=space.lengths - 1,
            vtype=int,
        )

    def _evaluate(self, genomes: Ints, out: dict[str, Floats], *_: Any, **__: Any) -> None:
        kept = self.space.kept(genomes.astype(np.int64))
        further = [-objective(self.space, kept) for objective in self.objectives]
        out["F"] = np.stack([-self.space.saliency(kept), self.space.costs.macs(kept), *further], axis=1)
        out["G"] = self.constraints.excess(self.space, kept)


class _UniformCrossover(Crossover):  # type: ignore[misc]
    """Each gene from either parent."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def _do(self, _: Any, parents: Ints, *__: Any, random_state: Any = None, **___: Any) -> Ints:
        swap = random_state.random(parents.shape[1:]) < 0.5
        return np.stack([np.where(swap, parents[1], parents[0]), np.where(swap, parents[0], parents[1])])


class _StepMutation(Mutation):  # type: ignore[misc]
    """A few genes move, mostly by one choice: on average three a child."""

    def __init__(self, lengths: Ints) -> None:
        super().__init__()
        self._lengths = lengths

    def _do(self, _: Any, genomes: Ints, *__: Any, random_state: Any = None, **___: Any) -> Ints:
        moved = random_state.random(genomes.shape) < min(1.0, 3.0 / max(1, genomes.shape[1]))
        reach = random_state.geometric(0.6, genomes.shape)
        direction = np.where(random_state.random(genomes.shape) < 0.5, -1, 1)
        return np.asarray(np.clip(genomes + moved * direction * reach, 0, self._lengths - 1))


class _ByHash(DuplicateElimination):  # type: ignore[misc]
    def _do(self, population: Any, other: Any, is_duplicate: Any) -> Any:
        known = set() if other is None else {row.tobytes() for row in other.get("X").astype(np.int64)}
        for place, row in enumerate(population.get("X").astype(np.int64)):
            key = row.tobytes()
            is_duplicate[place] |= other is not None and key in known
            if other is None:
                is_duplicate[place] |= key in known
                known.add(key)
        return is_duplicate


def _first_population(space: SearchSpace, seeds: Sequence[Ints], size: int, rng: np.random.Generator) -> Any:
    """The seeds, thinned evenly where there are too many, and neighbours of theirs."""
    unique = list({seed.tobytes(): seed for seed in seeds}.values()) or [space.lengths - 1]
    # The last seed is the one that satisfies the constraints.
    chosen = [unique[place] for place in np.unique(np.linspace(0, len(unique) - 1, min(len(unique), size // 2)).round().astype(int))]
    rows = list(chosen)
    while len(rows) < size:
        base = chosen[len(chosen) - 1 - int(rng.integers(0, max(1, len(chosen) // 2)))]
        moved = rng.random(len(base)) < max(0.1, 2.0 / max(1, len(base)))
        rows.append(np.clip(base + moved * rng.integers(-2, 3, len(base)), 0, space.lengths - 1))
    return Population.new("X", np.array(rows))


def _front(space: SearchSpace, constraints: Constraints, genomes: Ints) -> Ints:
    """Feasible candidates that no other beats in both saliency and MACs, by ascending MACs."""
    kept = space.kept(genomes)
    feasible = constraints.hold(space, kept)
    genomes = np.unique(genomes[feasible] if feasible.any() else genomes, axis=0)
    kept = space.kept(genomes)
    macs, saliency = space.costs.macs(kept), space.saliency(kept)
    order = np.lexsort((-saliency, macs))
    best, front = -np.inf, []
    for place in order:
        if saliency[place] > best:
            best = saliency[place]
            front.append(place)
    return np.asarray(genomes[front])
