"""What is watched inside a network: few values, the last ones first, none that pruning changes rightly."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from nasopt.graphs.graph import Graph
from nasopt.runtime import interior
from nasopt.runtime.interior import exposing, watched
from nasopt.runtime.sessions import random_inputs
from nasopt.runtime.verify import outputs_of
from tests.small import Net, chain


def deep(layers: int) -> Graph:
    net = Net(x=(1, 4, 6, 6))
    value = "x"
    for layer in range(layers):
        value = net.conv(value, f"w{layer}", 4, 4)
    return Graph(net.model(net.op("Softmax", value, out="y")))


def test_few_values_are_watched_and_they_are_spread_over_depth() -> None:
    graph = deep(200)
    names = watched(graph, graph.producers)
    depths = [int(name[1:]) for name in names]
    assert len(names) == interior.WATCHED
    assert depths == sorted(depths)
    assert depths[-1] == 199
    assert max(np.diff([0, *depths])) < 40


def test_what_is_chosen_from_and_what_it_costs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = deep(20)
    assert watched(graph, {"v3", "v7", "x", "w1", "y"}) == ("v3", "v7")
    monkeypatch.setattr(interior, "BYTES", 2 * 4 * 6 * 6 * 4)
    assert watched(graph, graph.producers) == ("v18", "v19")
    monkeypatch.setattr(interior, "BYTES", 10)
    assert watched(graph, graph.producers) == ()


def test_sizes_of_tensors_are_not_compared() -> None:
    net = Net(x=(1, 4))
    size = net.op("Cast", net.op("Shape", "x", out="shape"), to=onnx.TensorProto.FLOAT, out="size")
    graph = Graph(net.model(net.op("Add", net.op("Relu", "x", out="kept"), net.op("ReduceSum", size, keepdims=0, out="sum"), out="y")))
    assert watched(graph, graph.producers) == ("kept",)


def test_a_model_is_left_as_it_was() -> None:
    model = chain()
    before = model.SerializeToString()
    (row,) = outputs_of(model, [random_inputs(Graph(model), 0)], also=["v0", "v2"])
    assert [value.shape for value in row] == [(1, 4, 6, 6), (1, 8, 6, 6), (1, 8, 6, 6)]
    assert np.array_equal(row[2] > 0, row[2] != 0)
    with pytest.raises(ZeroDivisionError), exposing(model, ["v0"]):
        raise ZeroDivisionError
    assert model.SerializeToString() == before
