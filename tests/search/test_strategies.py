"""Strategies on a pool whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.search.loop import searched
from nasopt.search.pool import Goal, Pool
from nasopt.search.strategies import STRATEGIES, standing
from nasopt.spaces.registry import get_space

SPACE = get_space("nasbench_macro")


def pool(goals: int, seed: int = 0) -> Pool:
    """All of NAS-Bench-Macro, with figures that are sums over its genes."""
    genes = tuple(SPACE.architectures())
    vectors = np.stack([SPACE.vec(one) for one in genes]).astype(float)
    rng = np.random.default_rng(seed)
    values = vectors @ rng.standard_normal((vectors.shape[1], goals))
    names = (Goal("accuracy", "a", largest=True), Goal("latency:x", "b", largest=False), Goal("params", "c", largest=False))[:goals]
    return Pool(SPACE, "cifar10", names, genes, values, None, (vectors,) * goals, 0)


@pytest.mark.parametrize("goals", [1, 2, 3])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_asks_about_others_and_repeats_itself(strategy: str, goals: int) -> None:
    known = pool(goals)
    rows, values = searched(known, strategy, 33, 5, lambda _number, row: known.values[row].tolist())
    assert len(set(rows)) == len(rows) == 33
    np.testing.assert_array_equal(values, known.values[rows])
    again, _ = searched(known, strategy, 33, 5, lambda _number, row: known.values[row].tolist())
    assert again == rows
    other, _ = searched(known, strategy, 33, 6, lambda _number, row: known.values[row].tolist())
    assert other != rows
    longer, _ = searched(known, strategy, 40, 5, lambda _number, row: known.values[row].tolist())
    assert longer[:30] == rows[:30]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_pool_can_be_used_up(strategy: str) -> None:
    whole = pool(2)
    few = Pool(SPACE, "cifar10", whole.goals, whole.genes[:25], whole.values[:25], None, tuple(one[:25] for one in whole.features), 0)
    rows, _ = searched(few, strategy, 1000, 0, lambda _number, row: few.values[row].tolist())
    assert sorted(rows) == list(range(25))


def test_a_predictor_finds_the_best_of_sums() -> None:
    ranks = {}
    for strategy in STRATEGIES:
        found = []
        for seed in range(5):
            known = pool(1, seed)
            _, values = searched(known, strategy, 40, seed, lambda _number, row, known=known: known.values[row].tolist())
            found.append(int((known.values[:, 0] > values[:, 0].max()).sum()))
        ranks[strategy] = float(np.median(found))
    assert ranks["predictor"] == 0
    assert ranks["predictor"] < min(ranks["local"], ranks["evolution"]) < ranks["random"]


def test_standing_puts_fronts_first() -> None:
    losses = np.array([[3.0, 3.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.5], [0.0, 9.0]])
    order = standing(losses).tolist()
    assert set(order[:3]) == {1, 2, 4}
    assert order[3:] == [3, 0]
    assert standing(losses[:, :1]).tolist() == [4, 1, 2, 3, 0]
