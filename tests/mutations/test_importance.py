"""Rankings: what does nothing goes first, and losses are losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations.importance import BY_DERIVATIVES, DEFAULT, IMPORTANCES, WITH_INPUTS, Evidence, Ranking, rank
from nasopt.runtime.fisher import gate_derivatives, weight_derivatives
from nasopt.runtime.grams import gather
from nasopt.runtime.sessions import random_inputs
from tests.generated import random_network
from tests.small import Net

DEAD = 5


def evidence_of(model: onnx.ModelProto) -> Evidence:
    graph = Graph(model)
    coupling = couple(graph)
    units, inputs = solve(coupling), [random_inputs(graph, seed) for seed in range(8)]
    derivatives = {"fisher": gate_derivatives(units, inputs), "taylor": weight_derivatives(units, inputs)}
    return Evidence(coupling, units, grams=gather(graph, inputs), derivatives=derivatives)


def silenced(model: onnx.ModelProto, weights: Sequence[tuple[str, int]]) -> onnx.ModelProto:
    """The model with slice `DEAD` of each named weight, along the given axis, set to zero, and every other channel clearly alive."""
    for tensor in model.graph.initializer:
        if tensor.name.endswith((".scale", ".shift")):
            tensor.CopyFrom(numpy_helper.from_array(np.abs(numpy_helper.to_array(tensor)) + 0.5, tensor.name))
        for name, axis in weights:
            if tensor.name == name:
                array = np.moveaxis(numpy_helper.to_array(tensor).copy(), axis, 0)
                array[DEAD] = 0
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(np.moveaxis(array, 0, axis)), name))
    return model


def with_dead_channels() -> onnx.ModelProto:
    """A stem that a residual block adds to, inside which a depthwise convolution shares its channels with the one before."""
    net = Net(x=(1, 3, 6, 6))
    stem = net.op("Relu", net.norm(net.conv("x", "stem", 3, 8, 3), "n0", 8))
    inner = net.op("Relu", net.norm(net.conv(stem, "a", 8, 12), "n1", 12))
    inner = net.op("Relu", net.norm(net.conv(inner, "depthwise", 12, 12, 3, group=12), "n2", 12))
    joined = net.op("Add", stem, net.norm(net.conv(inner, "b", 12, 8), "n3", 8))
    model = net.model(net.conv(joined, "head", 8, 4))
    norms = [(f"n{number}.{part}", 0) for number in range(4) for part in ("scale", "shift")]
    outer = [("stem", 0), ("b", 0), ("a", 1), ("head", 1)]
    return silenced(model, [*norms, *outer, ("a", 0), ("depthwise", 0), ("b", 1)])


@pytest.mark.parametrize("name", IMPORTANCES)
def test_a_dead_channel_goes_first(name: str) -> None:
    evidence = evidence_of(with_dead_channels())
    assert [len(group) for group in evidence.units.groups] == [8, 12]
    for group, ranking in zip(evidence.units.groups, rank(name, evidence), strict=True):
        assert ranking.order[0] == group.units[DEAD]
        assert ranking.loss[1] == pytest.approx(0, abs=1e-12 * ranking.whole)
        assert ranking.loss[2] > 0


@pytest.mark.parametrize("name", IMPORTANCES)
@pytest.mark.parametrize("seed", range(12))
def test_orders_are_permutations_and_losses_ascend(name: str, seed: int) -> None:
    evidence = evidence_of(random_network(seed))
    rankings = rank(name, evidence)
    assert len(rankings) == len(evidence.units.groups) > 0
    for group, ranking in zip(evidence.units.groups, rankings, strict=True):
        assert sorted(ranking.order) == sorted(group.units)
        assert len(ranking.loss) == len(group) + 1
        assert ranking.loss[0] == 0
        assert (np.diff(ranking.loss) >= 0).all()
        assert np.isfinite(ranking.loss).all()
        assert ranking.whole >= 0


def test_an_unknown_measure_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UsageError, match=r"--importance hessian: unknown; choose one of .*meanfield"):
        rank("hessian", evidence_of(with_dead_channels()))
    assert DEFAULT in IMPORTANCES


@pytest.mark.parametrize("name", [WITH_INPUTS, *BY_DERIVATIVES])
def test_measures_that_need_data_say_so_in_one_line(name: str) -> None:
    coupling = couple(Graph(with_dead_channels()))
    with pytest.raises(UsageError, match=rf"^--importance {name}: looks at what the network sees; bring inputs with --data$"):
        rank(name, Evidence(coupling, solve(coupling)))


def pair(second: float) -> Ranking:
    """Six channels of mean 3 and variance 1: to every output the first goes times 1, the second times `second`, the others times 50."""
    net = Net(x=(1, 3, 6, 6))
    model = net.model(net.conv(net.norm(net.conv("x", "a", 3, 6), "n", 6), "b", 6, 4))
    weight = np.full((4, 6), 50.0) * np.array([[1], [-1], [1], [-1]]) ** np.arange(6)
    weight[:, 0], weight[:, 1] = 1.0, second
    values = {"n.scale": np.ones(6), "n.shift": np.full(6, 3.0), "n.var": np.ones(6), "b": weight.reshape(4, 6, 1, 1)}
    for tensor in model.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(values[tensor.name].astype(np.float32), tensor.name))
    evidence = evidence_of(model)
    (ranking,) = rank("meanfield", evidence)
    assert set(ranking.order[:2]) == set(evidence.units.groups[0].units[:2])
    return ranking


@pytest.mark.parametrize(
    ("second", "together"),
    [
        (0.5, 4.5**2 + 1.25),  # means add up: more than the first alone and the second alone
        (-0.5, 1.5**2 + 1.25),  # they cancel: less
        (-1.0, 10.0),  # entirely; both gone would cost 2, but what is lost with more units is never less
    ],
)
def test_means_are_coherent(second: float, together: float) -> None:
    """One channel alone costs its weight squared, times its mean squared and its variance."""
    ranking = pair(second)
    assert ranking.loss[2] / ranking.loss[1] == pytest.approx(together / (10 * second**2), rel=0.02)
    alone = 10 * second**2, 10.0
    assert (together < sum(alone)) == (second < 0)
