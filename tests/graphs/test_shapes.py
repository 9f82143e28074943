"""Shapes of every value, also where the network computes them itself."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, random_inputs, run
from tests.generated import random_network
from tests.small import Net


def with_all_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    full = onnx.ModelProto()
    full.CopyFrom(model)
    known = {value.name for value in model.graph.output}
    full.graph.output.extend(helper.make_empty_tensor_value_info(o) for n in model.graph.node for o in n.output if o and o not in known)
    return full


@pytest.mark.parametrize("seed", range(40))
def test_every_shape_is_the_one_that_onnx_runtime_makes(seed: int) -> None:
    model = random_network(seed)
    graph, full = Graph(model), with_all_outputs(model)
    values = run(open_session(full, optimise=False), random_inputs(graph, seed))
    made = {output.name: np.shape(value) for output, value in zip(full.graph.output, values, strict=True)}
    assert {name: graph.shapes.get(name) for name in made} == made


def computed_reshapes(net: Net, count: int) -> str:
    """Blocks that halve a channel axis in a shape that they compute by division, as exported channel shuffles do."""
    y = "x"
    for _ in range(count):
        half = net.op("Div", net.op("Slice", net.op("Shape", y), net.ints(1), net.ints(2)), net.ints(2))
        rows = net.op("Reshape", y, net.op("Concat", net.ints(0), net.ints(2), half, net.ints(6), net.ints(6), axis=0))
        y = net.op("Reshape", net.op("Transpose", rows, perm=[0, 2, 1, 3, 4]), net.ints(0, -1, 6, 6))
        y = net.op("Add", y, y)
    return y


def test_a_deep_network_of_computed_reshapes_keeps_all_its_shapes() -> None:
    net = Net(x=(1, 8, 6, 6))
    y = computed_reshapes(net, 20)
    graph = Graph(net.model(y))
    assert [node.name for node in graph.nodes if node.outputs[0] not in graph.shapes] == []
    assert graph.shape(y) == (1, 8, 6, 6)


def test_the_shape_of_a_computed_size_is_known() -> None:
    """``ConstantOfShape(Shape(computed shape))``, as exporters spell Expand."""
    net = Net(x=("n", 8, 6, 6))
    target = net.op("Concat", net.op("Slice", net.op("Shape", "x"), net.ints(0), net.ints(1)), net.ints(8), axis=0)
    flat = net.op("Reshape", target, net.ints(-1))
    ones = net.op("ConstantOfShape", net.op("Shape", flat), value=helper.make_tensor("v", onnx.TensorProto.INT64, [1], [1]))
    chosen = net.op("Where", net.op("Equal", flat, net.op("Mul", ones, net.ints(-1))), ones, flat)
    y = net.op("Expand", net.weight("token", 1, 8), chosen)
    assert Graph(net.model(y)).shape(y) == (1, 8)
