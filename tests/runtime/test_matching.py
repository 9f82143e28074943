"""What norms remember is recovered: brightness and contrast of the images, moments of the layers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasopt.graphs.graph import Graph
from nasopt.graphs.write_back import write_weights
from nasopt.runtime.calibration import Calibration
from nasopt.runtime.matching import matched, restated
from nasopt.runtime.sessions import open_session
from nasopt.runtime.walk import Walk
from tests.generated import networks, random_feeds
from tests.small import Net, chain

OFFSET = np.array([0.4, -0.7, 1.5], np.float32)


def images(seed: int, *, last: bool = False) -> np.ndarray:
    """Of zero mean and unit variance in each channel."""
    drawn = np.random.default_rng(seed).standard_normal((40, 3, 8, 8))
    drawn -= drawn.mean(axis=(0, 2, 3), keepdims=True)
    drawn /= drawn.std(axis=(0, 2, 3), keepdims=True)
    return (drawn.transpose(0, 2, 3, 1) if last else drawn).astype(np.float32)


def calibration(*batches: np.ndarray) -> Calibration:
    every = tuple({"x": batch} for batch in batches)
    return Calibration(every[:-1], every[-1:], 40 * len(batches), "images", synthetic=True, pixels=None)


def network(*, kernel: int = 1, last: bool = False, bias: bool = True, pad: bool = False) -> onnx.ModelProto:
    net = Net(x=("N", 8, 8, 3) if last else ("N", 3, 8, 8), seed=3)
    y = net.op("Transpose", "x", perm=[0, 3, 1, 2]) if last else "x"
    y = net.op("Pad", y, net.ints(0, 0, 0, 0, 0, 0, 0, 0)) if pad else y
    inputs = [y, net.weight("a", 8, 3, kernel, kernel), *([net.weight("a.bias", 8)] if bias else [])]
    return net.model(net.op("Relu", net.norm(net.op("Conv", *inputs), "n", 8)))


@pytest.mark.parametrize("options", [{}, {"last": True}, {"bias": False}, {"kernel": 3}, {"pad": True, "kernel": 3}], ids=str)
@pytest.mark.parametrize("gain", [0.2, 3.0])
def test_brightness_and_contrast_are_recovered(options: dict[str, bool], gain: float) -> None:
    last = bool(options.get("last"))
    model, base = network(**options), [images(seed, last=last) for seed in range(3)]
    offset = OFFSET if last else OFFSET[:, None, None]
    seen = [batch * np.float32(gain) + offset for batch in base]
    model = write_weights(model, restated(Graph(model), [{"x": batch} for batch in seen]))
    given_in = calibration(*base)
    found = matched(Graph(model), given_in)
    exact = options.get("kernel", 1) == 1
    for batches, expected in ((found.fit, seen[:2]), (found.held_out, seen[2:])):
        for batch, other in zip(batches, expected, strict=True):
            assert batch["x"].dtype == np.float32
            assert batch["x"] == pytest.approx(other, abs=0.01 if exact else 0.15)
    assert (given_in.fit[0]["x"] == base[0]).all(), "what was given stays as it was"
    assert (found.count, found.source, found.synthetic) == (given_in.count, given_in.source, True)


def no_norm() -> onnx.ModelProto:
    net = Net(x=("N", 3, 8, 8))
    return net.model(net.op("Relu", net.conv("x", "a", 3, 8)))


def norm_first() -> onnx.ModelProto:
    net = Net(x=("N", 3, 8, 8))
    return net.model(net.conv(net.norm("x", "n", 3), "a", 3, 8))


def grouped_first() -> onnx.ModelProto:
    net = Net(x=("N", 3, 8, 8))
    return net.model(net.norm(net.conv("x", "a", 3, 6, group=3), "n", 6))


def something_between() -> onnx.ModelProto:
    net = Net(x=("N", 3, 8, 8))
    return net.model(net.norm(net.conv(net.op("Sigmoid", "x"), "a", 3, 6), "n", 6))


@pytest.mark.parametrize("build", [no_norm, norm_first, grouped_first, something_between], ids=lambda build: build.__name__)
def test_other_beginnings_leave_the_images_as_they_are(build: object) -> None:
    given_in = calibration(images(0), images(1))
    assert matched(Graph(build()), given_in) is given_in  # type: ignore[operator]


def after_norm(model: onnx.ModelProto, batches: list[dict[str, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]]:
    """Of each norm: mean and variance of what it gives, and its stored tensors."""
    graph = Graph(model)
    found = []
    for node in graph.nodes:
        if node.op != "BatchNormalization":
            continue
        with Walk(graph, batches) as walk:
            values = np.concatenate([value for (value,) in walk.peek([node.outputs[0]])]).astype(np.float64)
        axes = tuple(axis for axis in range(values.ndim) if axis != 1)
        epsilon = np.float64(node.attrs.get("epsilon", 1e-5))
        found.append((values.mean(axes), values.var(axes), (epsilon, *(graph.weights[name].array() for name in node.inputs[1:]))))
    return found


def check_moments(model: onnx.ModelProto, batches: list[dict[str, np.ndarray]]) -> int:
    found = after_norm(write_weights(model, restated(Graph(model), batches)), batches)
    for mean, variance, (epsilon, gamma, beta, _, stored) in found:
        alive = stored > 1e-4  # a channel that is constant has no variance to restore
        assert mean[alive] == pytest.approx(beta[alive], abs=1e-2)
        assert variance[alive] == pytest.approx((gamma**2 * stored / (stored + epsilon))[alive], rel=1e-2, abs=1e-4)
    return len(found)


def test_restated_norms_give_the_moments_that_they_name() -> None:
    net = Net(x=("N", 3, 8, 8), seed=1)
    y = net.op("Relu", net.norm(net.conv("x", "a", 3, 8, 3), "n", 8))
    y = net.op("Sigmoid", net.norm(net.conv(y, "b", 8, 6, 3), "m", 6))
    model = net.model(net.conv(y, "c", 6, 2))
    batches = [{"x": images(seed) * 2 + 1} for seed in range(3)]
    stored = restated(Graph(model), batches)
    assert set(stored) == {"n.mean", "n.var", "m.mean", "m.var"}
    assert check_moments(model, batches) == 2
    restless = after_norm(model, batches)[1]
    assert np.abs(restless[0] - restless[2][2]).max() > 0.1, "the second norm saw other moments before"
    again = restated(Graph(write_weights(model, stored)), batches)
    assert all(again[name] == pytest.approx(stored[name], rel=1e-4, abs=1e-5) for name in stored)


@settings(max_examples=15)
@given(networks(), st.integers(0, 99))
def test_norms_of_any_network(model: onnx.ModelProto, seed: int) -> None:
    check_moments(model, [random_feeds(model, seed + number) for number in range(3)])


def test_norms_that_share_their_moments_stay() -> None:
    net = Net(x=("N", 3, 8, 8))
    y = net.norm(net.conv("x", "a", 3, 4), "n", 4)
    model = net.model(net.op("BatchNormalization", y, *(f"n.{part}" for part in ("scale", "shift", "mean", "var"))))
    assert restated(Graph(model), [{"x": images(0)}]) == {}


def test_a_dead_channel_stays_finite() -> None:
    model = chain()
    weight = np.zeros((8, 3, 3, 3), np.float32)
    stored = restated(Graph(write_weights(model, {"a": weight})), [random_feeds(model)])
    assert (stored["n.var"] > 0).all()
    (output,) = open_session(write_weights(model, {"a": weight, **stored})).run(None, random_feeds(model))
    assert np.isfinite(output).all()
