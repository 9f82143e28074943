"""Derivatives by gates and along weights, against differences of the distillation loss and sums by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import Units
from nasopt.graphs.write_back import write_weights
from nasopt.runtime import fisher
from nasopt.runtime.fisher import gate_derivatives, weight_derivatives
from nasopt.runtime.losses import output_losses, total_loss
from nasopt.runtime.sessions import open_session, run
from tests.generated import weights
from tests.small import Net, units_of

Feeds = list[dict[str, np.ndarray]]
STEP = 0.01


def classifier(*, softmax: bool = False) -> onnx.ModelProto:
    """A residual stream of 6 channels that a block reads, a depthwise convolution in it, and a head; a batch of any size."""
    net = Net(x=("N", 3, 6, 6))
    stem = net.op("Tanh", net.conv("x", "stem", 3, 6, 3))
    inner = net.op("Tanh", net.conv(stem, "a", 6, 8))
    inner = net.op("Tanh", net.conv(inner, "depthwise", 8, 8, 3, group=8))
    joined = net.op("Add", stem, net.conv(inner, "b", 8, 6))
    pooled = net.op("Flatten", net.op("GlobalAveragePool", joined))
    scores = net.op("Gemm", pooled, net.weight("head", 6, 4))
    return net.model(net.op("Softmax", scores, axis=1) if softmax else scores)


def fixed() -> onnx.ModelProto:
    """Two rows that are written into the network: samples cannot be joined."""
    net = Net(x=(2, 3, 4, 4))
    hidden = net.op("Tanh", net.conv("x", "a", 3, 5))
    flat = net.op("Reshape", net.conv(hidden, "b", 5, 2), net.ints(2, 32))
    return net.model(flat)


def feeds(count: int, size: int, shape: tuple[int, ...] = (3, 6, 6)) -> Feeds:
    rng = np.random.default_rng(3)
    return [{"x": rng.standard_normal((size, *shape)).astype(np.float32)} for _ in range(count)]


def shut(model: onnx.ModelProto, unit: int, readers: list[tuple[str, int]], step: float) -> onnx.ModelProto:
    """A gate on what some products read is a factor on their weights."""
    units, changed = units_of(model), {}
    for name, axis in readers:
        array = np.moveaxis(weights(model)[name].copy(), axis, 0)
        for row in units.axes[name, axis]:
            array[row.classes == unit] *= 1 - step
        changed[name] = np.ascontiguousarray(np.moveaxis(array, 0, axis))
    return write_weights(model, changed)


def distillation_loss(model: onnx.ModelProto, other: onnx.ModelProto, inputs: Feeds) -> float:
    """Of one network towards another, on all inputs."""
    wanted, given = ([run(open_session(network), feed)[0] for feed in inputs] for network in (model, other))
    name = model.graph.output[0].name
    losses = output_losses({name: wanted})
    joined = [torch.from_numpy(np.concatenate(values)) for values in (given, wanted)]
    return total_loss(losses, {name: joined[0]}, {name: joined[1]}).item()


def mean_squares(units: Units, derivatives: np.ndarray, group: int) -> np.ndarray:
    return np.square(derivatives[:, units.groups[group].units]).mean(axis=0)


@pytest.mark.parametrize("softmax", [False, True])
def test_the_mean_square_is_the_distillation_loss_of_a_gate_that_begins_to_shut(monkeypatch: pytest.MonkeyPatch, *, softmax: bool) -> None:
    """Among others of the stream, which the block and the head read: their parts are added up before they are squared."""
    monkeypatch.setattr(fisher, "DRAWS", 40_000)
    monkeypatch.setattr(fisher, "PASSES", 1000)
    model, inputs = classifier(softmax=softmax), feeds(2, 20)
    units = units_of(model)
    assert [group.name for group in units.groups] == ["stem", "a"]
    found = gate_derivatives(units, inputs)
    assert found.shape == (40_000, units.count)
    for group, readers in enumerate([[("a", 1), ("head", 0)], [("b", 1)]]):
        expected = [
            distillation_loss(model, shut(model, unit, readers, STEP), inputs) / STEP**2 for unit in units.groups[group].units.tolist()
        ]
        assert mean_squares(units, found, group) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("measure", [gate_derivatives, weight_derivatives])
def test_one_by_one_as_in_batches(measure: object, monkeypatch: pytest.MonkeyPatch) -> None:
    model = classifier()
    units = units_of(model)
    rows = []
    for joined in (True, False):
        monkeypatch.setattr(fisher, "PASSES", 60)
        monkeypatch.setattr(fisher, "MEMORY", 1 << 28 if joined else 1)
        monkeypatch.setattr(fisher, "DRAWS", 10_000)
        rows.append(mean_squares(units, measure(units, feeds(2, 12)), 0))  # type: ignore[operator]
    assert rows[0] == pytest.approx(rows[1], rel=0.3)


def test_each_row_is_one_input() -> None:
    """An input of zeros leaves every gate without effect; all others have one."""
    inputs = feeds(2, 6)
    inputs[1]["x"][2] = 0
    units = units_of(classifier())
    found = gate_derivatives(units, inputs)[:, units.groups[0].units]
    dead = (found == 0).all(axis=1)
    assert dead.sum() == len(found) // 12
    assert (found[~dead] != 0).all()


def test_a_network_that_takes_no_batches_is_asked_one_by_one() -> None:
    units, inputs = units_of(fixed()), feeds(5, 2, (3, 4, 4))
    found = gate_derivatives(units, inputs)
    assert found.shape == (5 * fisher.PASSES, units.count)
    assert (found[:, units.groups[0].units] != 0).all()


@pytest.mark.parametrize("measure", [gate_derivatives, weight_derivatives])
def test_what_nobody_hears_has_no_derivative(measure: object) -> None:
    """A unit whose outgoing weights are zero; and the same call has the same answer."""
    model = classifier()
    silent = weights(model)["b"].copy()
    silent[:, 3] = 0
    model = write_weights(model, {"b": silent})
    units = units_of(model)
    first, second = (measure(units, feeds(2, 4)) for _ in range(2))  # type: ignore[operator]
    np.testing.assert_array_equal(first, second)
    inner = first[:, units.groups[1].units]
    assert (inner[:, 3] == 0).all()
    assert (inner[:, [0, 1, 2, 4, 5, 6, 7]] != 0).any(axis=0).all()


def test_taylor_is_the_first_order_change_of_all_slices_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fisher, "DRAWS", 2000)
    monkeypatch.setattr(fisher, "PASSES", 1000)
    model, inputs = classifier(), feeds(1, 16)
    units = units_of(model)
    slices = [("stem", 0), ("a", 1), ("b", 0), ("head", 0)]
    expected = [distillation_loss(model, shut(model, unit, slices, STEP), inputs) / STEP**2 for unit in units.groups[0].units.tolist()]
    assert mean_squares(units, weight_derivatives(units, inputs), 0) == pytest.approx(expected, rel=0.2)


def test_channels_that_no_product_reads_have_no_gate() -> None:
    net = Net(x=("N", 3, 4, 4))
    hidden = net.op("Relu", net.conv("x", "a", 3, 4))
    units = units_of(net.model(net.op("ReduceSum", net.conv(hidden, "d", 4, 4, group=4), net.ints(1))))
    inputs = feeds(2, 3, (3, 4, 4))
    assert len(units.groups) == 1
    assert np.isnan(gate_derivatives(units, inputs)[:, units.groups[0].units]).all()
    assert np.isfinite(weight_derivatives(units, inputs)[:, units.groups[0].units]).all()


def test_queries_and_keys_have_one_gate() -> None:
    """Products of two computed values: scores are linear in a gate, not square."""
    net = Net(x=("N", 5, 6))
    query, key = (net.op("MatMul", "x", net.weight(name, 6, 4)) for name in ("q", "k"))
    model = net.model(net.op("MatMul", query, net.op("Transpose", key, perm=[0, 2, 1])))
    units = units_of(model)
    found = gate_derivatives(units, feeds(4, 25, (5, 6)))
    (group,) = units.groups
    expected = [
        distillation_loss(model, shut(model, unit, [("q", 1)], STEP), feeds(4, 25, (5, 6))) / STEP**2 for unit in group.units.tolist()
    ]
    assert mean_squares(units, found, 0) == pytest.approx(expected, rel=0.3)


def test_progress_is_told_and_silent_outputs_are_refused() -> None:
    model = classifier()
    units, inputs = units_of(model), feeds(1, 4)
    told: list[tuple[float, str]] = []
    gate_derivatives(units, inputs, progress=lambda share, what: told.append((share, what)))
    assert told[-1] == (1, "derivatives")
    mute = write_weights(model, {"head": np.zeros((6, 4), np.float32)})
    with pytest.raises(UsageError, match="nothing to learn from its outputs"):
        gate_derivatives(units_of(mute), inputs)


def test_the_threads_of_the_process_are_put_back() -> None:
    before = torch.get_num_threads()
    gate_derivatives(units_of(classifier()), feeds(1, 2), threads=before + 1)
    assert torch.get_num_threads() == before


def test_the_network_with_open_gates_is_the_network() -> None:
    graph = Graph(classifier())
    gates = list(fisher._gates(units_of(classifier())))
    assert [(gate.node.name, gate.slot, gate.axis) for gate in gates] == [("node2", 0, 1), ("node6", 0, 1), ("node10", 0, 1)]
    gated, names = fisher._with_gates(graph, gates)
    onnx.checker.check_model(gated.model)
    (feed,) = feeds(1, 1)
    ones = {name: np.ones(gated.bound[name], np.float32) for name in names}
    np.testing.assert_allclose(run(open_session(gated.model), feed | ones)[0], run(open_session(graph.model), feed)[0], rtol=1e-5)
