"""Features of pruned networks from a table are those of the networks themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.cg_table import CGTable
from nasopt.graphs.computational_graph import VOCABULARY, CGFeatures
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations.rewrite import remove_units
from tests.generated import random_network
from tests.small import random_removal

PARTS = ("weighted_ops", "kernels", "biases", "regular_ops", "resolutions", "edges")
MODELS = ["efficientnet_lite0", "mobilefacenet_112x96", "resnet20_cifar10", "resnet56_cifar10_jpeg"]


CONV, DEPTHWISE = VOCABULARY.index("conv"), VOCABULARY.index("depthwise")


def different(first: CGFeatures, second: CGFeatures) -> list[str]:
    return [part for part in PARTS if not np.array_equal(alike(first, part), alike(second, part))]


def alike(features: CGFeatures, part: str) -> np.ndarray:
    """A depthwise convolution of one channel, or a grouped one of a channel a group, has the other's name: the table keeps the first."""
    values = getattr(features, part)
    return np.where(values == DEPTHWISE, CONV, values) if part == "weighted_ops" else values


@pytest.mark.parametrize("seed", range(2000, 2100))
def test_pruned_networks_have_the_features_that_the_table_says(seed: int) -> None:
    graph = Graph(random_network(seed))
    units = solve(couple(graph))
    removed, kept = random_removal(units, seed)
    pruned = Graph(remove_units(units, removed), graph.bound)
    table = CGTable(units)
    assert different(table.features_of(np.array(kept, np.int64)), computational_graph(pruned).features()) == []
    whole = np.array([len(group) for group in units.groups], np.int64)
    assert different(table.features_of(whole), computational_graph(graph).features()) == []


@pytest.mark.parametrize("name", MODELS)
def test_real_networks(data: Path, name: str) -> None:
    graph = load_graph(data / f"models/{name}.onnx")
    units = solve(couple(graph))
    removed, kept = random_removal(units, 0)
    table = CGTable(units)
    assert len(table.changing) > 20
    pruned = Graph(remove_units(units, removed), graph.bound)
    assert different(table.features_of(np.array(kept, np.int64)), computational_graph(pruned).features()) == []
