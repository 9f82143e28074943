"""NSGA-II over integer genomes: saliency kept against MACs, under constraints.

pymoo does the sorting and the book-keeping; ours are the mating, on arrays of a whole generation, and the seeds (the path of the greedy
descent). Ask-and-tell, so that a generation is one vectorised evaluation and a run can be stopped between any two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.duplicate import NoDuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.infill import InfillCriterion
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from nasopt.mutations.space import SearchSpace
from nasopt.search.constraints import Constraints
from nasopt.search.front import front_of

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
    problem = _Problem(space, constraints, objectives)
    rng = np.random.default_rng(seed)
    algorithm = _NSGA2(
        pop_size=population,
        sampling=_first_population(space, seeds, population, rng),
        mating=_Mating(space.lengths),
        survival=_Survival(),
        eliminate_duplicates=NoDuplicateElimination(),
    )
    evaluator = Evaluator(skip_already_evaluated=False, evaluate_values_of=["F", "G"])
    algorithm.setup(problem, termination=NoTermination(), seed=seed, evaluator=evaluator)
    begun, done, stopped = time.monotonic(), 0, "generations"
    while done < generations:
        late = time_limit is not None and time.monotonic() - begun > time_limit
        if late and done:
            stopped = "time limit"
            break
        offspring = algorithm.ask()
        if offspring is None or len(offspring) == 0:
            break
        evaluator.eval(problem, offspring)
        problem.note_violations(offspring)
        algorithm.tell(infills=offspring)
        done += 1
        if on_generation is not None:
            on_generation(done)
    genomes = algorithm.pop.get("X").astype(np.int64)
    feasible = constraints.hold(space, space.kept(genomes))
    found = genomes[feasible] if feasible.any() else genomes
    return Outcome(np.unique(found, axis=0) if objectives else front_of(space, found), done, evaluator.n_eval, stopped)


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

    @staticmethod
    def note_violations(population: Any) -> None:
        """Adds up what each candidate violates, for all at once; pymoo would do it one by one."""
        for one, violation in zip(population, np.maximum(population.get("G"), 0.0).sum(axis=1, keepdims=True), strict=True):
            one.CV = violation


class _NSGA2(NSGA2):  # type: ignore[misc]
    def _set_optimum(self, **_: Any) -> None:
        """Nobody asks for the best in between."""


class _Survival(RankAndCrowding):  # type: ignore[misc]
    """First those that violate nothing, by rank and crowding, then the others by how much they do."""

    def do(self, problem: Any, population: Any, *_: Any, n_survive: int, random_state: Any = None, **__: Any) -> Any:
        violation = np.array([one.CV[0] for one in population])
        feasible, others = np.flatnonzero(violation <= 0), np.flatnonzero(violation > 0)
        room = min(len(feasible), n_survive)
        survivors = self._do(problem, population[feasible], n_survive=room, random_state=random_state) if room else Population.create()
        return Population.merge(survivors, population[others[np.argsort(violation[others])][: n_survive - room]])


class _Mating(InfillCriterion):  # type: ignore[misc]
    """Tournaments, crossover and mutation for a whole generation; children that are there already are drawn anew."""

    def __init__(self, lengths: Ints) -> None:
        super().__init__()
        self._lengths = lengths

    def do(self, _: Any, population: Any, size: int, random_state: Any = None, **__: Any) -> Any:
        genomes = population.get("X")
        violation, rank, crowding = population.get("CV", "rank", "crowding")
        # Those that violate a constraint were never ranked; among them the violation decides.
        order = np.lexsort((-crowding.astype(float), rank.astype(float), violation[:, 0]))
        standing = np.empty(len(genomes), np.int64)
        standing[order] = np.arange(len(genomes))
        known = {genome.tobytes() for genome in genomes}
        children: list[Ints] = []
        for _attempt in range(self.n_max_iterations):
            pairs = -(-(size - len(children)) // 2)
            rounds = -(-4 * pairs // len(genomes))
            drawn = np.concatenate([random_state.permutation(len(genomes)) for _round in range(rounds)])[: 4 * pairs].reshape(2, 2, pairs)
            mothers, fathers = genomes[np.where(standing[drawn[0]] < standing[drawn[1]], drawn[0], drawn[1])]
            for child in self._mutated(self._crossed(mothers, fathers, random_state), random_state):
                key = child.tobytes()
                if key not in known and len(children) < size:
                    known.add(key)
                    children.append(child)
            if len(children) == size:
                break
        return Population.new("X", np.array(children)) if children else Population.create()

    @staticmethod
    def _crossed(mothers: Ints, fathers: Ints, random: np.random.Generator) -> Ints:
        """Each gene from either parent, and a sibling with the genes of the other; one pair in ten is left as it is, to be mutated only."""
        swap = (random.random(mothers.shape) < 0.5) & (random.random((len(mothers), 1)) < 0.9)
        return np.concatenate([np.where(swap, fathers, mothers), np.where(swap, mothers, fathers)])

    def _mutated(self, genomes: Ints, random: np.random.Generator) -> Ints:
        """A few genes move, mostly by one choice: on average three a child."""
        moved = np.nonzero(random.random(genomes.shape) < min(1.0, 3.0 / max(1, genomes.shape[1])))
        reach = random.geometric(0.6, len(moved[0])) * random.choice([-1, 1], len(moved[0]))
        genomes[moved] += reach
        return np.asarray(np.clip(genomes, 0, self._lengths - 1))


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
