"""Networks on PyTorch: agreement, gradients, names, batches, training mode, and weights written back."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from nasopt.errors import InvalidEditError, ModelNotSupportedError, UsageError
from nasopt.graphs.graph import Graph, load_graph
from nasopt.runtime.bridge import TorchNetwork, to_torch, write_weights
from nasopt.runtime.sessions import open_session, random_inputs, run
from tests.generated import networks, random_network
from tests.generated_blocks import BLOCKS
from tests.small import Net, chain

OPSETS = (7, 9, 11, 13, 18, 26)


def relative(expected: np.ndarray, got: torch.Tensor) -> float:
    array = got.detach().numpy()
    assert array.shape == expected.shape
    assert array.dtype == expected.dtype
    return float(np.abs(array - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-6))


def check(model: onnx.ModelProto) -> TorchNetwork:
    """Agreement with ONNX Runtime, as it is and halved; gradients; the way back."""
    graph = Graph(model)
    feed = random_inputs(graph, 0)
    network = to_torch(graph)
    outputs = network(feed)
    for expected, got in zip(run(open_session(model, optimise=False), feed), outputs, strict=True):
        assert relative(expected, got) < 1e-4
    sum(output.square().sum() for output in outputs).backward()
    assert all(tensor.grad.isfinite().all() for tensor in network.parameters() if tensor.grad is not None)
    assert write_weights(model, network.state_dict()) == model
    halved = {name: tensor.detach() / 2 for name, tensor in network.named_parameters()}
    changed = write_weights(model, halved)
    onnx.checker.check_model(changed)
    for name, tensor in to_torch(Graph(changed)).named_parameters():
        assert torch.equal(tensor, halved[name])
    for expected, got in zip(
        run(open_session(changed, optimise=False), feed), torch.func.functional_call(network, halved, (feed,)), strict=True
    ):
        assert relative(expected, got) < 1e-4
    return network


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(networks())
def test_generated_networks(model: onnx.ModelProto) -> None:
    check(model)


@pytest.mark.parametrize("block", [block for block, _ in BLOCKS], ids=lambda block: block.__name__)
def test_every_block_in_the_opsets_where_operators_changed(block) -> None:
    for opset in OPSETS:
        check(random_network(opset, blocks=[block], opset=opset))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(networks(), st.integers(1, 3))
def test_a_batchable_network_runs_with_any_batch(model: onnx.ModelProto, size: int) -> None:
    network = to_torch(Graph(model))
    if network.batchable and model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        feeds = [random_inputs(Graph(model), seed) for seed in range(size)]
        alone = [network(feed) for feed in feeds]
        together = network({name: np.concatenate([feed[name] for feed in feeds]) for name in network.inputs})
        for batch, *parts in zip(together, *alone, strict=True):
            torch.testing.assert_close(batch, torch.cat(parts), rtol=1e-4, atol=1e-5)


# -- inputs, outputs, values between


def test_inputs_in_order_or_by_name_as_arrays_or_tensors() -> None:
    net = Net(a=("n", 3), b=("n", 3))
    network = to_torch(Graph(net.model(net.op("Sub", "a", "b"), net.op("Neg", "a"))))
    a, b = np.ones((2, 3), np.float32), 3 * np.ones((2, 3), np.float32)
    expected = [torch.full((2, 3), -2.0), torch.full((2, 3), -1.0)]
    for given_ in ((a, b), (torch.tensor(a), b), ({"b": b, "a": torch.tensor(a)},)):
        assert all(torch.equal(x, y) for x, y in zip(network(*given_), expected, strict=True))
    for wrong in ((a,), ({"a": a},), ({"a": a, "b": b, "c": a},)):
        with pytest.raises(UsageError, match="a, b"):
            network(*wrong)


def test_watched_values_carry_gradients() -> None:
    model = chain()
    network = to_torch(Graph(model))
    x = torch.randn(1, 3, 6, 6, requires_grad=True)
    (output,), seen = network.run({"x": x}, watch=["v0", "v2", "x", "a"])
    assert set(seen) == {"v0", "v2", "x", "a"}
    assert seen["x"] is x
    assert torch.equal(seen["v2"], torch.relu(seen["v2"]))
    (gradient,) = torch.autograd.grad(seen["v0"].sum(), network.get_parameter("a"), retain_graph=True)
    assert gradient.abs().sum() > 0
    output.sum().backward()
    assert x.grad is not None
    with pytest.raises(UsageError, match="'nothing'"):
        network.run({"x": x}, watch=["nothing"])


def test_values_go_after_their_last_use() -> None:
    network = to_torch(Graph(chain()))
    assert [step.frees for step in network._steps][1:] == [("v0",), ("v1",), ("v2",)]


def test_a_failing_node_is_named_with_its_operands() -> None:
    network = to_torch(Graph(chain()))
    with pytest.raises(ModelNotSupportedError, match=r"Conv 'node0' \(opset 17\) fails in PyTorch on 1x4x6x6, 8x3x3x3: "):
        network(np.zeros((1, 4, 6, 6), np.float32))


# -- batches


def test_batches() -> None:
    net = Net(x=("n", 4))
    weight = net.weight("w", 4, 4)
    product = net.op("MatMul", "x", weight)
    free, fixed, mixing = net.model(net.op("Relu", product)), None, None
    assert to_torch(Graph(free)).batchable
    net = Net(x=(1, 4))
    fixed = net.model(net.op("Reshape", net.op("MatMul", "x", net.weight("w", 4, 4)), net.ints(1, 2, 2)))
    assert not to_torch(Graph(fixed)).batchable
    net = Net(x=("n", 4))
    mixing = net.model(net.op("Softmax", "x", axis=0))
    assert not to_torch(Graph(mixing)).batchable
    net = Net(x=("n", 4))
    assert not to_torch(Graph(net.model(net.op("ReduceSum", "x", keepdims=0)))).batchable


def test_a_batch_computed_from_the_input_is_any_batch() -> None:
    net = Net(x=("n", 2, 3))
    rows = net.op("Gather", net.op("Shape", "x"), net.ints(0), axis=0)
    model = net.model(net.op("Reshape", "x", net.op("Concat", rows, net.ints(6), axis=0)))
    network = to_torch(Graph(model, {"x": (1, 2, 3)}))
    assert network.batchable
    assert network(torch.zeros(5, 2, 3))[0].shape == (5, 6)


def test_asking_for_batches_leaves_the_mode_as_it_is() -> None:
    network = to_torch(Graph(chain())).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert network.batchable
    assert network.training
    assert all(step.call.training for step in network._steps)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


# -- names


def test_parameters_and_buffers_have_their_onnx_names() -> None:
    net = Net(x=(1, 3, 6, 6))
    hidden = net.norm(net.conv("x", "stage.0/conv.weight", 3, 4, bias=True), "stage.0", 4)
    clipped = net.op("Clip", hidden, net.weight("low", 1)[:0] or net.op("Constant", value_float=-1.0, out="a.low"))
    model = net.model(net.op("Mul", clipped, net.weight("train", 4, 1, 1)))
    del model.graph.initializer[[tensor.name for tensor in model.graph.initializer].index("low")]
    network = to_torch(Graph(model))
    learned = {"stage.0/conv.weight", "stage.0/conv.weight.bias", "stage.0.scale", "stage.0.shift", "train"}
    assert set(dict(network.named_parameters())) == learned
    assert set(dict(network.named_buffers())) == {"stage.0.mean", "stage.0.var", "a.low"}
    assert set(network.state_dict()) == learned | {"stage.0.mean", "stage.0.var", "a.low"}
    check(model)
    copied = copy.deepcopy(network)
    doubled = {name: 2 * tensor for name, tensor in network.state_dict().items()}
    assert not any(copied.load_state_dict(doubled, strict=True))
    x = torch.randn(1, 3, 6, 6)
    assert torch.equal(copied(x)[0], torch.func.functional_call(network, doubled, (x,))[0])
    assert not torch.equal(copied(x)[0], network(x)[0])
    with pytest.raises(RuntimeError, match="other"):
        copied.load_state_dict({**doubled, "other": x}, strict=True)


def test_a_weight_that_two_nodes_read_is_one_parameter() -> None:
    net = Net(x=(1, 4, 5, 5))
    weight = net.weight("w", 4, 4, 1, 1)
    first = net.op("Conv", "x", weight)
    again = net.op("Identity", weight)
    network = check(net.model(net.op("Conv", net.op("Relu", first), again)))
    assert [name for name, _ in network.named_parameters()] == ["w"]


def test_settings_are_buffers() -> None:
    """A scale of one number, bounds, sizes, running averages; a bias that a chain fills with one number as well."""
    net = Net(x=(1, 4, 5, 5))
    net.initializers += [
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("two", 2), ("zero", 0), ("one", [1]))
    ]
    net.initializers.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    weight = net.weight("w", 4, 4, 1, 1)
    width = net.op("Shape", weight, start=0, end=1)
    bias = net.op("Expand", net.op("CastLike", "zero", "x"), width)
    scaled = net.op("Mul", net.op("Mul", net.op("Conv", "x", weight, bias), "two"), "one")
    model = net.model(net.op("Resize", net.op("Clip", scaled, "zero", "two"), "", "scales"))
    network = check(model)
    assert [name for name, _ in network.named_parameters()] == ["w"]
    assert set(dict(network.named_buffers())) >= {"two", "zero", "one", "scales"}
    # The bias is computed when the network is built, and left out of what is saved.
    assert [step.call.node.op for step in network._steps] == ["Conv", "Mul", "Mul", "Clip", "Resize"]
    assert set(network.state_dict()) == {"w", "two", "zero", "one", "scales"}
    state = network.state_dict() | {"zero": torch.tensor(0.5)}
    network.load_state_dict(state)
    assert torch.equal(network.get_buffer(bias), torch.full((4,), 0.5))


def test_what_is_rearranged_first_is_still_a_weight() -> None:
    net = Net(x=(2, 3, 4))
    turned = net.op("Transpose", net.weight("w", 5, 4), perm=[1, 0])
    token = net.op("Expand", net.weight("token", 1, 1, 5), net.ints(2, 1, 5))
    joined = net.op("Concat", token, net.op("MatMul", "x", turned), axis=1)
    network = check(net.model(net.op("Add", joined, net.weight("position", 4, 5))))
    assert {name for name, _ in network.named_parameters()} == {"w", "token", "position"}


# -- training mode


def test_batch_norm_trains_as_torch_trains_it() -> None:
    net = Net(x=("n", 4, 5, 5))
    model = net.model(net.norm("x", "norm", 4), net.op("Identity", "norm.mean"))
    model.graph.node[0].attribute.extend([helper.make_attribute("momentum", 0.8), helper.make_attribute("epsilon", 1e-3)])
    network = to_torch(Graph(model))
    reference = torch.nn.BatchNorm2d(4, eps=1e-3, momentum=1 - 0.8)
    names = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "var"}
    reference.load_state_dict({ours: network.state_dict()[f"norm.{theirs}"] for ours, theirs in names.items()}, strict=False)
    assert not network.training
    for training in (False, True, True, False):
        network.train(training)
        reference.train(training)
        x = torch.randn(6, 4, 5, 5)
        torch.testing.assert_close(network(x)[0], reference(x))
        for ours, theirs in names.items():
            torch.testing.assert_close(network.state_dict()[f"norm.{theirs}"], reference.state_dict()[ours])
    assert torch.equal(network(x)[1], network.get_buffer("norm.mean"))
    moved = write_weights(model, network.state_dict())
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in moved.graph.initializer}
    np.testing.assert_array_equal(stored["norm.mean"], network.get_buffer("norm.mean"))


def test_running_averages_behind_an_identity_move_as_well() -> None:
    net = Net(x=("n", 4, 5, 5))
    net.norm("x", "norm", 4)
    net.nodes.clear()
    parts = [net.op("Identity", f"norm.{part}") for part in ("scale", "shift", "mean", "var")]
    network = to_torch(Graph(net.model(net.op("BatchNormalization", "x", *parts)))).train()
    before = network.get_buffer("norm.mean").clone()
    network(torch.randn(3, 4, 5, 5))
    assert not torch.equal(network.get_buffer("norm.mean"), before)


def test_a_network_learns() -> None:
    network = to_torch(Graph(chain())).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    x, target = torch.randn(1, 3, 6, 6), torch.randn(1, 4, 6, 6)
    losses = []
    for _ in range(20):
        loss = (network(x)[0] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


# -- writing back


def stored_everywhere(ir_version: int = 8) -> onnx.ModelProto:
    """Weights as raw data, as typed fields, as the four spellings of a Constant, and as a fill."""
    net = Net(x=(1, 4))
    names = [net.op("Add", "x", net.weight("raw", 4))]
    net.initializers.append(helper.make_tensor("typed", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0]))
    net.initializers.append(helper.make_tensor("ints", TensorProto.INT64, [1], [4]))
    net.initializers.append(helper.make_tensor("flag", TensorProto.BOOL, [1], [True]))
    names.append(net.op("Mul", names[-1], "typed"))
    names.append(net.op("Add", names[-1], net.op("Constant", value=numpy_helper.from_array(np.ones((1, 4), np.float32)), out="inside")))
    names.append(net.op("Add", names[-1], net.op("Constant", value_floats=[1.0, 2.0, 3.0, 4.0], out="floats")))
    names.append(net.op("Add", names[-1], net.op("Constant", value_float=2.0, out="float")))
    fill = net.op("ConstantOfShape", "ints", value=helper.make_tensor("value", TensorProto.FLOAT, [1], [0.5]), out="fill")
    names.append(net.op("Sub", names[-1], fill))
    names.append(net.op("Where", "flag", names[-1], "x"))
    model = net.model(names[-1])
    model.ir_version = ir_version
    if ir_version < 4:
        model.graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer)
    return model


@pytest.mark.parametrize("ir_version", [3, 8])
def test_weights_go_back_to_where_they_are_stored(ir_version: int) -> None:
    model = stored_everywhere(ir_version)
    before = model.SerializeToString()
    network = to_torch(Graph(model))
    assert {name for name, _ in network.named_parameters()} == {"raw", "typed", "inside", "floats", "fill"}
    assert write_weights(model, network.state_dict()).SerializeToString() == before
    with torch.no_grad():
        for name in ("raw", "typed", "inside", "floats", "float", "fill"):
            tensor = network.state_dict()[name]
            tensor.copy_(torch.randn(tensor.shape))
    changed = write_weights(model, network.state_dict())
    assert model.SerializeToString() == before
    onnx.checker.check_model(changed)
    again = to_torch(Graph(changed))
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in again.state_dict().items())
    feed = random_inputs(Graph(model), 0)
    (expected,) = run(open_session(changed, optimise=False), feed)
    assert relative(expected, network(feed)[0]) < 1e-6
    kinds = {tensor.name: tensor.HasField("raw_data") for tensor in changed.graph.initializer}
    assert (kinds["raw"], kinds["typed"]) == (True, False)
    assert [attribute.name for node in changed.graph.node[2:7] for attribute in node.attribute] == ["value", "value_floats", "value_float"]
    ops = [node.op_type for node in changed.graph.node]
    assert "ConstantOfShape" not in ops
    assert ("fill" in kinds) == (ir_version >= 4)


def test_what_does_not_fit_is_refused() -> None:
    model = stored_everywhere()
    for name, value, message in (
        ("nothing", np.zeros(4, np.float32), "stores no tensor 'nothing'"),
        ("raw", np.zeros(4), "'raw' is stored as float32 4 and was given as float64 4"),
        ("raw", np.zeros((2, 2), np.float32), "given as float32 2x2"),
        ("float", np.zeros(1, np.float32), "'float' is stored as float32 scalar"),
        ("fill", np.zeros(5, np.float32), "'fill' is stored as float32 4"),
        ("floats", np.zeros(4, np.int64), "int64"),
    ):
        with pytest.raises(InvalidEditError, match=message):
            write_weights(model, {name: value})


def test_the_sign_of_a_zero_and_a_nan_are_written() -> None:
    model = stored_everywhere()
    odd = np.array([-0.0, np.nan, np.inf, 0.0], np.float32)
    written = write_weights(model, {"raw": odd, "typed": odd})
    for tensor in written.graph.initializer[:2]:
        assert numpy_helper.to_array(tensor).tobytes() == odd.tobytes()


# -- what is refused


def test_unsupported_operators_are_named_all_at_once() -> None:
    net = Net(x=(1, 4, 4, 4))
    rois = net.weight("rois", 1, 5)
    pooled = net.op("MaxRoiPool", "x", rois, pooled_shape=[2, 2])
    found = net.op("Det", net.op("Relu", pooled))
    model = net.model(net.op("Bernoulli", found))
    custom = helper.make_node("Convv", ["x"], ["z"], name="mine", domain="custom.domain")
    model.graph.node.append(custom)
    model.opset_import.append(helper.make_opsetid("custom.domain", 3))
    with pytest.raises(ModelNotSupportedError) as caught:
        to_torch(Graph(model, origin="net.onnx"))
    message = str(caught.value)
    assert message.startswith("net.onnx: cannot run in PyTorch: ")
    assert "MaxRoiPool 'node0' (opset 17, the closest supported operator is MaxPool)" in message
    assert "Det 'node2' (opset 17" in message
    assert "custom.domain::Convv 'mine' (opset 3, the closest supported operator is Conv)" in message
    assert caught.value.exit_code == 4


def test_control_flow_is_refused_as_such() -> None:
    net = Net(x=(1, 4))
    net.initializers.append(numpy_helper.from_array(np.array(True), "flag"))
    branch = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["n"])], "b", [], [helper.make_tensor_value_info("n", TensorProto.FLOAT, [1, 4])]
    )
    model = net.model(net.op("If", "flag", then_branch=branch, else_branch=branch))
    with pytest.raises(ModelNotSupportedError, match=r"If 'node0' \(opset 17, control flow\)"):
        to_torch(Graph(model))


def test_networks_of_the_repository_agree(data: Path) -> None:
    graph = load_graph(data / "models" / "resnet20_cifar10.onnx")
    feed = random_inputs(graph, 1)
    network = to_torch(graph)
    (expected,) = run(open_session(graph.model, optimise=False), feed)
    assert relative(expected, network(feed)[0]) < 1e-5
    assert network.batchable
