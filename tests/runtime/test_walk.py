"""A network that is run piece by piece gives what it gives as a whole, with the weights as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from nasopt.graphs.graph import Graph
from nasopt.graphs.write_back import write_weights
from nasopt.runtime import walk as module
from nasopt.runtime.sessions import open_session
from nasopt.runtime.walk import Walk
from tests.generated import networks, random_feeds
from tests.small import Net, chain

Values = list[dict[str, np.ndarray]]


def whole(model: onnx.ModelProto, batches: Sequence[dict[str, np.ndarray]]) -> Values:
    """Every value of a network, once a batch."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = open_session(watched, optimise=False)
    return [dict(zip(names, session.run(None, batch), strict=True)) for batch in batches]


def close(got: np.ndarray, expected: np.ndarray) -> bool:
    return got.dtype == expected.dtype and got.shape == expected.shape and np.allclose(got, expected, rtol=1e-3, atol=1e-4, equal_nan=True)


def batches_of(model: onnx.ModelProto, count: int = 2) -> list[dict[str, np.ndarray]]:
    return [random_feeds(model, seed) for seed in range(count)]


@settings(max_examples=25)
@given(networks(), st.data())
def test_piece_by_piece_gives_what_the_whole_gives(model: onnx.ModelProto, data: st.DataObject) -> None:
    graph, batches = Graph(model), batches_of(model)
    expected = whole(model, batches)
    stops = sorted(data.draw(st.sets(st.integers(1, len(graph.nodes)), min_size=1, max_size=3)))
    with Walk(graph, batches) as walk:
        for stop in stops:
            ahead = data.draw(st.sampled_from([name for node in graph.nodes[walk.position : stop] for name in node.outputs if name]))
            for batch, (value,) in enumerate(walk.peek([ahead])):
                assert close(value, expected[batch][ahead]), ahead
            walk.advance(stop)
            for name in needed(graph, stop):
                for batch, value in enumerate(walk.values(name)):
                    assert close(value, expected[batch][name]), name


def needed(graph: Graph, position: int) -> list[str]:
    """Values made before a position that are read after it, or given out."""
    made = {name for node in graph.nodes[:position] for name in node.outputs if name}
    read = {name for node in graph.nodes[position:] for name in (*node.inputs, *node.captured)}
    return sorted(made & (read | set(graph.outputs)))


def stored_in_nodes() -> onnx.ModelProto:
    """One weight an initializer, one a Constant, one a fill."""
    net = Net(x=(2, 3, 6, 6))
    kernel = numpy_helper.from_array(net.rng.standard_normal((4, 4, 1, 1)).astype(np.float32))
    y = net.op("Relu", net.conv("x", "a", 3, 4))
    y = net.op("Conv", y, net.op("Constant", out="b", value=kernel))
    one = numpy_helper.from_array(np.array([0.5], np.float32))
    fill = net.op("ConstantOfShape", net.ints(4, 4, 1, 1), out="c", value=one)
    return net.model(net.op("Conv", net.op("Relu", y), fill))


@pytest.mark.parametrize("name", ["a", "b", "c"])
@pytest.mark.parametrize("at", [0, 2])
def test_replaced_weights_hold_for_what_has_not_been_run(name: str, at: int) -> None:
    model = stored_in_nodes()
    graph, batches = Graph(model), batches_of(model)
    new = np.random.default_rng(1).standard_normal(graph.shape(name)).astype(np.float32)
    with Walk(graph, batches) as walk:
        walk.advance(at)
        assert (walk.weight(name) == graph.weights[name].array()).all()
        walk.replace(name, new)
        assert (walk.weight(name) == new).all()
        (output,) = graph.outputs
        seen = [value for (value,) in walk.peek([output])]
        walk.advance(len(graph.nodes))
        given_out = walk.values(output)
    late = at > 0 and name == "a"  # the node that reads it has been run
    expected = whole(model if late else write_weights(model, {name: new}), batches)
    for batch in range(2):
        assert close(seen[batch], expected[batch][output])
        assert close(given_out[batch], expected[batch][output])
        assert late or not close(given_out[batch], whole(model, batches)[batch][output])


def test_large_values_lie_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    model = chain()
    graph, batches = Graph(model), batches_of(model, 3)
    target = graph.nodes[1].outputs[0]
    with Walk(graph, batches, hold=[target]) as walk:
        walk.advance(3)
        kept = {name: [np.array(value) for value in walk.values(name)] for name in (target, graph.nodes[2].outputs[0])}
        assert not any(isinstance(value, np.memmap) for value in walk.values(target))
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    with Walk(graph, batches, hold=[target]) as walk:
        folder = Path(walk._folder.name)
        assert all(isinstance(value, np.memmap) for value in walk.values("x"))
        walk.advance(3)
        for name, expected in kept.items():
            assert all(isinstance(value, np.memmap) for value in walk.values(name))
            assert all((value == other).all() for value, other in zip(walk.values(name), expected, strict=True))
        walk.advance(4)
        assert folder.is_dir()
    assert not folder.exists()


