"""Folding norms in a graph gives the graph of the network with its norms folded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.graph import Graph, load_graph
from nasopt.mutations import MUTATIONS, apply_edit
from nasopt.predictors.aiop.folding import folded
from nasopt.spaces.registry import get_space
from nasopt.spaces.weights import initialise

PARTS = ("weighted_ops", "kernels", "biases", "regular_ops", "resolutions", "edges")


def same(graph: Graph) -> int:
    """Norms that went."""
    before = computational_graph(graph).features()
    edit = MUTATIONS["fold-batchnorm"].whole(graph)
    assert edit is not None
    after = computational_graph(Graph(apply_edit(graph, edit), graph.bound)).features()
    found = folded(before)
    for part in PARTS:
        np.testing.assert_array_equal(getattr(found, part), getattr(after, part), err_msg=part)
    again = folded(found)
    assert all(np.array_equal(getattr(again, part), getattr(found, part)) for part in PARTS)
    return len(before.regular_ops) - len(after.regular_ops)


@pytest.mark.parametrize("name", ["nasbench_macro", "ofa_mbv3", "ofa_resnet50", "nasbench101", "fbnet"])
def test_networks_of_spaces(name: str) -> None:
    space = get_space(name)
    for seed in range(2):
        genes = space.sample(np.random.default_rng(seed))
        assert same(Graph(initialise(space.build(genes), seed))) > 0


def test_a_trained_network(data: Path) -> None:
    assert same(load_graph(data / "models/resnet20_cifar10_jpeg.onnx")) > 15


def test_nothing_to_fold() -> None:
    features = computational_graph(Graph(initialise(get_space("nasbench201").build((0,) * 6)))).features()
    once = folded(features)
    assert folded(once) is once
