"""Candidates scored from tables get the answers that the pruned networks get."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.cost import CostTable, totals
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations.rewrite import remove_units
from nasopt.predictors.aiop.checkpoint import Checkpoint
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.predictors.aiop.inference import ADAPTER
from nasopt.predictors.aiop.labels import Scale
from nasopt.predictors.aiop.likeness import Likeness, descriptions, usual
from nasopt.predictors.aiop.network import About, Adapter, Network, parameters
from nasopt.predictors.aiop.population import PopulationPredictor
from nasopt.spaces.registry import get_space
from tests.generated import random_network
from tests.small import random_removal


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """Three untrained members: a network that reads descriptions, one that does not, and one with an adapter."""
    space, rng = get_space("nasbench_macro"), np.random.default_rng(0)
    genes = [space.sample(rng) for _ in range(20)]
    corpus: Corpus = from_space(space, genes, [space.text(one) for one in genes])
    described = descriptions(corpus.graphs, corpus.gflops, corpus.params)
    torch.manual_seed(0)
    members = (
        parameters(Network(About(*usual(described)))),
        parameters(Network()),
        parameters(Network(), {ADAPTER: Adapter(About(*usual(described)))}),
    )
    scales = (Scale("stand", 0.7, 0.1), Scale("stand_flops", 0.6, 0.2), Scale("none"))
    return Checkpoint(members, scales, Likeness.of(described), {"task": "x", "unit": "%", "factor": 100.0})


def asked(checkpoint: Checkpoint, graph: Graph) -> np.ndarray:
    cost = totals(graph)
    return checkpoint.predict([computational_graph(graph).features()], np.array([2 * cost.macs / 1e9]), np.array([cost.params / 1e6]))[:, 0]


@pytest.mark.parametrize("seed", range(3000, 3025))
def test_generated_networks(checkpoint: Checkpoint, seed: int) -> None:
    graph = Graph(random_network(seed))
    units = solve(couple(graph))
    removals = [random_removal(units, seed + place) for place in range(11)]  # more than a block
    said = PopulationPredictor(checkpoint, CostTable(units)).members(np.array([kept for _, kept in removals], np.int64))
    words = computational_graph(graph).features().weighted_ops
    for (removed, _), row in zip(removals, said.T, strict=True):
        pruned = Graph(remove_units(units, removed), graph.bound)
        if np.array_equal(computational_graph(pruned).features().weighted_ops, words):  # see nasopt.graphs.cg_table
            np.testing.assert_allclose(row, asked(checkpoint, pruned), rtol=1e-4, atol=1e-4)


def test_a_real_network(checkpoint: Checkpoint, data: Path) -> None:
    graph = load_graph(data / "models/resnet20_cifar10_jpeg.onnx")
    units = solve(couple(graph))
    predictor = PopulationPredictor(checkpoint, CostTable(units))
    whole = np.array([[len(group) for group in units.groups]], np.int64)
    np.testing.assert_allclose(predictor.members(whole)[:, 0], asked(checkpoint, graph), rtol=1e-5)
    removed, kept = random_removal(units, 1)
    change, spread = predictor.change(np.array([kept, whole[0].tolist()], np.int64))
    expected = asked(checkpoint, Graph(remove_units(units, removed), graph.bound)) - asked(checkpoint, graph)
    assert change[0] == pytest.approx(expected.mean(), abs=1e-3)
    assert spread[0] == pytest.approx(expected.std(ddof=1), rel=1e-3)
    assert abs(change[1]) < 1e-4
