"""What is seen of activations is what numpy computes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from nasopt.graphs.graph import Graph
from nasopt.runtime.observe import observe
from nasopt.runtime.sessions import random_inputs
from tests.small import Net

RUNS = 16


def noise(graph: Graph, seed: int = 0) -> list[dict[str, np.ndarray]]:
    return [random_inputs(graph, seed + number) for number in range(RUNS)]


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_moments_agree_with_numpy(opset: int) -> None:
    net = Net(x=(2, 3, 5, 7), opset=opset)
    first = net.conv("x", "a", 3, 8, bias=True)
    active = net.op("Relu", first)
    flat = net.op("Flatten", net.op("GlobalAveragePool", active), axis=1)
    graph = Graph(net.model(net.op("Gemm", flat, net.weight("g", 8, 4))))
    last = graph.outputs[0]
    a, bias, g = (numpy_helper.to_array(tensor).astype(np.float64) for tensor in graph.model.graph.initializer)
    seen = observe(graph, {first: 1, active: 1, last: 1, "x": 1, "nothing": 0}, noise(graph, 5))
    assert set(seen) == {first, active, last}  # inputs are made, not seen
    inputs = np.concatenate([random_inputs(graph, 5 + number)["x"] for number in range(RUNS)]).astype(np.float64)
    hidden = np.einsum("oi,nihw->nohw", a[:, :, 0, 0], inputs) + bias[:, None, None]
    relu = np.maximum(hidden, 0)
    expected = {first: hidden, active: relu, last: relu.mean(axis=(2, 3)) @ g}
    for name, values in expected.items():
        others = tuple(axis for axis in range(values.ndim) if axis != 1)
        mean, variance = seen[name]
        assert mean == pytest.approx(values.mean(axis=others), rel=1e-4, abs=1e-5)
        assert variance == pytest.approx(values.var(axis=others), rel=1e-4, abs=1e-5)


def test_the_inputs_decide_and_the_network_stays_as_it_was() -> None:
    net = Net(x=(1, 3, 5, 5), opset=17)
    first = net.conv("x", "a", 3, 8)
    graph = Graph(net.model(net.op("Relu", first)))
    before = graph.model.SerializeToString(deterministic=True)
    once, again, other = (observe(graph, {first: 1}, noise(graph, seed))[first][0] for seed in (0, 0, 99))
    assert (once == again).all()
    assert (once != other).any()
    assert graph.model.SerializeToString(deterministic=True) == before


def test_what_is_not_finite_is_left_out() -> None:
    net = Net(x=(1, 3, 5, 5), opset=17)
    first = net.conv("x", "a", 3, 8)
    graph = Graph(net.model(net.op("Log", first, out="log")))
    assert set(observe(graph, {first: 1, "log": 1}, noise(graph))) == {first}


def test_a_vector_is_its_own_mean() -> None:
    net = Net(x=(4,), opset=18)
    graph = Graph(net.model(net.op("Relu", "x", out="y")))
    inputs = np.stack([np.maximum(random_inputs(graph, number)["x"], 0) for number in range(RUNS)])
    mean, variance = observe(graph, {"y": 0}, noise(graph))["y"]
    assert mean == pytest.approx(inputs.mean(axis=0), rel=1e-5)
    assert variance == pytest.approx(inputs.var(axis=0), rel=1e-4, abs=1e-6)
