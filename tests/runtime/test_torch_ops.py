"""Every operator on PyTorch gives what it gives in ONNX Runtime, in the forms that the opsets ask for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs.graph import Graph
from nasopt.graphs.ops import OPERATORS
from nasopt.runtime.bridge import to_torch
from nasopt.runtime.sessions import open_session, run
from nasopt.runtime.torch_ops import EXECUTORS
from tests.runtime.operator_forms import FORMS, Form, floats, ints, normal, scalar

NOT_IN_TORCH = {
    "Constant": "a stored tensor, read when the network is built",
    "MaxRoiPool": "of two-stage detectors; torch has it in torchvision alone, which nasopt must not need",
    "RoiAlign": "as MaxRoiPool",
}
NOT_FOLLOWED = {
    "AffineGrid": "makes coordinates",
    "Attention": "mixes positions; its channels are not followed",
    "Compress": "selects by data",
    "Einsum": "its equation is not analysed",
    "EyeLike": "makes a matrix",
    "GRU": "gates share their channels",
    "GatherElements": "selects by data",
    "GatherND": "selects by data",
    "LSTM": "gates share their channels",
    "MeanVarianceNormalization": "no exporter of today writes it",
    "NonZero": "its size depends on data",
    "OneHot": "makes channels from indices",
    "RNN": "gates share their channels",
    "ReduceLogSum": "removed channels are not neutral in it",
    "ReduceLogSumExp": "removed channels are not neutral in it",
    "Scatter": "writes by data",
    "ScatterElements": "writes by data",
    "ScatterND": "writes by data",
    "SequenceAt": "of sequences, not tensors",
    "SplitToSequence": "of sequences, not tensors",
}


def compare(form: Form, tolerance: float = 1e-5) -> None:
    model = form.model()
    expected = run(open_session(model, optimise=False), form.feed())
    network = to_torch(Graph(model))
    for theirs, mine in zip(expected, network(form.feed()), strict=True):
        got = mine.detach().numpy()
        assert got.dtype == theirs.dtype
        assert got.shape == theirs.shape
        np.testing.assert_allclose(got, theirs, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(theirs).max(initial=0))))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form)[:90])
def test_an_operator_gives_what_onnx_runtime_gives(form: Form) -> None:
    compare(form)


def test_every_operator_that_nasopt_knows_runs_in_torch() -> None:
    assert set(OPERATORS) - set(EXECUTORS) == set(NOT_IN_TORCH)


def test_operators_that_torch_alone_knows_are_listed() -> None:
    assert set(EXECUTORS) - set(OPERATORS) == set(NOT_FOLLOWED)


def test_every_executor_was_compared() -> None:
    random = {"RandomNormal", "RandomUniform"}
    elsewhere = {"SequenceAt", "SplitToSequence", "Constant"}
    assert set(EXECUTORS) - {form.op for form in FORMS} <= random | elsewhere


def test_layout_1_of_an_lstm_puts_the_batch_first() -> None:
    """ONNX Runtime has layout 0 only: the other one is the same but for transposes."""
    operands = [normal(5, 2, 3), normal(2, 16, 3), normal(2, 16, 4), normal(2, 32)]
    attrs = {"direction": "bidirectional", "hidden_size": 4}
    first = Form("LSTM", operands, attrs, opset=14, outputs=3)
    other = Form("LSTM", [operands[0].transpose(1, 0, 2), *operands[1:]], {**attrs, "layout": 1}, opset=14, outputs=3)
    y, h, c = (value.detach().numpy() for value in to_torch(Graph(first.model()))(first.feed()))
    y1, h1, c1 = (value.detach().numpy() for value in to_torch(Graph(other.model()))(other.feed()))
    np.testing.assert_allclose(y1, y.transpose(2, 0, 1, 3), rtol=1e-6)
    np.testing.assert_allclose(h1, h.transpose(1, 0, 2), rtol=1e-6)
    np.testing.assert_allclose(c1, c.transpose(1, 0, 2), rtol=1e-6)


def test_group_norm_of_opset_18_has_a_scale_for_every_group() -> None:
    """ONNX Runtime runs it by its definition, where the scale belongs to a group."""
    x, scale, shift = normal(2, 6, 4), normal(3), normal(3)
    form = Form("GroupNormalization", [x, scale, shift], {"num_groups": 3}, opset=18)
    (got,) = to_torch(Graph(form.model()))(form.feed())
    rows = x.reshape(2, 3, -1)
    standard = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 1e-5)
    np.testing.assert_allclose(got.detach(), (standard * scale[:, None] + shift[:, None]).reshape(x.shape), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [2, 4])
def test_a_local_response_norm_of_even_size_looks_further_ahead(size: int) -> None:
    """ONNX Runtime has odd sizes only: this is the definition."""
    x = normal(2, 6, 3, 3)
    form = Form("LRN", [x], {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5})
    sums = np.stack([(x[:, max(c - (size - 1) // 2, 0) : c + size // 2 + 1] ** 2).sum(1) for c in range(6)], 1)
    (got,) = to_torch(Graph(form.model()))(form.feed())
    np.testing.assert_allclose(got, x / (1.5 + 0.3 / size * sums) ** 0.6, rtol=1e-5)


def test_sequences_are_taken_apart() -> None:
    nodes = [
        helper.make_node("SplitToSequence", ["x", "sizes"], ["parts"], axis=1),
        helper.make_node("SequenceAt", ["parts", "place"], ["y"]),
    ]
    stored = [numpy_helper.from_array(ints(2, 3), "sizes"), numpy_helper.from_array(scalar(-1), "place")]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 5])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    graph = helper.make_graph(nodes, "sequence", [value], [result], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = normal(2, 5)
    np.testing.assert_array_equal(to_torch(Graph(model))(x)[0], x[:, 2:])


def test_random_numbers_have_the_moments_that_are_asked_for() -> None:
    for op, attrs, mean, deviation in (
        ("RandomNormal", {"mean": 3.0, "scale": 0.5}, 3.0, 0.5),
        ("RandomUniform", {"low": 1.0, "high": 5.0}, 3.0, 4 / 12**0.5),
    ):
        form = Form(op, [], {"shape": [100, 100], **attrs}, fed=0)
        (noise,) = to_torch(Graph(form.model()))({})
        assert abs(float(noise.mean()) - mean) < 0.1
        assert abs(float(noise.std()) - deviation) < 0.1


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (Form("Resize", [normal(1, 1, 4, 4), None, floats(1, 1, 0.5, 0.5)], {"antialias": 1, "mode": "linear"}), "antialias"),
        (Form("LSTM", [normal(2, 1, 3), normal(1, 8, 3), normal(1, 8, 2)], {"hidden_size": 2, "clip": 1.0}, opset=14), "clip"),
        (Form("Cast", [normal(2)], {"to": TensorProto.STRING}, opset=13), "to STRING"),
        (
            Form("LSTM", [normal(2, 1, 3), normal(1, 8, 3), normal(1, 8, 2), None, ints(2).astype(np.int32)], {"hidden_size": 2}, opset=14),
            "sequence_lens",
        ),
        (Form("RNN", [normal(2, 1, 3), normal(1, 2, 3), normal(1, 2, 2)], {"hidden_size": 2, "activations": ["Elu"]}), "activation Elu"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_an_executor_refuses_is_said_when_the_network_is_built(form: Form, reason: str) -> None:
    with pytest.raises(ModelNotSupportedError, match=rf"{form.op} 'n' \(opset {form.opset}, {reason}\)"):
        to_torch(Graph(form.model()))


def test_a_pool_of_zeros_has_a_derivative() -> None:
    node = helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], p=2)
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, size, size]) for name, size in (("x", 4), ("y", 2))]
    network = to_torch(Graph(helper.make_model(helper.make_graph([node], "pool", value[:1], value[1:]))))
    x = torch.zeros(1, 1, 4, 4)
    x[..., :2, :2] = 3.0
    x.requires_grad_()
    (y,) = network({"x": x})
    y.sum().backward()
    assert y[0, 0].tolist() == [[6.0, 0.0], [0.0, 0.0]]
    assert x.grad is not None
    assert x.grad[0, 0, :2, :2].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert x.grad.sum() == 2
