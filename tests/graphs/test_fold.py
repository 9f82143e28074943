"""Shape arithmetic says what ONNX Runtime says."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from nasopt.graphs.cost import totals
from nasopt.graphs.fold import evaluate
from nasopt.graphs.graph import Graph
from tests.small import Net

LOW, HIGH = np.array(-1.5, np.float32), np.array(2.0, np.float32)


@pytest.mark.parametrize("bounds", [(LOW, HIGH), (LOW, None), (None, HIGH), (None, None)])
def test_clip(bounds: tuple[np.ndarray | None, np.ndarray | None]) -> None:
    values = np.linspace(-4, 4, 9, dtype=np.float32)
    names = ["x", *("" if bound is None else name for bound, name in zip(bounds, ("low", "high"), strict=True))]
    given = {"x": values} | {name: bound for name, bound in zip(("low", "high"), bounds, strict=True) if bound is not None}
    infos = [helper.make_tensor_value_info(name, 1, value.shape) for name, value in given.items()]
    node = helper.make_node("Clip", names, ["y"])
    graph = helper.make_graph([node], "clip", infos, [helper.make_tensor_value_info("y", 1, values.shape)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = evaluate("Clip", [values, *bounds], {})
    assert found is not None
    np.testing.assert_array_equal(found[0], session.run(None, given)[0])
    assert found[0].dtype == values.dtype


def test_clip_of_older_opsets_has_its_bounds_as_attributes() -> None:
    (found,) = evaluate("Clip", [np.arange(5, dtype=np.float32)], {"min": 1.0, "max": 3.0}) or [None]
    assert found is not None
    assert found.tolist() == [1, 1, 2, 3, 3]
    assert found.dtype == np.float32


def test_padding_that_is_computed_by_clip_leaves_no_size_unknown() -> None:
    """As torch exports TensorFlow's padding: how much is missing, but not less than nothing."""
    net = Net(x=(1, 3, 7, 7))
    size = net.op("Gather", net.op("Shape", "x"), net.ints(2), axis=0)
    missing = net.op("Clip", net.op("Sub", net.ints(8), size), net.ints(0))
    # bounds of a Clip are scalars
    scalar = net.op("Squeeze", net.ints(0), net.ints(0))
    net.nodes[-2].input[1] = scalar
    net.nodes[-2], net.nodes[-1] = net.nodes[-1], net.nodes[-2]
    pads = net.op("Concat", net.ints(0, 0, 0, 0, 0, 0), missing, missing, axis=0)
    padded = net.op("Pad", "x", pads)
    graph = Graph(net.model(net.conv(padded, "a", 3, 4)))
    assert graph.shapes[padded] == (1, 3, 8, 8)
    assert totals(graph).macs == 3 * 4 * 64
