"""A surrogate that learns: what was measured moves its predictions, and no further than it has to."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.mutations.space import SearchSpace
from nasopt.search.allocate import predicted
from nasopt.search.surrogate import refitted
from tests.search.spaces import branches

WIDTHS = (16, 24, 32, 40)


def candidates(space: SearchSpace, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return space.kept(np.stack([rng.integers(0, space.lengths) for _ in range(count)]))


def damages(space: SearchSpace, kept: np.ndarray, factors: tuple[float, ...]) -> list[float]:
    return [
        sum(factor * space.lost(place, int(units)) for place, (factor, units) in enumerate(zip(factors, row, strict=True))) for row in kept
    ]


def test_what_each_group_counts_for_is_learnt() -> None:
    space = branches(*WIDTHS, step=1)
    factors = (0.2, 1.0, 3.0, 0.5)
    kept = candidates(space, 30, 0)
    learnt = refitted(space, list(kept), damages(space, kept, factors))
    fresh = candidates(space, 20, 1)
    for row, damage in zip(fresh, damages(space, fresh, factors), strict=True):
        assert predicted(learnt, row) == pytest.approx(damage, rel=0.05)
        assert predicted(space, row) == pytest.approx(sum(space.lost(place, int(units)) for place, units in enumerate(row)))


def test_one_measurement_sets_the_scale_and_little_else() -> None:
    space = branches(*WIDTHS, step=1)
    (row,) = kept = candidates(space, 1, 3)
    learnt = refitted(space, list(kept), [7.0 * predicted(space, row)])
    assert predicted(learnt, row) == pytest.approx(7.0 * predicted(space, row), rel=0.02)
    shares = [learnt.lost(place, 1) / space.lost(place, 1) for place in range(len(WIDTHS))]
    assert shares == pytest.approx([7.0] * len(WIDTHS), rel=0.02)


def test_a_surprise_falls_on_the_groups_that_were_cut() -> None:
    space = branches(*WIDTHS, step=1)
    rows = [np.array(WIDTHS) for _ in WIDTHS]
    for place, row in enumerate(rows):
        row[place] //= 2
    learnt = refitted(space, rows, [predicted(space, row) * (5.0 if place == 2 else 1.0) for place, row in enumerate(rows)])
    shares = [learnt.lost(place, 1) / space.lost(place, 1) for place in range(len(WIDTHS))]
    assert int(np.argmax(shares)) == 2
    assert shares[2] > 3 * max(share for place, share in enumerate(shares) if place != 2)


def test_what_says_nothing_changes_nothing() -> None:
    space = branches(*WIDTHS, step=1)
    whole = np.array(WIDTHS)
    cut = candidates(space, 3, 0)
    assert refitted(space, [], []) is space
    assert refitted(space, [whole], [0.5]) is space
    assert refitted(space, list(cut), [np.inf, 0.0, -1.0]) is space
