"""Sessions and random inputs."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, random_inputs, run
from tests.small import Net, chain


def test_inputs_of_every_type() -> None:
    net = Net(x=(2, 3))
    kinds = {"i": TensorProto.INT64, "b": TensorProto.BOOL, "d": TensorProto.DOUBLE}
    net.inputs += [helper.make_tensor_value_info(name, kind, ["n", 4]) for name, kind in kinds.items()]
    graph = Graph(net.model(*(net.op("Identity", name) for name in ("x", *kinds))), {"i": (5, 4)})
    inputs = random_inputs(graph, 3)
    assert {name: (value.dtype.name, value.shape) for name, value in inputs.items()} == {
        "x": ("float32", (2, 3)),
        "i": ("int64", (5, 4)),
        "b": ("bool", (5, 4)),
        "d": ("float64", (5, 4)),
    }
    assert set(inputs["i"].reshape(-1)) <= {0, 1}
    again, other = random_inputs(graph, 3), random_inputs(graph, 4)
    assert all((again[name] == value).all() for name, value in inputs.items())
    assert (other["x"] != inputs["x"]).any()
    assert [value.tolist() for value in run(open_session(graph.model), inputs)] == [value.tolist() for value in inputs.values()]


def test_weights_that_old_files_list_as_inputs_are_not_fed() -> None:
    model = chain()
    model.ir_version = 3
    model.graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer)
    assert set(random_inputs(Graph(model), 0)) == {"x"}


def test_a_network_that_fails_when_it_runs() -> None:
    net = Net(x=(2, 3), y=(2, 3))
    net.op("Gather", "x", net.op("Cast", "y", to=TensorProto.INT64), out="z")
    session = open_session(net.model("z"))
    far = np.full((2, 3), 99, np.float32)
    with pytest.raises(ModelNotSupportedError, match=r"net\.onnx: fails when it runs") as caught:
        run(session, {"x": far, "y": far}, origin="net.onnx")
    assert "\n" not in str(caught.value)
