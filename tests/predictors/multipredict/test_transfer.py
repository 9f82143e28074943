"""Pre-training and adaptation: Eq. 1, seeds, and that the pre-trained network stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nasopt.predictors.multipredict.across import MetricPredictor, carried
from nasopt.predictors.multipredict.encodings import adjacency, cell_nodes
from nasopt.predictors.multipredict.network import DenseTrunk, GraphTrunk, LatencyPredictor, index_vectors
from nasopt.predictors.multipredict.transfer import ADAPT, Inputs, Recipe, adapted, most_alike, predicted, trained

SHORT = Recipe(epochs=15, batch=24, rate=2e-3)


def drawn(count: int = 60) -> tuple[Inputs, np.ndarray]:
    """Vectors, and latencies of three devices: two that count features alike, one that counts them the other way round."""
    rng = np.random.default_rng(0)
    vectors = rng.random((count, 5)).astype(np.float32)
    first = vectors @ np.array([4.0, 2.0, 1.0, 0.0, 0.0])
    latencies = np.stack([first, first + 0.1 * rng.random(count), -first], 1)
    return Inputs.of(vectors), (latencies - latencies.min(0)) / np.ptp(latencies, axis=0)


def pretrained(recipe: Recipe = SHORT) -> LatencyPredictor:
    inputs, latencies = drawn()
    torch.manual_seed(recipe.seed)
    network = LatencyPredictor(DenseTrunk(5), 3)
    trained(network, inputs, latencies, recipe)
    return network


def test_it_learns_each_device() -> None:
    inputs, latencies = drawn()
    found = predicted(pretrained(), inputs)
    assert found.shape == (60, 3)
    assert all(spearmanr(found[:, device], latencies[:, device]).statistic > 0.8 for device in range(3))


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_one_seed_gives_one_network(loss: str) -> None:
    inputs, _ = drawn()
    recipe = replace(SHORT, epochs=2, loss=loss)  # type: ignore[arg-type]  # parametrised
    once, again, other = (predicted(pretrained(one), inputs) for one in (recipe, recipe, replace(recipe, seed=1)))
    assert (once == again).all()
    assert (once != other).any()


def test_the_most_alike_device_begins_the_row() -> None:
    _, latencies = drawn()
    assert most_alike(-latencies[:10, 0], latencies[:10]) == 2
    assert most_alike(latencies[:10, 0], latencies[:10, [2, 0]]) == 1


def test_ranks_that_cannot_be_told_are_the_least_alike() -> None:
    few = np.array([1.0, 2.0, 3.0])
    assert most_alike(few, np.stack([np.ones(3), np.array([1.0, 3.0, 2.0])], 1)) == 1
    assert most_alike(np.ones(3), np.ones((3, 2))) == 0


def test_adaptation_leaves_the_pre_trained_network_as_it_was() -> None:
    inputs, latencies = drawn()
    network = pretrained()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rows = np.arange(10)
    one = adapted(network, inputs.rows(rows), 3 * latencies[rows, 0] + 7, latencies[rows, 0], network.devices[0], ADAPT)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert one.devices.shape == (1, 8)
    assert not torch.equal(one.devices[0], network.devices[0])
    assert spearmanr(predicted(one, inputs)[10:, 0], latencies[10:, 0]).statistic > 0.8


def test_before_adaptation_a_copied_row_answers_as_its_device() -> None:
    inputs, _ = drawn()
    network = pretrained()
    copied = network.for_device(network.devices[2])
    assert predicted(copied, inputs)[:, 0] == pytest.approx(predicted(network, inputs)[:, 2], abs=1e-6)


def test_vectors_that_are_given_are_not_learned() -> None:
    inputs, latencies = drawn()
    network = LatencyPredictor(DenseTrunk(5), 3, vectors=index_vectors(3))
    trained(network, inputs, latencies, replace(SHORT, epochs=1))
    assert network.devices.tolist() == index_vectors(3).tolist()
    assert index_vectors(4)[3].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


def test_cells_with_measurements_beside_them() -> None:
    inputs = Inputs.of(cell_nodes([(0, 1, 2, 3, 4, 0), (4, 4, 4, 4, 4, 4)]), np.ones((2, 3), np.float32))
    network = LatencyPredictor(GraphTrunk(8, adjacency(), 3), 2)
    found = predicted(network, inputs)
    assert found.shape == (2, 2)
    assert ((found > 0) & (found < 1)).all()


def test_measurements_go_from_one_space_to_another() -> None:
    vectors, latencies = drawn()
    structures = np.zeros((60, 1), np.float32)
    inputs = Inputs.of(structures, vectors.structure.numpy())
    torch.manual_seed(0)
    network = MetricPredictor(5, 32)
    trained(network, inputs, latencies[:, :1], replace(SHORT, epochs=40, rate=4e-3))
    before = predicted(network, inputs)
    # Other structures, even of another shape, count for nothing.
    elsewhere = Inputs.of(np.zeros((60, 7, 2), np.float32), vectors.structure.numpy())
    one, again = (carried(network, elsewhere.rows(np.arange(10)), latencies[:10, 1]) for _ in range(2))
    assert (predicted(network, inputs) == before).all()
    assert (predicted(one, elsewhere) == predicted(again, inputs)).all()
    assert spearmanr(predicted(one, elsewhere)[10:, 0], latencies[10:, 1]).statistic > 0.8
