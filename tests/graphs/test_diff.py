"""What differs between two models, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nasopt.graphs.diff import changes, interface_changes
from nasopt.graphs.graph import Graph
from nasopt.mutations import MUTATIONS, apply_edit
from tests.generated import random_network
from tests.small import chain, prune_edit


def changed(edit: Callable[[onnx.ModelProto], None]) -> onnx.ModelProto:
    model = chain()
    edit(model)
    return model


def kinds(model: onnx.ModelProto) -> list[tuple[str, str, str, str]]:
    return [(change.kind, change.name, change.before, change.after) for change in changes(Graph(chain()), Graph(model))]


@pytest.mark.parametrize("seed", range(5))
def test_a_model_does_not_differ_from_itself(seed: int) -> None:
    model = random_network(seed)
    assert changes(Graph(model), Graph(model)) == ()
    assert interface_changes(Graph(model), model) == []


def test_a_pruned_model_differs_in_shapes_only() -> None:
    model = apply_edit(Graph(chain()), prune_edit(chain(), seed=1))
    found = kinds(model)
    stays = next(after for kind, name, _, after in found if (kind, name) == ("weight shape", "n.scale"))
    assert 1 <= int(stays) < 8
    assert {(kind, name, before, after) for kind, name, before, after in found} == {
        ("weight shape", "a", "8x3x3x3", f"{stays}x3x3x3"),
        ("weight shape", "b", "4x8x1x1", f"4x{stays}x1x1"),
        *(("weight shape", f"n.{part}", "8", stays) for part in ("scale", "shift", "mean", "var")),
        *(("shape", f"node{place}", "1x8x6x6", f"1x{stays}x6x6") for place in range(3)),
    }


def test_weights_with_other_values() -> None:
    def edit(model: onnx.ModelProto) -> None:
        values = numpy_helper.to_array(model.graph.initializer[1]).copy()
        values[3] += 1
        model.graph.initializer[1].CopyFrom(numpy_helper.from_array(values, "n.scale"))

    assert kinds(changed(edit)) == [("weight values", "n.scale", "8", "1 of 8 elements differ, by at most 1")]


def test_an_attribute() -> None:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.node[1].attribute.append(helper.make_attribute("epsilon", 0.5))

    assert kinds(changed(edit)) == [("attribute", "node1.epsilon", "default", "0.5")]


def test_another_operator_is_a_node_that_came_and_one_that_went() -> None:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.node[2].op_type = "Sigmoid"

    assert kinds(changed(edit)) == [("node removed", "node2", "Relu", ""), ("node added", "node2", "", "Sigmoid")]


def test_inputs_that_were_rewired() -> None:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.node[3].input[0] = model.graph.node[1].output[0]

    assert kinds(changed(edit)) == [("inputs", "node3", "v2, b", "v1, b")]


def test_a_node_whose_output_has_another_name_is_the_same_node() -> None:
    model = chain()
    edit = MUTATIONS["fold-batchnorm"].whole(Graph(model))
    assert edit is not None
    found = kinds(apply_edit(Graph(model), edit))
    assert ("node removed", "node1", "BatchNormalization", "") in found
    assert ("outputs", "node0", "v0", "v1") in found
    assert ("weight added", "v1.bias", "", "8") in found
    assert not any(kind == "node added" for kind, *_ in found)


def test_the_type_of_a_weight() -> None:
    def edit(model: onnx.ModelProto) -> None:
        values = numpy_helper.to_array(model.graph.initializer[0]).astype(np.float64)
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "a"))

    assert kinds(changed(edit)) == [("weight shape", "a", "8x3x3x3", "double 8x3x3x3")]


INTERFACES: list[tuple[Callable[[onnx.ModelProto], object], str]] = [
    (lambda m: setattr(m.graph.input[0], "name", "y"), "inputs: x float 1x3x6x6 became y float 1x3x6x6"),
    (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_param", "n"), "inputs: x float 1x3x6x6 became x float nx3x6x6"),
    (lambda m: m.graph.output.append(helper.make_tensor_value_info("v1", TensorProto.FLOAT, [1, 8, 6, 6])), "outputs: "),
    (lambda m: setattr(m.opset_import[0], "version", 18), r"opsets: \{'': 17\} became \{'': 18\}"),
    (lambda m: m.metadata_props.pop(), "metadata: 'mine' is lost or changed"),
    (lambda m: setattr(m.metadata_props[0], "value", "other"), "metadata: 'mine' is lost or changed"),
    (lambda m: m.functions.append(onnx.FunctionProto(name="F")), "model functions differ"),
]


@pytest.mark.parametrize(("edit", "said"), INTERFACES, ids=[said[:20] for _, said in INTERFACES])
def test_what_belongs_to_the_interface(edit: Callable[[onnx.ModelProto], object], said: str) -> None:
    before = chain()
    before.metadata_props.add(key="mine", value="value")
    after = onnx.ModelProto()
    after.CopyFrom(before)
    after.metadata_props.add(key="nasopt.script", value="small.json")
    assert interface_changes(Graph(before), after) == []
    after.metadata_props.pop()
    edit(after)
    (found,) = interface_changes(Graph(before), after)
    assert re.match(said, found), found
