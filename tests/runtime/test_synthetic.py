"""Images for networks of which no data is known."""

from __future__ import annotations

import time

import numpy as np
import pytest
from onnx import TensorProto

from nasopt.graphs.graph import Graph
from nasopt.runtime.synthetic import dead_leaves, is_image, synthetic_inputs
from tests.small import Net


def identity(*shape: int | str, dtype: int = TensorProto.FLOAT) -> Graph:
    net = Net(x=shape, dtype=dtype)
    return Graph(net.model(net.op("Identity", "x")))


@pytest.mark.parametrize(("count", "side"), [(300, 32), (16, 224)])
def test_leaves_are_standardised_and_cheap(count: int, side: int) -> None:
    started = time.process_time()
    images = dead_leaves(count, side, side, 3, np.random.default_rng(0))
    assert time.process_time() - started < 1.5
    assert images.shape == (count, side, side, 3)
    assert images.dtype == np.float32
    assert images.mean() == pytest.approx(0, abs=1e-5)
    assert images.std() == pytest.approx(1, abs=1e-5)
    assert np.abs(images.mean(axis=(0, 1, 2))).max() < 0.5


def test_leaves_look_like_photographs() -> None:
    """Neighbouring pixels and channels go together, unlike in noise, and there are edges, unlike in a blur."""
    images = dead_leaves(64, 48, 40, 3, np.random.default_rng(1))
    step = np.diff(images, axis=2)
    assert np.corrcoef(images[:, :, 1:].ravel(), images[:, :, :-1].ravel())[0, 1] > 0.8
    assert np.corrcoef(images[..., 0].ravel(), images[..., 1].ravel())[0, 1] > 0.6
    assert (step**4).mean() / (step**2).mean() ** 2 > 6  # 3 for any Gaussian field


def test_the_seed_decides_and_images_differ() -> None:
    first, again, other = (dead_leaves(40, 16, 16, 1, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert len(np.unique(first.reshape(40, -1), axis=0)) == 40


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (5, 700)])
def test_leaves_of_any_size(shape: tuple[int, int]) -> None:
    images = dead_leaves(3, *shape, 4, np.random.default_rng(0))
    assert images.shape == (3, *shape, 4)
    assert np.isfinite(images).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 3, 32, 24), True), ((2, 32, 24, 1), True), ((1, 5, 32, 32), False), ((1, 3, 4, 4), False), ((1, 3, 32), False), ((4,), False)],
)
def test_inputs_have_the_bound_shape(shape: tuple[int, ...], expected: bool) -> None:
    graph = identity(*shape)
    assert is_image(graph, "x") is expected
    (values,) = synthetic_inputs(graph, 6, np.random.default_rng(0)).values()
    assert values.shape == (6, *shape)
    assert values.dtype == np.float32
    assert values.std() == pytest.approx(1, abs=1e-5 if expected else 0.5)


def test_channels_lie_where_the_network_has_them() -> None:
    first, last = (synthetic_inputs(identity(*shape), 2, np.random.default_rng(0))["x"] for shape in [(1, 3, 32, 24), (1, 32, 24, 3)])
    assert (np.moveaxis(first, 2, -1) == last).all()


def test_integers_stay_in_range_and_doubles_are_doubles() -> None:
    tokens = synthetic_inputs(identity(1, 3, 32, 32, dtype=TensorProto.INT64), 4, np.random.default_rng(0))["x"]
    assert tokens.dtype == np.int64
    assert set(np.unique(tokens)) == {0, 1}
    assert synthetic_inputs(identity(1, 3, 32, 32, dtype=TensorProto.DOUBLE), 1, np.random.default_rng(0))["x"].dtype == np.float64
