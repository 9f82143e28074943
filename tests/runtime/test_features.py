"""Features times weight is what ONNX Runtime computes, for every form of a product."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasopt.graphs.graph import Graph
from nasopt.graphs.products import products
from nasopt.runtime.features import features, positions, targets
from nasopt.runtime.sessions import open_session
from tests.small import Net


def check(model: onnx.ModelProto, x: np.ndarray, seed: int = 0) -> None:
    """At random rows, and at all."""
    graph = Graph(model)
    (product,) = products(graph)
    (output,) = open_session(model, optimise=False).run(None, {"x": x})
    weight = graph.weights[product.weight].array()
    kernel = np.moveaxis(weight, (product.outputs, product.inputs), (0, 1)).shape[2:]
    matrix = product.matrix(weight)
    matrix = matrix.reshape(product.groups, -1, matrix.shape[1])
    rng = np.random.default_rng(seed)
    for share in (1.0, 0.3):
        rows = positions(product, output, share, rng)
        into = features(product, x, output.shape, kernel, rows)
        assert into.shape == (product.groups, len(rows), matrix.shape[2])
        made = np.moveaxis(into @ matrix.transpose(0, 2, 1), 0, 1).reshape(len(rows), -1)
        assert made == pytest.approx(targets(product, output, rows), rel=1e-3, abs=1e-4)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[onnx.ModelProto, np.ndarray]:
    rank, seed = draw(st.sampled_from([1, 2, 2])), draw(st.integers(0, 999))
    groups, into, out = draw(st.sampled_from([(1, 3, 5), (2, 4, 6), (4, 4, 4), (4, 4, 8)]))
    per_axis = lambda low, high, count=rank: draw(st.lists(st.integers(low, high), min_size=count, max_size=count))  # noqa: E731
    kernel, size = per_axis(1, 3), per_axis(5, 8)
    form: dict[str, Any] = {"group": groups}
    if draw(st.booleans()):
        form["kernel_shape"] = kernel
    if draw(st.booleans()):
        form["strides"] = per_axis(1, 3)
    mode = draw(st.sampled_from(["", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if mode:
        form["auto_pad"] = mode
    if not mode.startswith("SAME") and draw(st.booleans()):  # ONNX Runtime dilates nothing that pads itself
        form["dilations"] = per_axis(1, 2)
    if mode in ("", "NOTSET") and draw(st.booleans()):
        form["pads"] = per_axis(0, 2, 2 * rank)
    net = Net(x=(2, into, *size), seed=seed)
    model = net.model(net.op("Conv", "x", net.weight("w", out, into // groups, *kernel), **form))
    return model, np.random.default_rng(seed).standard_normal((2, into, *size)).astype(np.float32)


@settings(max_examples=150)
@given(convolutions(), st.integers(0, 99))
def test_convolutions(case: tuple[onnx.ModelProto, np.ndarray], seed: int) -> None:
    check(*case, seed)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed: int) -> None:
    net = Net(x=(6, 5))
    model = net.model(net.op("Gemm", "x", net.weight("w", *((4, 5) if transposed else (5, 4))), transB=transposed))
    check(model, np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32))


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 5), (2, 2, 3, 5)])
def test_matmul_of_any_rank(shape: tuple[int, ...]) -> None:
    net = Net(x=shape)
    check(net.model(net.op("MatMul", "x", net.weight("w", 5, 4))), np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def test_a_batch_may_differ_from_the_bound_one() -> None:
    net = Net(x=("N", 3, 6, 6))
    check(net.model(net.op("Conv", "x", net.weight("w", 4, 3, 3, 3), strides=[2, 2])), np.ones((7, 3, 6, 6), np.float32))


@given(st.floats(0.001, 2.0), st.integers(0, 99))
def test_rows_are_drawn_without_repetition_and_in_order(share: float, seed: int) -> None:
    net = Net(x=(2, 3, 6, 6))
    (product,) = products(Graph(net.model(net.conv("x", "w", 3, 4))))
    rows = positions(product, np.zeros((2, 4, 6, 6)), share, np.random.default_rng(seed))
    assert len(rows) == min(72, int(np.ceil(share * 72)))
    assert (np.diff(rows) > 0).all()
    assert rows[0] >= 0
    assert rows[-1] < 72
    assert (rows == positions(product, np.zeros((2, 4, 6, 6)), share, np.random.default_rng(seed))).all()
