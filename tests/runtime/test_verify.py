"""The judge is judged: what agrees passes, what differs fails, and noise is told from difference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from nasopt.graphs.graph import Graph
from nasopt.mutations import apply_edit
from nasopt.runtime.sessions import random_inputs
from nasopt.runtime.verify import TOLERANCE, Agreement, agreement, check_result, outputs_of
from tests.small import Net, chain, prune_edit


def compared(expected: object, got: object, reference: Callable[[], onnx.ModelProto] = chain) -> Agreement:
    graph = Graph(chain())
    return agreement([[np.asarray(expected)]], [[np.asarray(got)]], [random_inputs(graph, 0)], reference)


def never() -> onnx.ModelProto:
    raise AssertionError("the noise need not be measured")


FLOAT = np.array([1.0, -4.0], np.float32)


def test_equal_outputs_agree_without_a_second_run() -> None:
    assert compared(FLOAT, FLOAT.copy(), never) == Agreement(True, 0.0, "largest relative error 0 over 1 random inputs")


def test_the_error_is_relative_to_the_largest_value() -> None:
    found = compared(FLOAT, FLOAT + np.float32([2e-5, 0]), never)
    assert found.ok
    assert found.error == pytest.approx(5e-6, rel=0.01)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (np.array([3, 4]), np.array([3, 5])),
        (np.array([True]), np.array([False])),
        (FLOAT, FLOAT.astype(np.float64)),
        (FLOAT, FLOAT.reshape(1, 2)),
        (FLOAT, np.array([1.0, np.nan], np.float32)),
        (FLOAT, np.array([1.0, np.inf], np.float32)),
        (np.zeros(2, np.float32), FLOAT),
        (FLOAT, -FLOAT),
    ],
)
def test_what_differs_does_not_agree(expected: np.ndarray, got: np.ndarray) -> None:
    noise = compared(expected, got, lambda: _returning(expected))
    assert not noise.ok
    assert noise.error > 1e-5


def _returning(value: np.ndarray) -> onnx.ModelProto:
    """A network whose output is `value`, whatever its input."""
    net = Net(x=(1, 3, 6, 6))
    net.initializers.append(numpy_helper.from_array(value, "value"))
    return net.model(net.op("Identity", "value"))


def test_only_finite_elements_are_compared() -> None:
    odd = np.array([1.0, np.nan, np.inf], np.float32)
    assert compared(odd, np.array([1.0, 5.0, np.inf], np.float32), never).ok


def test_nothing_finite_is_nothing_verified() -> None:
    found = compared(np.array([np.nan], np.float32), np.array([np.nan], np.float32), never)
    assert not found.ok
    assert "no output of the original is finite" in found.detail


def noisy(size: float = 1e4) -> tuple[Graph, list[dict[str, np.ndarray]]]:
    """``size · (x + size) − size²``: the larger `size`, the fewer digits of x are left."""
    net = Net(x=(1, 50))
    big, offset = (numpy_helper.from_array(np.float32(v), f"c{v}") for v in (size, size**2))
    net.initializers += [big, offset]
    model = net.model(net.op("Sub", net.op("Mul", net.op("Add", "x", big.name), big.name), offset.name))
    graph = Graph(model)
    return graph, [random_inputs(graph, 0)]


@pytest.mark.parametrize(("factor", "ok"), [(2, True), (100, False)])
def test_a_difference_is_weighed_against_the_networks_own_noise(factor: float, ok: bool) -> None:
    graph, inputs = noisy(1e3)
    (expected,) = outputs_of(graph.model, inputs)
    far = agreement([expected], [[expected[0] * np.float32(1.5)]], inputs, lambda: graph.model)
    noise = float(far.detail.rsplit(" ", 1)[1])
    assert noise > 1e-5
    assert not far.ok
    step = np.float32(factor * noise * np.abs(expected[0]).max())
    found = agreement([expected], [[expected[0] + step]], inputs, lambda: graph.model)
    assert found.ok is ok
    assert ("rounding moves it by" in found.detail) is not ok


def test_noise_leaves_the_size_of_a_resize_alone() -> None:
    net = Net(x=(1, 1, 4, 4))
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    net.initializers.append(scales)
    graph = Graph(net.model(net.op("Add", net.op("Resize", "x", "", "scales", mode="nearest"), net.weight("w", 1, 1, 8, 8))))
    inputs = [random_inputs(graph, 0)]
    (expected,) = outputs_of(graph.model, inputs)
    found = agreement([expected], [[expected[0] * np.float32(1.5)]], inputs, lambda: graph.model)
    assert not found.ok


def test_a_network_that_is_all_noise_cannot_be_verified() -> None:
    graph, inputs = noisy(1e6)
    (expected,) = outputs_of(graph.model, inputs)
    found = agreement([expected], [[expected[0] * np.float32(1.001)]], inputs, lambda: graph.model)
    assert not found.ok
    assert not found.comparable
    assert "rounding alone moves output 0 by" in found.detail


@pytest.mark.parametrize(("spoilt", "ok"), [(1.0, True), (1.001, False)])
def test_where_an_output_is_all_noise_what_comes_before_it_is_judged(spoilt: float, ok: bool) -> None:
    net = Net(x=(1, 50))
    big, offset = (numpy_helper.from_array(np.float32(v), f"c{v}") for v in (1e6, 1e12))
    net.initializers += [big, offset]
    before = net.op("Exp", "x")
    model = net.model(net.op("Sub", net.op("Mul", net.op("Add", before, big.name), big.name), offset.name))
    inputs = [random_inputs(Graph(model), seed) for seed in range(3)]
    expected = outputs_of(model, inputs, also=[before])
    got = [[one * np.float32(1.001), two * np.float32(spoilt)] for one, two in expected]
    found = agreement(expected, got, inputs, lambda: model, [before])
    assert found.ok is ok
    assert found.comparable
    assert f"'{before}'" in found.detail
    assert found.error == pytest.approx(1e-3, rel=0.01)


@pytest.mark.parametrize(("shift", "ok"), [(0.0002, True), (0.005, False)])
def test_a_large_constant_hides_nothing(shift: float, ok: bool) -> None:
    net = Net(x=(1, 50))
    net.initializers.append(numpy_helper.from_array(np.float32(1e3), "constant"))
    model = net.model(net.op("Add", "x", "constant"))
    inputs = [random_inputs(Graph(model), seed) for seed in range(3)]
    expected = outputs_of(model, inputs)
    got = [[one[0] + np.float32(shift)] for one in expected]
    found = agreement(expected, got, inputs, lambda: model)
    assert found.error <= TOLERANCE
    assert found.ok is ok
    assert ("of what varies" in found.detail) is not ok


def failing(model: onnx.ModelProto, original: onnx.ModelProto | None = None) -> set[str]:
    return {check.name for check in check_result(Graph(original or chain()), model) if not check.ok}


def test_a_sound_result_passes_every_check() -> None:
    checks = check_result(Graph(chain()), apply_edit(Graph(chain()), prune_edit(chain(), seed=1)))
    assert [check.name for check in checks] == ["checker", "interface", "shapes", "runs"]
    assert all(check.ok for check in checks), checks


def break_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer[5].CopyFrom(numpy_helper.from_array(np.ones((4, 7, 1, 1), np.float32), "b"))


def break_norm(model: onnx.ModelProto) -> None:
    model.graph.initializer[4].CopyFrom(numpy_helper.from_array(np.full(8, np.nan, np.float32), "n.var"))


def break_output(model: onnx.ModelProto) -> None:
    model.graph.initializer[5].CopyFrom(numpy_helper.from_array(np.ones((5, 8, 1, 1), np.float32), "b"))


def break_interface(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (break_weight, {"runs"}),
        (break_norm, {"runs"}),
        (break_output, {"checker", "shapes"}),
        (break_interface, {"interface"}),
    ],
)
def test_each_check_notices_what_it_is_for(damage: Callable[[onnx.ModelProto], None], names: set[str]) -> None:
    model = chain()
    damage(model)
    assert names <= failing(model)
    assert "runs" in names or failing(model) - {"runs"} == names


def test_an_output_that_was_never_finite_is_not_held_against_the_result() -> None:
    net = Net(x=(1, 3))
    model = net.model(net.op("Sqrt", net.op("Neg", net.op("Abs", "x"))))
    assert failing(model, model) == set()


def test_a_model_that_does_not_load_is_a_failed_check() -> None:
    model = chain()
    model.opset_import.append(helper.make_opsetid("custom", 1))
    model.graph.node[2].domain = "custom"
    assert {"interface", "runs"} <= failing(model)
