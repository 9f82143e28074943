"""The predictor without torch answers as the one in PyTorch Geometric does, alone and in blocks, with adapters and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.computational_graph import CGFeatures
from nasopt.graphs.graph import Graph
from nasopt.predictors.aiop.block import Block
from nasopt.predictors.aiop.inference import Backbone, Head
from nasopt.predictors.aiop.network import Adapter, Network, parameters, tensors
from nasopt.spaces.registry import get_space
from tests.graphs import golden


def graphs(count: int) -> list[CGFeatures]:
    rng = np.random.default_rng(0)
    spaces = [get_space(name) for name in ("nasbench201", "nasbench_macro", "ofa_mbv3", "nasbench101")]
    built = (spaces[place % 4].build(spaces[place % 4].sample(rng)) for place in range(count))
    return [computational_graph(Graph(model)).features() for model in built]


@pytest.fixture(scope="module")
def some() -> list[CGFeatures]:
    return graphs(8)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network()


def test_both_answer_alike(some: list[CGFeatures], network: Network) -> None:
    known = parameters(network)
    backbone, head = Backbone(known), Head(known, "head")
    block = Block.of(some)
    with torch.no_grad():
        expected = network(tensors(block)).numpy()
    embedding, _ = backbone(block)
    np.testing.assert_allclose(head(embedding), expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected) > 1e-4


def test_adapters_answer_alike(some: list[CGFeatures], network: Network) -> None:
    torch.manual_seed(1)
    adapters = {"first": Adapter(), "second": Adapter()}
    known = parameters(network, adapters)
    block = Block.of(some)
    _, beside = Backbone(known, ["first", "second"])(block)
    with torch.no_grad():
        states = network.states(tensors(block))
        for (name, adapter), embedding in zip(adapters.items(), beside, strict=True):
            expected = adapter(tensors(block), states).numpy()
            np.testing.assert_allclose(Head(known, f"{name}.head")(embedding), expected, rtol=1e-5, atol=1e-5)


def test_a_graph_is_answered_alike_alone_and_among_others(some: list[CGFeatures], network: Network) -> None:
    backbone = Backbone(parameters(network))
    together, _ = backbone(Block.of(some))
    alone = np.concatenate([backbone(Block.of([one]))[0] for one in some])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_gradients_reach_every_parameter_of_a_word_that_occurs(some: list[CGFeatures], network: Network) -> None:
    network.zero_grad()
    network(tensors(Block.of(some))).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_golden_graphs_are_answered(data: Path, network: Network) -> None:
    found = [golden.read(path).features() for path in sorted((data / "data/cg_samples").glob("*.json"))]
    known = parameters(network)
    answers = Head(known, "head")(Backbone(known)(Block.of(found))[0])
    assert np.isfinite(answers).all()
    assert len(np.unique(answers.round(7))) == len(found)


def test_inference_loads_no_torch() -> None:
    program = "import sys; import nasopt.predictors.aiop.inference; print(sorted({'torch', 'torch_geometric'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
