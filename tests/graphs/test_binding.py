"""Binding dynamic dimensions."""

from __future__ import annotations

import onnx
import pytest

from nasopt.errors import ModelNotSupportedError, UsageError
from nasopt.graphs.binding import declared_shape
from nasopt.graphs.graph import Graph
from tests.small import Net


def pair(first: tuple[int | str, ...], second: tuple[int | str, ...] = (1, 2)) -> onnx.ModelProto:
    net = Net(x=first, z=second)
    return net.model(net.op("Relu", "x"), net.op("Relu", "z"))


def test_fixed_shapes_and_a_dynamic_batch_need_no_help() -> None:
    graph = Graph(pair(("batch", 3, 6, 6), (4, 2)))
    assert graph.bound == {"x": (1, 3, 6, 6), "z": (4, 2)}
    assert graph.shape(graph.outputs[0]) == (1, 3, 6, 6)
    assert declared_shape(graph.model.graph.input[0]) == ("batch", 3, 6, 6)


def test_a_size_of_minus_one_is_dynamic() -> None:
    """As older PaddlePaddle exporters write it."""
    net = Net(x=(1, 3, 6, 6))
    model = net.model(net.op("Relu", "x"))
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = -1
    assert declared_shape(model.graph.input[0]) == ("?", 3, 6, 6)
    assert Graph(model).bound == {"x": (1, 3, 6, 6)}


def test_what_is_given_is_taken() -> None:
    assert Graph(pair(("n", 3, "h", "w")), {"x": (2, 3, 5, 7)}).bound["x"] == (2, 3, 5, 7)


def test_a_name_stands_for_one_size() -> None:
    assert Graph(pair(("n", 3), ("n", 2)), {"x": (5, 3)}).bound["z"] == (5, 2)


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (pair((1, 3)), {"y": (1, 3)}, "--input-shape names 'y', which is no input of the model; its inputs are: x, z"),
        (pair((1, 3)), {"x": (1, 3, 4)}, "--input-shape x: has 3 dimensions, the input has 2: 1x3"),
        (pair((1, 3)), {"x": (1, 4)}, "--input-shape x: dimension 1 is 3 in the model, not 4"),
        (pair((1, "c")), {}, r"input 'x' has a dynamic dimension 1 \('c'\).*--input-shape x:1,224"),
        (pair(("n", 3), ("n", 2)), {"x": (5, 3), "z": (4, 2)}, r"dimension 0 \('n'\) is 4 here and 5 in another input"),
        (pair(("n", 3)), {"x": (0, 3)}, "dimension 0 is 0; sizes must be positive"),
        (pair(("n", 3)), {"x": (-1, 3)}, "sizes must be positive"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(model: onnx.ModelProto, given: dict[str, tuple[int, ...]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Graph(model, given)


def test_an_input_without_any_shape_must_be_given_one() -> None:
    model = pair((1, 3))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UsageError, match="input 'x' declares no shape"):
        Graph(model)


def test_a_model_whose_input_holds_nothing_is_refused() -> None:
    with pytest.raises(ModelNotSupportedError, match="holds nothing: dimension 0 is 0"):
        Graph(pair((0, 3)))
