"""The greedy walk down, and the steps back."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.search.descent import descend, give_back, unreachable
from tests.search.spaces import SEEDS, asking, branches, generated_space, reachable

NAMES = [("flops",), ("params",), ("memory",), ("flops", "params", "memory")]


@pytest.mark.parametrize("names", NAMES, ids="-".join)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_walk_ends_where_the_constraints_hold(seed: int, names: tuple[str, ...]) -> None:
    space = generated_space(seed)
    for share in (0.2, 0.6, 1.0 - 1e-9):
        constraints = reachable(space, share, *names)
        genome, path = descend(space, constraints)
        held = constraints.hold(space, space.kept(np.array(path)))
        assert held[-1]
        assert not held[:-1].any()  # no step beyond
        assert (path[-1] == genome).all()
        assert (path[0] == space.lengths - 1).all()
        assert (np.abs(np.diff(path, axis=0)).sum(axis=1) == 1).all()
        assert (np.diff(space.saliency(space.kept(np.array(path)))) <= 1e-12).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_out_of_reach_the_walk_ends_at_the_smallest(seed: int) -> None:
    space = generated_space(seed)
    constraints = asking(space, flops=1 - 1e-9)
    assert unreachable(space, constraints)
    genome, path = descend(space, constraints)
    assert not genome.any()
    assert len(path) == 1 + (space.lengths - 1).sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_boundary_of_what_can_be_reached(seed: int) -> None:
    space = generated_space(seed)
    assert not unreachable(space, reachable(space, 1 - 1e-9))
    assert unreachable(space, reachable(space, 1 + 1e-9))


@pytest.mark.parametrize("names", NAMES, ids="-".join)
@pytest.mark.parametrize("seed", SEEDS)
def test_after_the_steps_back_none_is_left(seed: int, names: tuple[str, ...]) -> None:
    space = generated_space(seed)
    constraints = reachable(space, 0.5, *names)
    descended = descend(space, constraints)[0]
    for start in (descended, np.zeros_like(descended)):
        genome = give_back(space, constraints, start)
        assert (genome >= start).all()
        assert constraints.hold(space, space.kept(genome[None])).all()
        larger = [genome + step for step in np.eye(len(genome), dtype=np.int64)]
        larger = [other for other in larger if (other < space.lengths).all()]
        assert larger
        assert not constraints.hold(space, space.kept(np.array(larger))).any()
    assert (give_back(space, asking(space), descended) == space.lengths - 1).all()


def test_the_cheapest_saliency_goes_first() -> None:
    """Every unit saves as much; one of the wide branch costs a tenth."""
    space = branches(8, 16, step=1)
    cheap = (space.kept_saliency[0], 0.1 * space.kept_saliency[1])
    space = type(space)(space.units, space.costs, space.order, cheap, space.steps, space.choices)
    genome, _ = descend(space, asking(space, flops=9.5 / 24))
    assert space.kept(genome[None]).tolist() == [[8, 6]]
