"""Which architectures to ask for next, from those that were answered: a function a strategy, none with a memory of its own.

What a strategy proposes follows from the answers so far and a generator alone, so that a run which is repeated from its record goes on as
if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nasopt.predictors.gaussian_process import GaussianProcess, normal_scores
from nasopt.search.pool import Pool

__all__ = ["STRATEGIES", "Strategy", "standing"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

Strategy = Callable[[Pool, Sequence[int], Floats, int, np.random.Generator], list[int]]
"""From the pool, the rows answered so far in their order, their losses (k, goals), a number and a generator to as many other rows."""

POPULATION, CONTEST = 20, 5
"""Regularised evolution's (Real et al., AAAI 2019), for small budgets: how many are alive, how many compete to be a parent."""
GENERATIONS, EVOLVED = 30, 100
"""Of the search on predictions, and its population."""
TRIES = 50


def standing(losses: Floats) -> Ints:
    """The order of candidates, best first: by the front that they lie on, then by how far they are from others on it."""
    from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    if losses.shape[1] == 1:
        return np.argsort(losses[:, 0], kind="stable")
    order: list[int] = []
    for front in NonDominatedSorting().do(losses):
        crowding = get_crowding_function("cd").do(losses[front])
        order += np.asarray(front)[np.argsort(-crowding, kind="stable")].tolist()
    return np.array(order, np.int64)


def at_random(pool: Pool, known: Sequence[int], losses: Floats, count: int, rng: np.random.Generator) -> list[int]:  # noqa: ARG001 - a strategy
    """Any others."""
    left = np.setdiff1d(np.arange(len(pool)), np.array(known, np.int64))
    return [int(row) for row in rng.permutation(left)[:count]]


def local(pool: Pool, known: Sequence[int], losses: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """Neighbours of the best, then of the next best (White et al., 2021): where all of one are known, the search is in a local optimum."""
    taken, found = set(known), list[int]()
    for place in standing(losses):
        near = [pool.rows.get(genes) for genes in pool.space.neighbours(pool.genes[known[place]])]
        new = [row for row in near if row is not None and row not in taken]
        found += [new[index] for index in rng.permutation(len(new))]
        taken.update(new)
        if len(found) >= count:
            return found[:count]
    return [*found, *at_random(pool, [*known, *found], losses, count - len(found), rng)]


def evolution(pool: Pool, known: Sequence[int], losses: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """Regularised evolution (Real et al., AAAI 2019): the youngest are alive, the best of a few drawn at random is mutated."""
    alive = np.arange(max(0, len(known) - POPULATION), len(known))
    rank = np.empty(len(alive), np.int64)
    rank[standing(losses[alive])] = np.arange(len(alive))
    return _children(pool, known, losses, count, rng, lambda: alive[min(rng.integers(len(alive), size=CONTEST), key=lambda one: rank[one])])


def nsga2(pool: Pool, known: Sequence[int], losses: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """NSGA-II (Deb et al., 2002) on what was answered, without a predictor: the best are alive, children mix two of them."""
    alive = standing(losses)[:POPULATION]

    def chosen() -> int:
        return int(alive[rng.integers(len(alive), size=2).min()])

    return _children(pool, known, losses, count, rng, chosen, mixed=True)


def predictor(pool: Pool, known: Sequence[int], losses: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """What a predictor fitted to the answers expects most of (Multi-Predict, Section 5.1); several goals: along its front."""
    rows = np.array(known)
    scores = normal_scores(losses)
    models = [GaussianProcess.fit(features[rows], scores[:, goal]) for goal, features in enumerate(pool.features)]
    if len(models) == 1:
        expected = models[0].predict(pool.features[0])[0]
        expected[rows] = np.inf
        return [int(row) for row in np.argsort(expected, kind="stable")[: min(count, len(pool) - len(known))]]
    return _along_the_front(pool, known, losses, models, count, rng)


def _along_the_front(
    pool: Pool, known: Sequence[int], losses: Floats, models: Sequence[GaussianProcess], count: int, rng: np.random.Generator
) -> list[int]:
    """NSGA-II on predictions; of its last population those that are apart from each other and from what is known."""
    from nasopt.search.nsga2 import evolved

    expected = np.stack([model.predict(features)[0] for model, features in zip(models, pool.features, strict=True)], axis=1)
    worst = expected.max(axis=0) + 1.0

    def judge(genomes: Ints) -> tuple[Floats, Floats]:
        places = [pool.rows.get(pool.space.canonical(tuple(genome))) for genome in genomes.tolist()]
        values = np.stack([worst if place is None else expected[place] for place in places])
        return values, np.array([[float(place is None)] for place in places])

    first = [*(known[place] for place in standing(losses)[: EVOLVED // 2]), *rng.integers(len(pool), size=EVOLVED)][:EVOLVED]
    lengths = np.array(pool.space.options, np.int64)
    outcome = evolved(
        np.array([pool.genes[row] for row in first], np.int64), lengths, judge, sizes=(expected.shape[1], 1),
        seed=int(rng.integers(2**31)), generations=GENERATIONS, ordered=False,
    )  # fmt: skip
    found = {pool.rows.get(pool.space.canonical(tuple(genome))) for genome in outcome.genomes.tolist()}
    new = np.array(sorted(row for row in found if row is not None and row not in set(known)), np.int64)
    if not len(new):
        return at_random(pool, known, losses, count, rng)
    new = new[standing(expected[new])]
    taken = [int(new[0])]
    while len(taken) < min(count, len(new)):
        beside = expected[[*taken, *known]]
        apart = np.abs(expected[new][:, None] - beside[None]).max(axis=2).min(axis=1)
        taken.append(int(new[int(np.argmax(np.where(np.isin(new, taken), -1.0, apart)))]))
    return [*taken, *at_random(pool, [*known, *taken], losses, count - len(taken), rng)]


def _children(
    pool: Pool,
    known: Sequence[int],
    losses: Floats,
    count: int,
    rng: np.random.Generator,
    parent: Callable[[], int],
    *,
    mixed: bool = False,
) -> list[int]:
    found: list[int] = []
    for _try in range(TRIES * count):
        genes = pool.genes[known[parent()]]
        if mixed:
            other = pool.genes[known[parent()]]
            swapped = tuple(two if rng.random() < 0.5 else one for one, two in zip(genes, other, strict=True))
            genes = pool.space.canonical(swapped) if pool.space.valid(swapped) else genes
        row = pool.rows.get(pool.space.mutate(genes, rng))
        if row is not None and row not in known and row not in found:
            found.append(row)
        if len(found) == count:
            return found
    return [*found, *at_random(pool, [*known, *found], losses, count - len(found), rng)]


STRATEGIES: dict[str, Strategy] = {
    "predictor": predictor,
    "random": at_random,
    "local": local,
    "evolution": evolution,
    "nsga2": nsga2,
}
"""By name."""