def test_a_value_is_let_go_once_nobody_needs_it() -> None:
    model = chain()
    graph = Graph(model)
    conv, norm, relu, last = (node.outputs[0] for node in graph.nodes)
    with Walk(graph, batches_of(model), hold=[norm]) as walk:
        walk.advance(3)
        assert set(walk._values) == {norm, relu}
        taken = walk.take(norm)
        assert close(taken[1], whole(model, batches_of(model))[1][norm])
        assert set(walk._values) == {relu}
        walk.advance(1)
        assert walk.position == 3, "it does not go back"
        walk.advance(4)
        assert set(walk._values) == {last}
        with pytest.raises(KeyError):
            walk.values(conv)


def test_a_held_value_that_is_still_read_stays() -> None:
    model = chain()
    graph = Graph(model)
    with Walk(graph, batches_of(model), hold=[graph.nodes[0].outputs[0]]) as walk:
        walk.advance(1)
        walk.take(graph.nodes[0].outputs[0])
        walk.advance(4)
        assert close(walk.values(graph.outputs[0])[0], whole(model, batches_of(model))[0][graph.outputs[0]])


def test_subgraphs_see_values_and_weights_from_outside() -> None:
    net = Net(x=(1, 3, 4, 4))
    y = net.conv("x", "a", 3, 4)
    net.weight("w", 4, 1, 1)
    shape = [1, 4, 4, 4]
    branches = [
        helper.make_graph([helper.make_node(op, [y, "w"], ["b"])], op, [], [helper.make_tensor_value_info("b", 1, shape)])
        for op in ("Add", "Mul")
    ]
    positive = net.op("Greater", net.op("ReduceSum", "x", keepdims=0), net.weight("zero"))
    out = net.op("If", positive, then_branch=branches[0], else_branch=branches[1])
    model = net.model(net.op("Relu", out))
    graph, batches = Graph(model), batches_of(model, 4)
    expected = whole(model, batches)
    new = np.full((4, 1, 1), 3, np.float32)
    replaced = whole(write_weights(model, {"w": new}), batches)
    (last,) = graph.outputs
    for stop in range(1, len(graph.nodes)):
        with Walk(graph, batches) as walk:
            walk.advance(stop)
            assert all(close(value, row[last]) for (value,), row in zip(walk.peek([last]), expected, strict=True))
            walk.replace("w", new)
            walk.advance(len(graph.nodes))
            rows = replaced if stop < 4 else expected
            assert all(close(value, row[last]) for value, row in zip(walk.values(last), rows, strict=True))
    assert not close(expected[0][last], replaced[0][last])


def test_values_of_any_type_pass_from_piece_to_piece() -> None:
    net = Net(x=(2, 3, 4, 4), opset=17)
    mask = net.op("Greater", "x", net.weight("zero"))
    count = net.op("Cast", mask, to=TensorProto.INT64)
    model = net.model(net.op("Mul", net.op("Cast", count, to=TensorProto.DOUBLE), net.op("Cast", mask, to=TensorProto.DOUBLE)))
    graph, batches = Graph(model), batches_of(model)
    expected = whole(model, batches)
    with Walk(graph, batches) as walk:
        for stop in range(1, len(graph.nodes) + 1):
            walk.advance(stop)
        assert close(walk.values(graph.outputs[0])[1], expected[1][graph.outputs[0]])


def test_operators_whose_types_only_onnx_runtime_knows() -> None:
    net = Net(x=(1, 3, 4, 4), opset=17)
    y = net.op("Gelu", net.conv("x", "a", 3, 4), domain="com.microsoft")
    net.conv(y, "b", 4, 4)
    model = net.model(y, imports=["com.microsoft"])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("v2", TensorProto.FLOAT, [1, 4, 4, 4]))
    graph, batches = Graph(model), batches_of(model)
    expected = whole(model, batches)
    with Walk(graph, batches) as walk:
        walk.advance(2)
        assert all(close(value, row[graph.outputs[0]]) for (value,), row in zip(walk.peek(graph.outputs), expected, strict=True))


def test_sequences_pass_from_piece_to_piece() -> None:
    net = Net(x=(2, 4, 4, 4), opset=17)
    parts = net.op("SplitToSequence", net.conv("x", "a", 4, 4), net.ints(2, 2), axis=1)
    one = helper.make_tensor("one", TensorProto.INT64, [], [1])
    net.initializers.append(one)
    y = net.conv(net.op("SequenceAt", parts, "one"), "b", 2, 4)
    model = net.model(net.op("Concat", y, net.op("ConcatFromSequence", parts, axis=1), axis=1))
    graph, batches = Graph(model), batches_of(model)
    (output,) = graph.outputs
    expected = [open_session(model).run(None, batch)[0] for batch in batches]
    with Walk(graph, batches) as walk:
        for stop in range(1, len(graph.nodes) + 1):
            walk.advance(stop)
        assert all(close(value, other) for value, other in zip(walk.values(output), expected, strict=True))
