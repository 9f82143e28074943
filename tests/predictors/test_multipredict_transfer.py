"""Pre-training, and adaptation to another device: on latencies that are made up of the cells' operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nasopt.predictors.multipredict.devices import TASKS
from nasopt.predictors.multipredict.encodings import MinMax, adjacency, structures
from nasopt.predictors.multipredict.network import DenseTrunk, GraphTrunk, LatencyPredictor, index_vectors
from nasopt.predictors.multipredict.transfer import ADAPT, PRETRAIN, Inputs, adapted, most_alike, predicted, trained

COSTS = np.array([[0, 0, 1, 4, 1], [0, 1, 1, 2, 6], [0, 0, 2, 3, 1]], float)
"""Of each operation on three devices; the second dislikes pools."""


def made() -> tuple[Inputs, np.ndarray]:
    genes = np.random.default_rng(0).integers(0, 5, (240, 6))
    inputs = Inputs.of(structures("nasbench201", [tuple(one) for one in genes.tolist()]))
    return inputs, np.stack([cost[genes].sum(axis=1) for cost in COSTS], 1)


def start(count: int, kind: str) -> LatencyPredictor:
    torch.manual_seed(0)
    return LatencyPredictor(GraphTrunk(8, adjacency()), count, vectors=index_vectors(count) if kind == "index" else None)


@pytest.mark.parametrize("kind", ["table", "index"])
def test_few_measurements_are_enough_on_a_like_device(kind: str) -> None:
    inputs, latencies = made()
    learned, few, rest = np.arange(100), np.arange(100, 110), np.arange(110, 240)
    scaled = MinMax.fit(latencies[:100, :2]).apply(latencies[:, :2])
    network = start(2, kind)
    trained(network, inputs.rows(learned), scaled[learned], replace(PRETRAIN, epochs=60, rate=1e-3))
    before = predicted(network, inputs)
    like = most_alike(latencies[few, 2], latencies[few, :2])
    assert like == 0
    vector = network.devices[like] if kind == "table" else torch.from_numpy(index_vectors(3)[2])
    found = adapted(network, inputs.rows(few), latencies[few, 2], scaled[few, like].astype(float), vector, ADAPT)
    assert spearmanr(predicted(found, inputs.rows(rest))[:, 0], latencies[rest, 2]).statistic > 0.85
    np.testing.assert_array_equal(predicted(network, inputs), before)  # what was given stays
    again = adapted(network, inputs.rows(few), latencies[few, 2], scaled[few, like].astype(float), vector, ADAPT)
    np.testing.assert_array_equal(predicted(again, inputs), predicted(found, inputs))


def test_a_new_row_begins_as_the_device_that_is_most_alike() -> None:
    inputs, _ = made()
    network = start(3, "table")
    found = network.for_device(network.devices[1])
    np.testing.assert_array_equal(predicted(found, inputs)[:, 0], predicted(network, inputs)[:, 1])


def test_most_alike_is_by_ranks() -> None:
    few = np.array([1.0, 5.0, 2.0, 9.0])
    known = np.stack([few[::-1], np.exp(few), np.ones(4)], 1)
    assert most_alike(few, known) == 1


def test_measurements_are_read_by_both_trunks() -> None:
    metrics = np.random.default_rng(1).random((4, 3)).astype(np.float32)
    for trunk, structure in (
        (GraphTrunk(8, adjacency(), 3), structures("nasbench201", [(0, 1, 2, 3, 4, 0)] * 4)),
        (DenseTrunk(132, 3), structures("fbnet", [(0,) * 22] * 4)),
    ):
        network = LatencyPredictor(trunk, 2)
        found = predicted(network, Inputs.of(structure, metrics))
        assert found.shape == (4, 2)
        assert len(np.unique(found[:, 0])) == 4
        assert ((found > 0) & (found < 1)).all()


def test_tasks_keep_their_devices_apart() -> None:
    assert all(not set(task.train) & set(task.test) for task in TASKS.values())
    assert [len(task.train) for task in TASKS.values()] == [9, 17, 9, 15]
