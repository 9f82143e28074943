"""NSGA-II over vectors of integers, whatever they stand for: what `compress` and `search` share.

pymoo does the sorting and the book-keeping; ours is the mating, on arrays of a whole generation. Ask-and-tell, so that a generation is one
vectorised evaluation and a run can be stopped between any two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.duplicate import NoDuplicateElimination
from pymoo.core.evaluator import Evaluator
from pymoo.core.infill import InfillCriterion
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

__all__ = ["Evolved", "Judge", "evolved"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

Judge = Callable[[Ints], tuple[Floats, Floats]]
"""From genomes (n, genes) to what is minimised (n, objectives) and what must not exceed 0 (n, constraints)."""


@dataclass(frozen=True)
class Evolved:
    """What is left at the end.

    Attributes:
        genomes: the last population, (n, genes).
        generations: how many were run.
        evaluations: how many candidates were judged.
        stopped: whether `late` ended it.
    """

    genomes: Ints
    generations: int
    evaluations: int
    stopped: bool


def evolved(
    first: Ints,
    lengths: Ints,
    judge: Judge,
    *,
    sizes: tuple[int, int],
    seed: int,
    generations: int,
    ordered: bool = True,
    late: Callable[[], bool] = lambda: False,
    on_generation: Callable[[int], None] | None = None,
) -> Evolved:
    """Runs NSGA-II.

    Args:
        first: the first population, (n, genes).
        lengths: how many values each gene may take, (genes,).
        judge: of a population.
        sizes: how many objectives and constraints it gives.
        seed: of every random number.
        generations: upper bound.
        ordered: whether neighbouring values of a gene are alike.
        late: asked before each generation; the first is run in any case.
        on_generation: called with the number of each finished generation.
    """
    problem = _Problem(lengths, judge, sizes)
    algorithm = _NSGA2(
        pop_size=len(first),
        sampling=Population.new("X", first),
        mating=_Mating(lengths, ordered=ordered),
        survival=_Survival(),
        eliminate_duplicates=NoDuplicateElimination(),
    )
    evaluator = Evaluator(skip_already_evaluated=False, evaluate_values_of=["F", "G"])
    algorithm.setup(problem, termination=NoTermination(), seed=seed, evaluator=evaluator)
    done, stopped = 0, False
    while done < generations:
        if late() and done:
            stopped = True
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
    return Evolved(algorithm.pop.get("X").astype(np.int64), done, evaluator.n_eval, stopped)


class _Problem(Problem):  # type: ignore[misc]
    def __init__(self, lengths: Ints, judge: Judge, sizes: tuple[int, int]) -> None:
        self.judge = judge
        super().__init__(n_var=len(lengths), n_obj=sizes[0], n_ieq_constr=sizes[1], xl=0, xu=lengths - 1, vtype=int)

    def _evaluate(self, genomes: Ints, out: dict[str, Floats], *_: Any, **__: Any) -> None:
        out["F"], out["G"] = self.judge(genomes.astype(np.int64))

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

    def __init__(self, lengths: Ints, *, ordered: bool) -> None:
        super().__init__()
        self._lengths, self._ordered = lengths, ordered

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
        """A few genes change, on average three a child: by one choice mostly where choices are ordered, else to any other."""
        moved = np.nonzero(random.random(genomes.shape) < min(1.0, 3.0 / max(1, genomes.shape[1])))
        if not self._ordered:
            lengths = self._lengths[moved[1]]
            genomes[moved] = (genomes[moved] + random.integers(1, np.maximum(lengths, 2))) % lengths
            return genomes
        reach = random.geometric(0.6, len(moved[0])) * random.choice([-1, 1], len(moved[0]))
        genomes[moved] += reach
        return np.asarray(np.clip(genomes, 0, self._lengths - 1))
