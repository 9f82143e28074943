"""The builder: the shapes that it tracks are those that ONNX Runtime computes, and blank weights stay blank until they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, random_inputs, run
from nasopt.spaces.network import Network, divisible
from nasopt.spaces.weights import initialise


def everything() -> tuple[Network, list[str]]:
    """A network with every layer that the builder has."""
    net = Network("all", (4, 15, 18))
    x = net.act(net.norm(net.conv(net.input, 12, 3, 2, bias=True)), "relu6")
    grown = net.conv(x, 8, 5, dilation=2, groups=4)
    padded = net.conv(x, 8, 3, padding=(0, 0, 1, 1))
    pooled = net.max_pool(x, 3, 2, padding=1)
    mean = net.avg_pool(x, 3, padding=1, count_padding=True)
    mixed = net.shuffle(net.concat(x, mean), 3)
    gated = net.mul(mixed, net.hard_sigmoid(net.conv(net.global_pool(mixed), 24)))
    some = net.slice_channels(net.act(gated, "hswish"), 4, 20)

    last = net.linear(net.flatten(net.global_pool(net.norm(some, affine=False))), 7)
    return net, [grown, padded, pooled, gated, net.zeros(some, 2), net.act(net.subsample(some, 2), "swish"), last]


def test_shapes_are_those_that_run() -> None:
    net, values = everything()
    graph = Graph(initialise(net.finish(*values)))
    assert {name: graph.shape(name)[1:] for name in net.shapes} == net.shapes
    for value, found in zip(values, run(open_session(graph.model), random_inputs(graph, 0)), strict=True):
        assert found.shape[1:] == net.shapes[value]


def test_blank_weights_are_counted_and_not_read() -> None:
    net, values = everything()
    graph = Graph(net.finish(*values))
    blank = [weight for weight in graph.weights.values() if weight.kind == "blank"]
    assert blank
    with pytest.raises(ModelNotSupportedError, match="draw the network's weights first"):
        blank[0].array()


def test_drawn_weights_follow_the_seed_and_the_name() -> None:
    net, values = everything()
    model = net.finish(*values)
    one, again, other = (Graph(initialise(model, seed)).weights for seed in (1, 1, 2))
    assert all(np.array_equal(one[name].array(), again[name].array()) for name in one)
    assert any(not np.array_equal(one[name].array(), other[name].array()) for name in one)
    assert {weight.kind for weight in one.values()} <= {"initializer", "constant"}
    assert Graph(model).weights["conv.weight"].kind == "blank"  # the given model is left as it was


def test_a_deep_network_keeps_its_scale() -> None:
    net = Network("deep", (16, 8, 8))
    x = net.input
    for _ in range(20):
        x = net.act(net.conv(x, 64, 3))
    graph = Graph(initialise(net.finish(x)))
    (found,) = run(open_session(graph.model), random_inputs(graph, 0))
    assert 1e-3 < found.std() < 1e2


def test_values_of_different_sizes_cannot_be_joined() -> None:
    net = Network("wrong", (4, 8, 8))
    less = net.conv(net.input, 4, 3, 2)
    for join in (net.add, net.concat):
        with pytest.raises(ValueError, match="cannot be"):
            join(net.input, less)
    with pytest.raises(ValueError, match="groups"):
        net.conv(net.input, 6, groups=4)


@pytest.mark.parametrize("channels", range(1, 400, 7))
def test_rounded_channels_are_multiples_and_lose_little(channels: int) -> None:
    rounded = divisible(channels)
    assert rounded % 8 == 0
    assert rounded >= 0.9 * channels
    assert abs(rounded - channels) <= 8
