"""Predictions for all that a network can be pruned to, on a device whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.graphs.graph import Graph
from nasopt.graphs.units import couple, solve
from nasopt.predictors.latency.checkpoint import load_prior
from nasopt.predictors.latency.encoding import LatencyTable
from nasopt.predictors.latency.predictor import LatencyPredictor
from tests.generated import random_network


def compiled(seed: int) -> tuple[LatencyTable, np.ndarray]:
    """A table, and candidates: the whole network first."""
    graph = Graph(random_network(seed))
    units = solve(couple(graph))
    rng = np.random.default_rng(seed)
    whole = [len(group) for group in units.groups]
    rows = [whole, *([int(rng.integers(max(1, size // 3), size + 1)) for size in whole] for _row in range(80))]
    return LatencyTable(graph, units), np.array(rows, np.int64).reshape(81, -1)


@pytest.mark.parametrize("seed", range(4000, 4012))
def test_a_device_is_learned_from_timed_variants(seed: int) -> None:
    table, kept = compiled(seed)
    before = LatencyPredictor.of(table, load_prior())
    # A device from the belief itself, whose layers have paces of their own.
    rng = np.random.default_rng(seed)
    belief = before.belief
    theta = rng.multivariate_normal(belief.mean, belief.covariance, method="eigh")
    truth = np.exp(before._forward(kept)(theta)[0])
    noisy = truth * np.exp(0.01 * rng.standard_normal(len(truth)))
    after = before.adapted(kept[:16], noisy[:16])
    errors = {name: np.median(np.abs(one.milliseconds(kept[16:]) / truth[16:] - 1)) for name, one in (("b", before), ("a", after))}
    assert errors["a"] < max(0.03, 0.3 * errors["b"])
    means, deviations = after.predict(kept[16:])
    np.testing.assert_allclose(means, after.milliseconds(kept[16:]), rtol=1e-9)
    assert (deviations > 0).all()


def test_fewer_channels_are_never_predicted_to_take_longer_in_whole_vectors() -> None:
    table, kept = compiled(4100)
    predictor = LatencyPredictor.of(table, load_prior()).adapted(kept[:10], np.linspace(1.0, 2.0, 10))  # nonsense, and yet
    sixteen = np.maximum(kept // 16 * 16, 1)
    fewer = np.maximum(sixteen - 16, 1)
    even = (sixteen % 16 == 0) & (fewer % 16 == 0)
    more, less = np.where(even, sixteen, kept), np.where(even, fewer, kept)
    assert (predictor.milliseconds(less) <= predictor.milliseconds(more) * (1 + 1e-9)).all()


def test_nobody_to_predict_for() -> None:
    table, kept = compiled(4200)
    assert LatencyPredictor.of(table, load_prior()).milliseconds(kept[:0]).shape == (0,)
