"""NSGA-II: reproducible, feasible, a front, and never a step behind its seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nasopt.mutations.space import SearchSpace
from nasopt.search.allocate import allocate
from nasopt.search.constraints import Constraints
from nasopt.search.descent import descend
from nasopt.search.evolution import Outcome, evolve
from tests.search.spaces import SEEDS, generated_space, none_better, reachable


def evolved(space: SearchSpace, constraints: Constraints, **options: Any) -> Outcome:
    seeds = descend(space, constraints)[1]
    return evolve(space, constraints, seeds, **{"seed": 0, "generations": 6, "population": 40, **options})


@pytest.mark.parametrize("generations", [1, 6])  # after the first, most candidates violate a constraint
@pytest.mark.parametrize("names", [("flops",), ("flops", "params", "memory")], ids="-".join)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_feasible_front_no_worse_than_the_greedy_answer(seed: int, names: tuple[str, ...], generations: int) -> None:
    space = generated_space(seed)
    constraints = reachable(space, 0.5, *names)
    outcome = evolved(space, constraints, seed=seed, generations=generations)
    kept = space.kept(outcome.genomes)
    assert constraints.hold(space, kept).all()
    macs, saliency = space.costs.macs(kept), space.saliency(kept)
    assert (np.diff(macs) > 0).all()
    assert none_better(macs.tolist(), saliency.tolist())
    greedy = descend(space, constraints)[0]
    assert saliency.max() >= space.saliency(space.kept(greedy[None]))[0]
    assert len({row.tobytes() for row in outcome.genomes}) == len(outcome.genomes)


def test_the_seed_decides() -> None:
    space = generated_space(9)
    constraints = reachable(space, 0.5)
    first, again, other = (evolved(space, constraints, seed=seed) for seed in (1, 1, 2))
    assert first.genomes.tolist() == again.genomes.tolist()
    assert first.evaluations == again.evaluations
    assert first.genomes.tolist() != other.genomes.tolist()


def test_what_was_done_is_told() -> None:
    space = generated_space(9)
    told: list[int] = []
    outcome = evolved(space, reachable(space, 0.5), on_generation=told.append)
    assert told == [1, 2, 3, 4, 5, 6]
    assert (outcome.generations, outcome.stopped_by) == (6, "generations")
    assert 40 < outcome.evaluations <= 6 * 40


def test_a_clock_stops_between_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("nasopt.search.evolution.time.monotonic", lambda: next(clock))
    space = generated_space(9)
    outcome = evolved(space, reachable(space, 0.5), time_limit=2.5)
    assert (outcome.generations, outcome.stopped_by) == (2, "time limit")


def test_a_further_objective_is_asked_for_whole_populations() -> None:
    class Fewest:
        name, weight = "fewest", 0.0
        asked = 0

        def __call__(self, space: SearchSpace, kept: np.ndarray) -> np.ndarray:
            self.asked += len(kept)
            return -kept.sum(axis=1).astype(np.float64)

    space, fewest = generated_space(9), Fewest()
    outcome = evolved(space, reachable(space, 0.5), objectives=[fewest])
    assert fewest.asked == outcome.evaluations


def test_a_further_objective_chooses_by_its_weight() -> None:
    class First:
        """Wants the first group whole."""

        name = "first"

        def __init__(self, weight: float) -> None:
            self.weight = weight

        def __call__(self, _space: SearchSpace, kept: np.ndarray) -> np.ndarray:
            return kept[:, 0].astype(np.float64)

    space = generated_space(9)
    constraints = reachable(space, 0.4)
    kept = [allocate(space, constraints, granularity=None, objectives=[First(weight)]).kept[0] for weight in (0.0, 100.0)]
    assert kept[0] <= kept[1] == space.choices[0][-1]
