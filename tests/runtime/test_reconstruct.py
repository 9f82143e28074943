"""Reconstruction: what can be expressed by what is left is expressed, and nothing gets worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from nasopt.graphs.graph import Graph
from nasopt.graphs.products import products
from nasopt.graphs.write_back import write_weights
from nasopt.mutations.rewrite import remove_units
from nasopt.runtime import reconstruct as module
from nasopt.runtime.fidelity import answers, divergence
from nasopt.runtime.reconstruct import Refit, reconstruct
from tests.generated import networks, random_feeds
from tests.small import Net, random_removal, units_of

Batches = list[dict[str, np.ndarray]]


@pytest.fixture
def no_ridge(monkeypatch: pytest.MonkeyPatch) -> None:
    """What least squares would find without caution, so that exact cases come out exact."""
    monkeypatch.setattr(module, "RIDGES", (1e-9,))


def noise(shape: Sequence[int], count: int = 6, seed: int = 0) -> Batches:
    rng = np.random.default_rng(seed)
    return [{"x": rng.standard_normal(shape).astype(np.float32)} for _ in range(count)]


def distance(original: onnx.ModelProto, other: onnx.ModelProto, batches: Batches) -> float:
    return divergence(answers(original, batches), answers(other, batches))


def pruned(
    model: onnx.ModelProto, group: str, gone: Sequence[int], batches: Batches
) -> tuple[onnx.ModelProto, onnx.ModelProto, list[Refit]]:
    """The network without some units of a group, before and after its reconstruction."""
    units = units_of(model)
    removed = np.zeros(units.count, np.bool_)
    (found,) = [one for one in units.groups if one.name == group]
    removed[found.units[list(gone)]] = True
    smaller = remove_units(units, removed)
    changed, report = reconstruct(Graph(model), Graph(smaller), lambda value, axis: units.keep(value, axis, removed), batches)
    return smaller, write_weights(smaller, changed), report


def array(model: onnx.ModelProto, name: str) -> np.ndarray:
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    return np.array(numpy_helper.to_array(tensor))


def doubled(model: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    """The upper half of the channels repeats the lower half, at other scales that activations keep."""
    tensors = {}
    for name in names:
        weight = array(model, name)
        half = len(weight) // 2
        factors = np.linspace(0.5, 2, half, dtype=np.float32).reshape(-1, *[1] * (weight.ndim - 1))
        weight[half:] = weight[:half] * factors
        tensors[name] = weight
    return write_weights(model, tensors)


def through_relu(net: Net) -> str:
    hidden = net.op("Relu", net.conv("x", "a", 3, 8, 3, bias=True))
    return net.conv(hidden, "b", 8, 4, 3, bias=True)


def through_depthwise(net: Net) -> str:
    hidden = net.op("Relu", net.conv("x", "a", 3, 8, 3, bias=True))
    return net.conv(net.conv(hidden, "d", 8, 8, 3, group=8), "b", 8, 4)


def through_norm(net: Net) -> str:
    return net.norm(net.conv(net.op("Relu", net.conv("x", "a", 3, 8, 3, bias=True)), "b", 8, 4), "n", 4)


def into_sum(net: Net) -> str:
    return net.op("Add", "x", net.conv(net.op("Relu", net.conv("x", "a", 3, 8, 3, bias=True)), "b", 8, 3))


def into_gemm(net: Net) -> str:
    hidden = net.op("Relu", net.conv("x", "a", 3, 8, 3, bias=True))
    return net.op("Gemm", net.op("Flatten", net.op("GlobalAveragePool", hidden)), net.weight("g", 8, 3))


def flattened(net: Net) -> str:
    hidden = net.op("Relu", net.conv("x", "a", 3, 8, 3, bias=True))
    flat = net.op("Flatten", net.op("AveragePool", hidden, kernel_shape=[3, 3], strides=[3, 3]))
    return net.op("Add", net.op("MatMul", flat, net.weight("g", 32, 3)), net.weight("late", 3))


FORMS: list[Callable[[Net], str]] = [through_relu, through_depthwise, through_norm, into_sum, into_gemm, flattened]


@pytest.mark.usefixtures("no_ridge")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_channels_that_repeat_others_are_missed_by_nobody(form: Callable[[Net], str]) -> None:
    net = Net(x=("N", 3, 6, 6), seed=1)
    model = doubled(net.model(form(net)), "a", "a.bias")
    if form is through_depthwise:
        model = write_weights(model, {"d": np.concatenate([array(model, "d")[:4]] * 2)})
    batches, others = noise((30, 3, 6, 6)), noise((30, 3, 6, 6), seed=99)
    smaller, repaired, report = pruned(model, "a", [4, 1, 7, 2], batches)
    assert distance(model, smaller, others) > 0.01
    assert distance(model, repaired, others) < 1e-8, "inputs that were not fitted"
    assert report[-1].before > 0.01
    assert report[-1].after < 1e-5


@pytest.mark.usefixtures("no_ridge")
@pytest.mark.parametrize("form", [through_relu, through_norm, flattened], ids=lambda form: form.__name__)
def test_a_constant_channel_moves_into_the_shift(form: Callable[[Net], str]) -> None:
    net = Net(x=("N", 3, 6, 6), seed=1)
    model = net.model(form(net))
    weight, bias = array(model, "a"), array(model, "a.bias")
    weight[2:4], bias[2:4] = 0, (1.5, -1)
    if form is through_relu:  # same padding would make it other than constant
        model = write_weights(model, {"b": array(model, "b") * (np.arange(9).reshape(3, 3) == 4).astype(np.float32)})
    model = write_weights(model, {"a": weight, "a.bias": bias})
    batches = noise((30, 3, 6, 6))
    smaller, repaired, _ = pruned(model, "a", [2, 3], batches)
    (shift,) = [product.shift for product in products(Graph(smaller)) if product.weight != "a"]
    assert shift == {"through_relu": "b.bias", "through_norm": "n.shift", "flattened": "late"}[form.__name__]
    assert np.abs(array(repaired, shift) - array(smaller, shift)).max() > 0.1
    assert distance(model, repaired, noise((30, 3, 6, 6), seed=99)) < 1e-8


@pytest.mark.usefixtures("no_ridge")
def test_the_last_operand_of_a_sum_makes_good_for_the_first() -> None:
    net = Net(x=("N", 6, 5, 5))
    side = net.conv(net.conv("x", "s", 6, 6), "t", 6, 4)
    model = net.model(net.op("Add", net.conv("x", "b", 6, 4), side))
    batches = noise((30, 6, 5, 5))
    smaller, repaired, report = pruned(model, "s", [0, 1, 2], batches)
    assert [line.node for line in report] == ["node1", "node2"]
    assert report[0].after > 0.01, "what is left of the side branch cannot do it alone"
    assert distance(model, smaller, batches) > 0.01
    assert distance(model, repaired, batches) < 1e-8
    assert (array(repaired, "b") != array(smaller, "b")).any()


def dense(net: Net) -> str:
    flat = net.op("Flatten", net.op("AveragePool", "x", kernel_shape=[3, 3], strides=[3, 3]))
    y = net.op("Relu", net.op("Gemm", flat, net.weight("g", 7, 16), net.weight("g.bias", 7), transB=1))
    return net.op("Add", net.op("MatMul", y, net.weight("m", 7, 3)), net.weight("late", 3))


def grouped(net: Net) -> str:
    y = net.op("Relu", net.conv("x", "a", 4, 6, 3, group=2, bias=True))
    y = net.op("Sigmoid", net.norm(net.conv(y, "d", 6, 6, 3, group=6), "n", 6))
    return net.op("Conv", y, net.weight("b", 4, 3, 2, 2), group=2, strides=[2, 2], dilations=[2, 2], pads=[1, 0, 0, 1])


def residual(net: Net) -> str:
    y = net.op("Relu", net.norm(net.conv("x", "a", 4, 4, 3, bias=True), "n", 4))
    return net.op("Add", y, net.norm(net.conv(y, "b", 4, 4, 3), "m", 4))


@pytest.mark.usefixtures("no_ridge")
@pytest.mark.parametrize("form", [dense, grouped, residual], ids=lambda form: form.__name__)
def test_spoilt_weights_are_found_again(form: Callable[[Net], str]) -> None:
    net = Net(x=("N", 4, 6, 6), seed=2)
    model = net.model(form(net))
    mine = products(Graph(model))
    names = {name for product in mine for name in (product.weight, product.shift) if name}
    rng = np.random.default_rng(0)
    spoilt = {name: array(model, name) + rng.normal(0, 0.3, array(model, name).shape).astype(np.float32) for name in names}
    student = write_weights(model, spoilt)
    changed, report = reconstruct(Graph(model), Graph(student), lambda value, axis: None, noise((30, 4, 6, 6), 10))
    assert [line.node for line in report] == [product.node.name for product in mine]
    assert set(changed) == names
    assert all(line.before > 1e-3 for line in report), report
    assert all(line.after < 1e-5 for line in report), report
    for product in mine:
        assert changed[product.weight] == pytest.approx(array(model, product.weight), abs=0.01)
        assert changed[product.weight].dtype == np.float32


@pytest.mark.parametrize("cause", ["rows", "widest"])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_where_rows_are_few_channels_are_scaled_and_shifted(cause: str, *, norm: bool, bias: bool) -> None:
    """With the norm the target is another value than the one that is scaled; without bias its shift is another tensor."""
    net = Net(x=("N", 4, 3, 3), seed=2)
    y = net.op("Conv", "x", net.weight("a", 5, 4, 3, 3), *([net.weight("a.bias", 5)] if bias else []), group=1)
    model = net.model(net.norm(y, "n", 5) if norm else y)
    factors = np.array([0.5, 0.9, 1.2, 2, 3], np.float32)
    spoilt = {"a": array(model, "a") * factors.reshape(-1, 1, 1, 1)}
    spoilt |= {name: array(model, name) + 1 for name in ([] if not bias else ["a.bias"])}
    batches = noise((5 if cause == "rows" else 50, 4, 3, 3), 10)
    student = write_weights(model, spoilt)
    options = {"widest": 35} if cause == "widest" else {}
    changed, (line,) = reconstruct(Graph(model), Graph(student), lambda value, axis: None, batches, **options)
    assert line.after < 1e-3 * line.before
    ratio = changed["a"] / spoilt["a"]
    assert np.ptp(ratio.reshape(5, -1), axis=1) == pytest.approx(0, abs=1e-4)
    assert ratio[:, 0, 0, 0] == pytest.approx(1 / factors, rel=0.01)
    assert distance(model, write_weights(student, changed), batches) < 1e-3
    free, _ = reconstruct(Graph(model), Graph(student), lambda value, axis: None, noise((50, 4, 3, 3), 10), widest=36)
    assert np.ptp((free["a"] / spoilt["a"]).reshape(5, -1), axis=1).max() > 1e-4


def test_a_bias_that_cannot_be_set_is_not_scaled_with_its_channel() -> None:
    """A Gemm's bias may have a shape of its own, and is no shift then: scaling the weight would not scale what the bias adds."""
    net = Net(x=("N", 40), seed=2)
    student = net.model(net.op("Gemm", "x", net.weight("a", 40, 5), net.weight("a.bias", 1, 5)))
    student = write_weights(student, {"a.bias": array(student, "a.bias") + 10})
    model = write_weights(student, {"a.bias": array(student, "a.bias") + 5})
    batches = noise((5, 40), 10)
    changed, _ = reconstruct(Graph(model), Graph(student), lambda value, axis: None, batches)
    assert distance(model, write_weights(student, changed), batches) <= distance(model, student, batches)


