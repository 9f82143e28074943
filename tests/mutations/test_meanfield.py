"""Moments beside those of sampled activations, and sensitivities beside products by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nasopt.graphs.graph import Graph
from nasopt.graphs.units import couple
from nasopt.mutations.meanfield import MeanField, mean_field
from nasopt.runtime.sessions import open_session
from tests.small import Net


def field_of(model: onnx.ModelProto) -> MeanField:
    return mean_field(couple(Graph(model)))


def stored(model: onnx.ModelProto, name: str) -> np.ndarray:
    return next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name).astype(np.float64)


def replace(model: onnx.ModelProto, name: str, array: np.ndarray) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))


@pytest.mark.parametrize("activation", ["Relu", "Tanh", "HardSwish", "Softplus", "LeakyRelu"])
def test_moments_agree_with_sampled_activations(activation: str) -> None:
    """Orthogonal rows keep channels independent, as the field takes them to be: what is left is noise, 65,536 samples of it."""
    net = Net(x=(1, 8, 256, 256))
    first = net.conv("x", "a", 8, 8)
    normed = net.norm(first, "n", 8)
    active = net.op(activation, normed)
    model = net.model(first, normed, active, net.conv(active, "b", 8, 5, bias=True))
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((8, 8)))[0] * rng.uniform(0.5, 2, (8, 1))
    replace(model, "a", rotation.reshape(8, 8, 1, 1))
    replace(model, "n.mean", np.zeros(8))
    replace(model, "n.var", (rotation**2).sum(axis=1))
    field = field_of(model)
    names = [value.name for value in model.graph.output]
    sampled = open_session(model).run(None, {"x": rng.standard_normal((1, 8, 256, 256)).astype(np.float32)})
    for name, values in zip(names, sampled, strict=True):
        mean, deviation = values.mean(axis=(0, 2, 3)), values.std(axis=(0, 2, 3))
        assert np.abs(field.mean[name] - mean).max() < 0.03 * deviation.max()
        assert field.variance[name] == pytest.approx(deviation**2, rel=0.08)


def test_observed_moments_take_the_place_of_propagated_ones() -> None:
    net = Net(x=(1, 3, 6, 6))
    hidden = net.op("Relu", net.conv("x", "a", 3, 8))
    model = net.model(net.conv(hidden, "b", 8, 4))
    mean, variance = np.arange(8.0), np.arange(8.0) + 1
    field = mean_field(couple(Graph(model)), {hidden: (mean, variance)})
    kernel = stored(model, "b")[:, :, 0, 0]
    last = model.graph.output[0].name
    assert field.mean[last] == pytest.approx(kernel @ mean)
    assert field.variance[last] == pytest.approx(kernel**2 @ variance)
    wrong = {hidden: (mean[:3], variance[:3])}
    assert (mean_field(couple(Graph(model)), wrong).mean[hidden] == field_of(model).mean[hidden]).all()


def test_sensitivity_of_a_linear_chain_is_the_product_of_squared_weights() -> None:
    net = Net(x=(1, 3, 6, 6))
    first = net.conv("x", "a", 3, 8, 3)
    second = net.conv(first, "b", 8, 6, 3, group=2)
    model = net.model(net.conv(second, "c", 6, 4))
    field = field_of(model)
    a, b, c = ((stored(model, name) ** 2).sum(axis=(2, 3)) for name in "abc")
    full = np.zeros((6, 8))
    full[:3, :4], full[3:, 4:] = b[:3], b[3:]
    scale = (c @ full @ a).sum()  # the outputs' variance, of which sensitivities are shares
    assert field.sensitivity[second] == pytest.approx(c.sum(axis=0) / scale)
    assert field.sensitivity[first] == pytest.approx((c @ full).sum(axis=0) / scale)
    assert field.sensitivity["x"] == pytest.approx([1.0])  # inputs have one entry in all, and nothing else varies


def test_what_branches_and_joins_feels_the_sum() -> None:
    net = Net(x=(1, 4, 6, 6))
    stem = net.conv("x", "stem", 4, 4)
    joined = net.op("Add", stem, net.conv(stem, "a", 4, 4))
    model = net.model(joined)
    field = field_of(model)
    a = stored(model, "a")[:, :, 0, 0] ** 2
    variance = (stored(model, "stem")[:, :, 0, 0] ** 2).sum(axis=1)
    assert field.variance[joined] == pytest.approx(variance + a @ variance)
    assert field.sensitivity[stem] == pytest.approx((1 + a.sum(axis=0)) / (variance + a @ variance).sum())


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e25])
def test_weights_of_any_size_are_squared_without_overflow(size: float) -> None:
    """Single precision ends at 3e38 and 1e-38."""
    net = Net(x=(1, 3, 6, 6))
    model = net.model(net.conv("x", "a", 3, 8, 3))
    replace(model, "a", stored(model, "a") * size)
    field = field_of(model)
    kernel = stored(model, "a")
    output = model.graph.output[0].name
    assert field.variance[output] == pytest.approx((kernel**2).sum(axis=(1, 2, 3)), rel=1e-5)
    assert np.isfinite(field.sensitivity["x"]).all()
