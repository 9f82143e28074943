"""Which values between guide a training."""

from __future__ import annotations

import numpy as np
import onnx

from nasopt.graphs.graph import Graph
from nasopt.mutations import apply_edit
from nasopt.runtime.bridge import to_torch
from nasopt.runtime.distil import distil
from nasopt.runtime.hints import hints, in_rows
from nasopt.runtime.sessions import random_inputs
from tests.small import Net, chain, prune_edit


def stages() -> onnx.ModelProto:
    """Two residual blocks, a stride, one more; the stream begins with the input, so that it stays whole."""
    net = Net(x=("n", 4, 8, 8))

    def block(value: str, name: str, out: str) -> str:
        hidden = net.op("Relu", net.norm(net.conv(value, f"{name}.a", 4, 16, 3), f"{name}.n", 16))
        return net.op("Relu", net.op("Add", value, net.conv(hidden, f"{name}.b", 16, 4)), out=out)

    value = block(block("x", "one", "first"), "two", "second")
    value = block(net.op("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2]), "three", "third")
    return net.model(value, net.op("GlobalAveragePool", block(value, "four", "fourth"), out="y"))


def pair(model: onnx.ModelProto) -> tuple[Graph, Graph]:
    original = Graph(model)
    return original, Graph(apply_edit(original, prune_edit(model)), original.bound)


def test_the_last_sum_of_every_stage() -> None:
    original, smaller = pair(stages())
    assert hints(original, smaller) == ["second", "fourth"]
    assert not hints(Graph(chain()), Graph(chain()))


def test_a_sum_that_lost_channels_or_adds_a_weight_is_none() -> None:
    net = Net(x=("n", 4, 8, 8))
    first = net.conv("x", "a", 4, 16)
    added = net.op("Add", first, net.conv("x", "b", 4, 16))
    model = net.model(net.op("Add", net.conv(added, "c", 16, 4), net.weight("w", 1, 4, 1, 1), out="shifted"), "x")
    del model.graph.output[1]
    original, smaller = pair(model)
    assert hints(original, original) == [added]
    assert smaller.shape(added) != original.shape(added)
    assert hints(original, smaller) == []


def test_values_whose_first_axis_is_no_batch_are_none() -> None:
    net = Net(x=("n", 1, 6, 6))
    turned = net.op("Transpose", net.op("Relu", "x"), perm=[1, 0, 2, 3])
    total = net.op("Add", turned, net.op("Neg", turned))
    model = net.model(net.op("Transpose", net.op("Exp", total), perm=[1, 0, 2, 3]))
    graph = Graph(model)
    assert hints(graph, graph) == [total]
    assert in_rows(to_torch(graph), graph, [total]) == []


def test_a_training_is_guided_by_them() -> None:
    original, smaller = pair(stages())
    fit, held_out = ([random_inputs(original, 100 * part + seed) for seed in range(24)] for part in (1, 2))
    found = distil(original, smaller, fit, held_out, steps=20, batch=8)
    assert found.kept
    assert found.curve[0][1] > found.curve[0][2]  # guidance counts in training alone
    assert all(np.isfinite(tensor).all() for tensor in found.tensors.values())
