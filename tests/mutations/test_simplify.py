"""What computes nothing goes, and the function stays."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from nasopt.api.verify import verify_edits
from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph
from nasopt.mutations import MUTATIONS, Edit, apply_edit
from nasopt.runtime.verify import check_result
from tests.generated import random_network
from tests.small import Net

SIMPLIFY = MUTATIONS["simplify"]


def waste(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """The same network with identities, a dead branch and a twin added behind every few nodes."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    outputs = {value.name for value in model.graph.output}
    nodes: list[onnx.NodeProto] = []
    for place, node in enumerate(model.graph.node):
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        nodes.append(kept)
        if (place + seed) % 3 or node.output[0] in outputs or node.op_type in ("Constant", "ConstantOfShape", "Shape"):
            continue
        name = node.output[0]
        kept.output[0] = f"{name}.raw"
        twin = onnx.NodeProto()
        twin.CopyFrom(kept)
        twin.name = f"{node.name}.twin"
        twin.output[:] = [f"{output}.twin" for output in kept.output]
        nodes.append(twin)
        nodes.append(helper.make_node("Identity", [f"{name}.raw" if place % 2 else f"{name}.raw.twin"], [name], name=f"{name}.same"))
        nodes.append(helper.make_node("Identity", [name], [f"{name}.unused"], name=f"{name}.dead"))
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


@pytest.mark.parametrize("seed", range(40))
def test_waste_is_removed_and_nothing_else_changes(seed: int) -> None:
    model = waste(random_network(seed), seed)
    graph = Graph(model)
    edit = SIMPLIFY.whole(graph)
    assert edit is not None
    outcome, simple = verify_edits(model, [edit], {}, seed=seed, tries=2)
    assert outcome.ok, outcome
    assert [check for check in check_result(graph, simple) if not check.ok] == []
    names = {node.name for node in simple.graph.node}
    assert not any(name.endswith((".same", ".dead", ".twin")) for name in names)
    assert SIMPLIFY.whole(Graph(simple)) is None


def test_each_kind_of_waste() -> None:
    net = Net(x=(1, 3, 6, 6))
    net.op("Conv", "x", net.weight("w", 4, 3, 1, 1), out="kept")
    net.op("Identity", "kept", out="identity")
    net.op("Cast", "identity", to=TensorProto.FLOAT, out="cast")
    net.op("Dropout", "cast", out="dropout")
    net.op("Conv", "x", "w", out="twin")
    net.op("Relu", "twin", out="dead")
    net.op("Conv", "x", net.weight("only_dead", 4, 3, 1, 1), out="dead too")
    net.op("Add", "dropout", "twin", out="sum")
    edit = SIMPLIFY.whole(Graph(net.model("sum")))
    assert edit is not None
    assert set(edit.detail["remove"]) == {"identity", "cast", "dropout", "twin", "dead", "dead too"}
    model = SIMPLIFY.apply(Graph(net.model("sum")), edit)
    assert [(node.op_type, list(node.input)) for node in model.graph.node] == [("Conv", ["x", "w"]), ("Add", ["kept", "kept"])]
    assert [tensor.name for tensor in model.graph.initializer] == ["w"]


def test_what_is_an_output_or_random_or_a_real_cast_stays() -> None:
    net = Net(x=(1, 3, 6, 6))
    net.op("Identity", "x", out="same")
    noise = [net.op("RandomNormalLike", "x"), net.op("RandomNormalLike", "x")]
    half = net.op("Cast", net.op("Cast", "x", to=TensorProto.INT32), to=TensorProto.FLOAT)
    model = net.model("same", net.op("Sub", *noise), half)
    assert SIMPLIFY.whole(Graph(model)) is None


def test_a_script_that_removes_an_unknown_node_is_refused() -> None:
    net = Net(x=(1, 3, 6, 6))
    graph = Graph(net.model(net.op("Relu", "x", out="y")))
    with pytest.raises(InvalidEditError, match="removes node 'z', which this model does not have"):
        apply_edit(graph, Edit("simplify", {"remove": ["z"], "replace": {}}))