@settings(max_examples=20)
@given(networks(), st.integers(0, 99))
def test_no_target_gets_worse(model: onnx.ModelProto, seed: int) -> None:
    units = units_of(model)
    removed, _ = random_removal(units, seed)
    smaller = Graph(remove_units(units, removed))
    batches = [random_feeds(model, number) for number in range(6)]
    changed, report = reconstruct(units.graph, smaller, lambda value, axis: units.keep(value, axis, removed), batches)
    mine = {product.node.name: product for product in products(smaller)}
    assert set(changed) <= {name for product in mine.values() for name in (product.weight, product.shift)}
    for name, value in changed.items():
        assert value.shape == smaller.weights[name].shape
        assert value.dtype == smaller.weights[name].array().dtype
        assert np.isfinite(value).all()
    for line in report:
        assert line.node in mine
        assert line.after <= line.before


def test_what_agrees_is_left_alone() -> None:
    net = Net(x=("N", 4, 6, 6))
    model = net.model(residual(net))
    assert reconstruct(Graph(model), Graph(model), lambda value, axis: None, noise((8, 4, 6, 6))) == ({}, [])


def test_the_errors_in_the_report_are_those_of_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK", 1000)  # all inputs are fitted, and judge
    net = Net(x=("N", 3, 6, 6), seed=4)
    model = net.model(through_relu(net))
    batches = noise((20, 3, 6, 6))
    smaller, repaired, (line,) = pruned(model, "a", [0, 5, 6], batches)
    expected = [np.concatenate([row[0] for row in answers(one, batches)]).astype(np.float64) for one in (model, smaller, repaired)]
    spread = np.square(expected[0] - expected[0].mean(axis=(0, 2, 3), keepdims=True)).sum()
    before, after = (np.square(got - expected[0]).sum() / spread for got in expected[1:])
    assert line.before == pytest.approx(before, rel=1e-3)
    assert line.after == pytest.approx(after, rel=1e-3)
    assert line.after < line.before / 2


