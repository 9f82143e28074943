"""What nasopt refuses: one clear line each, before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nasopt.errors import ModelNotSupportedError, NasoptError
from nasopt.graphs.admission import require_finite
from nasopt.graphs.graph import Graph, load_graph
from tests.small import Net, chain


def quantised() -> onnx.ModelProto:
    net = Net(x=(1, 3, 6, 6))
    net.initializers += [numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(np.uint8(3), "zero")]
    net.op("QuantizeLinear", "x", "scale", "zero", out="q")
    return net.model(net.op("DequantizeLinear", "q", "scale", "zero"))


def half() -> onnx.ModelProto:
    net = Net(x=(1, 3, 6, 6), dtype=TensorProto.FLOAT16)
    return net.model(net.conv("x", "a", 3, 4))


def half_inside() -> onnx.ModelProto:
    net = Net(x=(1, 3, 6, 6))
    net.initializers.append(numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float16), "w"))
    return net.model(net.op("Conv", "x", net.op("Cast", "w", to=TensorProto.FLOAT)))


def brain() -> onnx.ModelProto:
    net = Net(x=(1, 3))
    net.inputs[0].type.tensor_type.elem_type = TensorProto.BFLOAT16
    return net.model(net.op("Neg", "x"))


def sparse() -> onnx.ModelProto:
    model = chain()
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64), "i"), [8]))
    return model


def opset(version: int) -> Callable[[], onnx.ModelProto]:
    def build() -> onnx.ModelProto:
        model = chain()
        model.opset_import[0].version = version
        return model

    return build


def no_default_domain() -> onnx.ModelProto:
    model = chain()
    model.opset_import[0].domain = "somewhere.else"
    return model


def cycle() -> onnx.ModelProto:
    model = chain()
    model.graph.node[0].input[0] = model.graph.node[2].output[0]
    return model


def dangling() -> onnx.ModelProto:
    model = chain()
    model.graph.node[1].input[0] = "nowhere"
    return model


def twice() -> onnx.ModelProto:
    model = chain()
    model.graph.node[1].output[0] = model.graph.node[0].output[0]
    return model


def no_producer() -> onnx.ModelProto:
    model = chain()
    model.graph.output[0].name = "nothing"
    return model


def no_nodes() -> onnx.ModelProto:
    model = chain()
    del model.graph.node[:]
    return model


def contradiction() -> onnx.ModelProto:
    model = chain()
    model.graph.node[0].attribute.append(helper.make_attribute("strange", 3))
    return model


def sequence_input() -> onnx.ModelProto:
    model = chain()
    model.graph.input.append(helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None))
    return model


REFUSALS: list[tuple[Callable[[], onnx.ModelProto], str]] = [
    (quantised, r"is quantised \(QuantizeLinear 'node0'\)"),
    (half, "holds float16 data"),
    (half_inside, r"holds float16 data \('w'\)"),
    (brain, r"holds bfloat16 data \('x'\)"),
    (sparse, "holds sparse initializers"),
    (opset(6), "opset 6 is older than 7"),
    (opset(99), "opset 99 is newer than the installed onnx"),
    (no_default_domain, "imports no opset of the default ONNX domain"),
    (cycle, "reads 'v2' before it is computed"),
    (dangling, r"node 'node1' \(BatchNormalization\) reads 'nowhere' which nothing computes"),
    (twice, "value 'v0' is computed twice, again by node 'node1'"),
    (no_producer, "output 'nothing' is computed by no node"),
    (no_nodes, "the graph has no nodes"),
    (contradiction, "not a valid ONNX model: Unrecognized attribute: strange"),
    (sequence_input, "input 's' is not a tensor"),
]


@pytest.mark.parametrize(("build", "said"), REFUSALS, ids=lambda value: getattr(value, "__name__", ""))
def test_refusals(build: Callable[[], onnx.ModelProto], said: str) -> None:
    with pytest.raises(ModelNotSupportedError, match=said) as caught:
        Graph(build(), origin="net.onnx")
    assert "\n" not in str(caught.value)
    assert "net.onnx" in str(caught.value)
    assert caught.value.exit_code == 4


def test_weights_that_are_not_finite_are_refused() -> None:
    model = chain()
    require_finite(Graph(model))
    weight = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight[0, 0, 0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "a"))
    with pytest.raises(ModelNotSupportedError, match="weight 'a' holds NaN or infinite values"):
        require_finite(Graph(model))


@pytest.mark.parametrize("seed", range(60))
def test_bytes_that_were_changed_never_cause_anything_but_a_clear_error(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(chain().SerializeToString())
    for place in rng.integers(0, len(data), int(rng.integers(1, 9))):
        data[place] = int(rng.integers(0, 256))
    path = tmp_path / "net.onnx"
    path.write_bytes(bytes(data[: len(data) if seed % 3 else int(rng.integers(1, len(data)))]))
    lines = 1
    try:
        load_graph(path)
    except NasoptError as error:
        lines = len(str(error).splitlines())
    assert lines == 1
