"""Products with stored weights: which nodes are one, and what a change of weight or shift does to the value they are fitted to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from nasopt.graphs.graph import Graph
from nasopt.graphs.products import Product, products
from nasopt.graphs.write_back import write_weights
from nasopt.runtime.sessions import open_session
from tests.generated import networks
from tests.small import Net, chain


def only(model: onnx.ModelProto) -> Product:
    (product,) = products(Graph(model))
    return product


def shared(net: Net) -> str:
    weight = net.weight("w", 3, 3, 1, 1)
    return net.op("Conv", net.op("Conv", "x", weight), weight)


def given_out(net: Net) -> str:
    kernel = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32))
    net.op("Conv", "x", net.op("Constant", value=kernel, out="w"), out="y")
    return "w"


REFUSED: dict[str, Callable[[Net], str]] = {
    "two nodes read the weight": shared,
    "the weight is computed": lambda net: net.op("Conv", "x", net.op("Identity", net.weight("w", 3, 3, 1, 1))),
    "the weight is an output": given_out,
    "a matrix a batch entry": lambda net: net.op("MatMul", "x", net.weight("w", 3, 4, 5)),
    "no stored weight": lambda net: net.op("MatMul", "x", net.op("Relu", net.op("Transpose", "x", perm=[0, 1, 3, 2]))),
    "the weight comes first": lambda net: net.op("MatMul", net.weight("w", 5, 4), "x"),
    "transposed input": lambda net: net.op("Gemm", net.op("Flatten", "x"), net.weight("w", 1, 5), transA=1),
    "scaled product": lambda net: net.op("Gemm", net.op("Flatten", "x"), net.weight("w", 48, 5), alpha=0.5),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_is_no_product(build: Callable[[Net], str]) -> None:
    net = Net(x=(1, 3, 4, 4))
    output = build(net)
    assert products(Graph(net.model(*{output, net.nodes[-1].output[0]}))) == []


def test_products_stand_in_file_order_with_their_axes() -> None:
    net = Net(x=(2, 4, 6, 6))
    y = net.op("Flatten", net.conv(net.conv("x", "a", 4, 8, 3, group=2), "b", 8, 6))
    y = net.op("Gemm", y, net.weight("c", 216, 5), net.weight("c.bias", 5))
    y = net.op("Gemm", y, net.weight("d", 7, 5), transB=1)
    net.op("MatMul", y, net.weight("e", 7, 3), out="y")
    found = [(p.weight, p.outputs, p.inputs, p.groups, p.axis) for p in products(Graph(net.model("y")))]
    assert found == [("a", 0, 1, 2, 1), ("b", 0, 1, 1, 1), ("c", 1, 0, 1, 1), ("d", 0, 1, 1, 1), ("e", 1, 0, 1, 1)]


@given(networks(), st.integers(0, 99))
def test_a_weight_is_a_matrix_and_back(model: onnx.ModelProto, seed: int) -> None:
    graph = Graph(model)
    for product in products(graph):
        weight = graph.weights[product.weight].array()
        matrix = product.matrix(weight)
        assert matrix.shape == (weight.shape[product.outputs], weight.size // weight.shape[product.outputs])
        assert (product.array(matrix, weight) == weight).all()
        assert product.array(matrix, weight).dtype == weight.dtype
        row = np.random.default_rng(seed).integers(matrix.shape[0])
        assert (matrix[row].reshape(-1) == np.take(weight, row, product.outputs).reshape(-1)).all()


def with_norm(net: Net, *, bias: bool) -> str:
    return net.norm(net.conv("x", "w", 3, 4, 3, bias=bias), "n", 4)


def constant_added(net: Net, name: str, *shape: int) -> str:
    return net.op("Add", net.conv("x", "w", 3, 4, 3), net.weight(name, *shape))


FOLLOWED: dict[str, tuple[Callable[[Net], str], str]] = {
    "its bias": (lambda net: net.conv("x", "w", 3, 4, 3, bias=True), "w.bias"),
    "a norm": (lambda net: with_norm(net, bias=False), "n.shift"),
    "bias and norm": (lambda net: with_norm(net, bias=True), "w.bias"),
    "bias and two norms": (lambda net: net.norm(with_norm(net, bias=True), "m", 4), "w.bias"),
    "two norms": (lambda net: net.norm(with_norm(net, bias=False), "m", 4), "n.shift"),
    "added afterwards": (lambda net: constant_added(net, "late", 4, 1, 1), "late"),
    "added afterwards, then a norm": (lambda net: net.norm(constant_added(net, "late", 1, 4, 1, 1), "n", 4), "late"),
    "a residual sum": (lambda net: net.op("Add", net.op("Sigmoid", "side"), with_norm(net, bias=True)), "w.bias"),
}


@pytest.mark.parametrize(("build", "shift"), FOLLOWED.values(), ids=FOLLOWED)
def test_the_target_moves_as_scale_and_shift_scale_say(build: Callable[[Net], str], shift: str) -> None:
    net = Net(x=(2, 3, 5, 5), seed=3)
    net.inputs.append(helper.make_tensor_value_info("side", 1, [2, 4, 5, 5]))
    target = build(net)
    before = net.model(target)
    model = net.model(net.op("Relu", target))
    product = only(model)
    assert (product.target, product.shift) == (target, shift)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    rng = np.random.default_rng(0)
    feed = {"x": rng.standard_normal((2, 3, 5, 5)).astype(np.float32), "side": rng.standard_normal((2, 4, 5, 5)).astype(np.float32)}

    def run(changes: dict[str, np.ndarray], output: str = target) -> np.ndarray:
        changed = write_weights(before, changes)
        del changed.graph.output[:]
        changed.graph.output.append(helper.make_empty_tensor_value_info(output))
        (value,) = open_session(changed, optimise=False).run(None, {i.name: feed[i.name] for i in changed.graph.input})
        return np.asarray(value)

    moved = rng.standard_normal(stored["w"].shape).astype(np.float32)
    by = run({"w": stored["w"] + moved}, product.node.outputs[0]) - run({}, product.node.outputs[0])
    assert run({"w": stored["w"] + moved}) - run({}) == pytest.approx(by * product.scale.reshape(-1, 1, 1), rel=1e-3, abs=1e-4)
    step = rng.standard_normal(4).astype(np.float32)
    lifted = run({shift: stored[shift] + step.reshape(stored[shift].shape)}) - run({})
    assert lifted == pytest.approx(np.broadcast_to((step * product.shift_scale).reshape(-1, 1, 1), lifted.shape), rel=1e-3, abs=1e-4)


def test_the_walk_to_the_target_ends_where_others_read() -> None:
    net = Net(x=(1, 3, 6, 6))
    hidden = net.conv("x", "w", 3, 4)
    assert only(net.model(net.norm(hidden, "n", 4), hidden)).target == hidden, "an output of the network"
    net.op("Sigmoid", hidden, out="also")
    assert only(net.model("v1", "also")).target == hidden, "a second reader"
    first = products(Graph(chain()))[0]
    assert first.target == chain().graph.node[1].output[0], "an activation"
    net = Net(x=(1, 3, 6, 6))
    spread = net.op("Add", net.conv("x", "w", 3, 4), net.weight("map", 4, 6, 6))
    product = only(net.model(net.norm(spread, "n", 4)))
    assert (product.target, product.shift) == ("v0", ""), "no number a channel"


def test_a_sum_belongs_to_the_operand_that_comes_last() -> None:
    net = Net(x=(1, 3, 6, 6))
    first, second = net.conv("x", "a", 3, 4), net.conv("x", "b", 3, 4)
    total = net.op("Add", second, first)
    assert [(p.weight, p.target) for p in products(Graph(net.model(net.op("Relu", total))))] == [("a", first), ("b", total)]


def test_what_others_read_too_is_no_shift() -> None:
    net = Net(x=(1, 3, 6, 6))
    bias = net.weight("bias", 4)
    left, right = (net.op("Conv", "x", net.weight(name, 4, 3, 1, 1), bias) for name in "ab")
    assert [p.shift for p in products(Graph(net.model(left, right)))] == ["", ""]
    net = Net(x=(1, 8))
    assert only(net.model(net.op("Gemm", "x", net.weight("w", 8, 4), net.weight("bias", 4), beta=0.5))).shift == ""
