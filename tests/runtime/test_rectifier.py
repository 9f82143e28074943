"""What rectifiers let through: the aims that take the place of targets, and which networks have such rectifiers."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from nasopt.graphs.graph import Graph
from nasopt.graphs.products import products
from nasopt.runtime.rectifier import Rectifier, rectifier_of
from tests.small import Net

values = hnp.arrays(np.float64, (20, 3), elements=st.floats(-4, 8, allow_nan=False))


def passed(rectifier: Rectifier, x: np.ndarray) -> np.ndarray:
    shrunk = np.where(x < rectifier.low, rectifier.low + rectifier.slope * (x - rectifier.low), x)
    return np.minimum(shrunk, rectifier.high)


@given(values, values, st.sampled_from([0.0, 0.1, 0.25, 0.9, 1.0]), st.booleans())
def test_a_step_to_the_aim_never_raises_the_error_behind_the_rectifier(target, then, slope, capped) -> None:
    """Least squares towards the aim is a step of majorisation: met wholly or in part, it does no harm."""
    rectifier = Rectifier(0.0, 6.0 if capped and slope == 0 else np.inf, np.float32(slope) * np.ones(3, np.float32))
    aim = rectifier.aim(target, then)
    before = np.abs(passed(rectifier, then) - passed(rectifier, target))
    for share in (0.1, 0.5, 1.0):
        after = np.abs(passed(rectifier, then + share * (aim - then)) - passed(rectifier, target))
        assert (after <= before + 1e-6).all()


@given(values, values)
def test_a_slope_of_one_aims_at_the_target(target, then) -> None:
    np.testing.assert_allclose(Rectifier(0.0, np.inf, np.ones(3, np.float32)).aim(target, then), target, atol=1e-9)


@given(values, values)
def test_a_slope_of_zero_is_a_relu(target, then) -> None:
    leaky, relu = (Rectifier(0.0, np.inf, np.full(3, slope, np.float32)) for slope in (1e-6, 0.0))
    np.testing.assert_allclose(leaky.aim(target, then), relu.aim(target, then), atol=1e-4)
    wanted = np.where(target <= 0, np.minimum(then, 0), target)
    np.testing.assert_array_equal(relu.aim(target, then), wanted)


def read_by(*readers: str, slope: np.ndarray | None = None, output: bool = False) -> Rectifier | None:
    net = Net(x=("N", 3, 4, 4))
    y = net.conv("x", "a", 3, 4)
    net.initializers += [numpy_helper.from_array(np.float32(limit), name) for name, limit in (("low", 0), ("high", 6))]
    net.initializers.append(numpy_helper.from_array(np.full((4, 1, 1), 0.25, np.float32) if slope is None else slope, "slope"))
    more = {"Clip": ("low", "high"), "PRelu": ("slope",)}
    graph = Graph(net.model(*[net.op(op, y, *more.get(op, ())) for op in readers], *([y] if output else [])))
    return rectifier_of(graph, products(graph)[0])


@pytest.mark.parametrize(
    ("readers", "bounds", "slope"),
    [
        (["Relu"], (0.0, np.inf), 0.0),
        (["Clip"], (0.0, 6.0), 0.0),
        (["Relu", "Clip"], (0.0, np.inf), 0.0),
        (["LeakyRelu"], (0.0, np.inf), 0.01),
        (["PRelu"], (0.0, np.inf), 0.25),
        (["PRelu", "Relu"], (0.0, np.inf), 0.25),
    ],
)
def test_what_all_readers_let_through(readers: list[str], bounds: tuple[float, float], slope: float) -> None:
    found = read_by(*readers)
    assert found is not None
    assert (found.low, found.high) == bounds
    assert np.allclose(found.slope, slope)


def test_other_readers_see_everything() -> None:
    assert read_by("Relu", "Sigmoid") is None
    assert read_by("Relu", output=True) is None


@pytest.mark.parametrize("slope", [np.full((4, 1, 1), 1.5), np.full((1,), -0.5), np.full((1, 1, 4), 0.3)])
def test_slopes_that_do_not_shrink_or_are_no_channels_are_no_help(slope: np.ndarray) -> None:
    assert read_by("PRelu", slope=slope.astype(np.float32)) is None


def test_slopes_belong_to_channels() -> None:
    found = read_by("PRelu", slope=np.array([0.1, 2.0, 0.3, -1.0], np.float32).reshape(4, 1, 1))
    assert found is not None
    np.testing.assert_allclose(found.slope, [0.1, 1, 0.3, 1])
