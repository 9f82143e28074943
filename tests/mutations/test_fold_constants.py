"""Constants that exporters spell as programs become weights of their readers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nasopt.api.preparation import prepare
from nasopt.api.verify import verify_edits
from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph
from nasopt.mutations import MUTATIONS, Edit, apply_edit
from tests.small import Net, groups, prune_edit

FOLD = MUTATIONS["fold-constants"]


def expanded_bias(**options: object) -> onnx.ModelProto:
    """Two convolutions that share one zero bias, as torch's exporter writes it; a third reads what they make."""
    net = Net(x=(1, 3, 6, 6), opset=18, **options)  # type: ignore[arg-type]
    zero = net.op("CastLike", net.op("Constant", value_int=0), "x", out="zero")
    a, b = net.weight("a", 8, 3, 1, 1), net.weight("b", 8, 8, 1, 1)
    bias = net.op("Expand", zero, net.op("Shape", a, start=0, end=1), out="bias")
    hidden = net.op("Relu", net.op("Conv", "x", a, bias))
    hidden = net.op("Relu", net.op("Conv", hidden, b, bias))
    return net.model(net.conv(hidden, "c", 8, 4))


def test_each_reader_gets_a_weight_of_its_own() -> None:
    model = expanded_bias()
    edit = FOLD.whole(Graph(model))
    assert edit is not None
    assert "bias" in edit.detail["fold"]
    folded = apply_edit(Graph(model), edit)
    biases = [node.input[2] for node in folded.graph.node if node.op_type == "Conv" and len(node.input) > 2]
    assert len(set(biases)) == 2
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in folded.graph.initializer}
    for name in biases:
        assert stored[name].dtype == np.float32
        assert stored[name].tolist() == [0.0] * 8
    assert FOLD.whole(Graph(folded)) is None


def test_channels_with_a_folded_bias_can_go_and_nothing_is_lost() -> None:
    model = expanded_bias()
    edits, graph = prepare(Graph(model))
    assert [edit.kind for edit in edits] == ["fold-constants", "simplify"]
    assert {node.op for node in graph.nodes} == {"Conv", "Relu"}
    assert groups(graph.model) == {"a": (8, 1), "b": (8, 1)}
    outcome, same = verify_edits(model, edits, {}, seed=0, tries=2)
    assert outcome.ok, outcome
    assert len(same.graph.node) == 5
    outcome, pruned = verify_edits(model, [*edits, prune_edit(graph.model, seed=0, share=0.9)], {}, seed=0, tries=2)
    assert outcome.ok, outcome
    shapes = {tensor.name: list(tensor.dims) for tensor in pruned.graph.initializer}
    assert shapes["a"][0] < 8
    assert shapes["b"][0] < 8


def test_what_depends_on_the_shape_of_an_input_is_left() -> None:
    net = Net(x=("batch", 3, 6, 6), opset=18)
    batch = net.op("Shape", "x", start=0, end=1)
    ones = net.op("Expand", net.op("Constant", value_float=1.0), net.op("Concat", batch, net.ints(3, 6, 6), axis=0))
    graph = Graph(net.model(net.op("Add", "x", ones)), {"x": (2, 3, 6, 6)})
    assert batch in graph.constants  # known under this shape, and no other
    edit = FOLD.whole(graph)
    assert edit is None or not {batch, ones} & set(edit.detail["fold"])


def test_before_ir_version_4_nothing_is_folded() -> None:
    model = expanded_bias()
    model.ir_version = 3
    assert FOLD.whole(Graph(model)) is None


def test_a_script_that_folds_an_unknown_value_is_refused() -> None:
    with pytest.raises(InvalidEditError, match="folds 'y', which is no constant of this model"):
        apply_edit(Graph(expanded_bias()), Edit("fold-constants", {"fold": ["y"]}))