def test_too_few_inputs_are_not_learnt_by_heart() -> None:
    net = Net(x=("N", 8), seed=5)
    model = net.model(
        net.op("Gemm", net.op("Relu", net.op("Gemm", "x", net.weight("a", 8, 16), net.weight("a.bias", 16))), net.weight("b", 16, 4))
    )
    units = units_of(model)
    removed = np.zeros(units.count, np.bool_)
    removed[units.groups[0].units[:4]] = True
    smaller = remove_units(units, removed)
    others = noise((200, 8), seed=99)
    for count in (10, 4, 2):
        batches = noise((count, 8), 5)
        changed, _ = reconstruct(Graph(model), Graph(smaller), lambda value, axis: units.keep(value, axis, removed), batches)
        assert distance(model, write_weights(smaller, changed), others) < 1.5 * distance(model, smaller, others)


def test_progress_is_told() -> None:
    told: list[tuple[float, str]] = []
    net = Net(x=("N", 3, 6, 6))
    graph = Graph(net.model(through_relu(net)))
    reconstruct(graph, graph, lambda value, axis: None, noise((2, 3, 6, 6), 2), progress=lambda share, node: told.append((share, node)))
    assert told == [(0, "node0"), (0.5, "node2")]


@pytest.mark.parametrize("op", ["Relu", "PRelu", "LeakyRelu"])
def test_what_a_rectifier_cuts_off_need_not_be_met(monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    net = Net(x=("N", 4, 6, 6), seed=3)
    net.initializers.append(numpy_helper.from_array(np.full((12, 1, 1), 0.1, np.float32), "slope"))
    hidden = net.op("Relu", net.conv("x", "a", 4, 16, 3))
    y = net.op(op, net.norm(net.conv(hidden, "b", 16, 12, 3), "n", 12), *(["slope"] if op == "PRelu" else []))
    model = net.model(net.conv(y, "c", 12, 5))
    batches, fresh = noise((20, 4, 6, 6), 10), noise((20, 4, 6, 6), 5, seed=1)
    errors = {}
    for rounds in (0, 2):
        monkeypatch.setattr(module, "ROUNDS", rounds)
        _, mended, _ = pruned(model, "a", range(6), batches)
        errors[rounds] = distance(model, mended, fresh)
    assert errors[2] < 0.99 * errors[0]
