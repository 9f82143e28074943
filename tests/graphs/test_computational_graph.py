"""Computational graphs: the golden files are read, written and rebuilt; other networks come out as the rules say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from nasopt.errors import UsageError
from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.computational_graph import VOCABULARY, CGNode, ComputationalGraph
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.spaces.network import Network
from nasopt.spaces.registry import SPACES, get_space
from tests.graphs import golden
from tests.small import Net

REBUILT = """
samples_resnet50_resnet50 samples_resnet101_resnet101 samples_vgg_vgg16_bn samples_vgg_vgg_autogo samples_nb101_best_autogo
samples_hiaml_best_autogo samples_edsr_autogo_arch1 hiaml_best samples_resnet50_autogo_arch1 samples_resnet101_autogo_arch2
""".split()
"""Networks of square strides without operations that an ONNX network has no node for."""


@pytest.fixture(scope="module")
def samples(data: Path) -> list[Path]:
    found = sorted((data / "data/cg_samples").glob("*.json"))
    assert len(found) == 21
    return found


def test_golden_files_are_written_as_they_were_read(samples: list[Path]) -> None:
    for path in samples:
        assert golden.read(path).to_json() == path.read_text(), path.name


def test_golden_files_have_features(samples: list[Path]) -> None:
    for path in samples:
        graph = golden.read(path)
        features = graph.features()
        body = json.loads(path.read_text())
        assert len(features.weighted_ops) == body["n_weighted"] == graph.weighted
        ops = np.concatenate([features.weighted_ops, features.regular_ops])
        assert ops.tolist() == [node["op_idx"] for node in body["nodes"]]
        wanted = np.array([node["res"] for node in body["nodes"]]) / [256, 256, 256, 256, 512, 512]
        np.testing.assert_allclose(features.resolutions, wanted, rtol=1e-6)
        assert features.kernels.max() < 8
        assert features.edges.T.tolist() == body["edges"]


@pytest.mark.parametrize("name", REBUILT)
def test_networks_rebuilt_as_described_give_equal_graphs(data: Path, name: str) -> None:
    graph = golden.read(data / f"data/cg_samples/{name}.json")
    found = computational_graph(Graph(golden.network(graph)))
    assert found.fingerprint() == graph.fingerprint()
    assert found.flops() == graph.flops()
    assert found.input_shape == graph.input_shape
    assert (found.weighted, len(found.nodes), len(found.edges)) == (graph.weighted, len(graph.nodes), len(graph.edges))


def test_a_fingerprint_forgets_order_and_names_and_nothing_else(data: Path) -> None:
    graph = golden.read(data / "data/cg_samples/hiaml_best.json")
    rng = np.random.default_rng(0)
    order = rng.permutation(len(graph.nodes))
    place = np.argsort(order)
    nodes = [replace(graph.nodes[old], name="", label="") for old in order]
    shuffled = ComputationalGraph.ordered("other", graph.input_shape, nodes, {(int(place[a]), int(place[b])) for a, b in graph.edges})
    assert shuffled.fingerprint() == graph.fingerprint()
    fewer = replace(graph, edges=graph.edges[1:])
    first = graph.nodes[0]
    biased = replace(graph, nodes=(replace(first, bias=not first.bias), *graph.nodes[1:]))
    assert len({graph.fingerprint(), fewer.fingerprint(), biased.fingerprint()}) == 3


NO_WORD = {"id": "", "label": "", "op": "convolution", "op_idx": 3, "weighted": False, "res": [1] * 6, "strides": None, "metadata": None}


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": 3},
        {"edges": [[0, 10**6]]},
        {"edges": [["a", 1]]},
        {"nodes": [{"op": "conv"}]},
        {"name": None, "input_shape": "x"},
        {"nodes": [NO_WORD]},
    ],
)
def test_what_is_no_computational_graph_is_refused(data: Path, change: dict[str, object]) -> None:
    body = json.loads((data / "data/cg_samples/two_path_best.json").read_text()) | change
    with pytest.raises(UsageError, match=r"not a computational graph|not there"):
        ComputationalGraph.from_json(json.dumps(body))
    with pytest.raises(UsageError, match="not a computational graph"):
        ComputationalGraph.from_json("{")


def ops(model: onnx.ModelProto) -> list[str]:
    return [node.op for node in computational_graph(Graph(model)).nodes]


def test_a_bias_added_afterwards_belongs_to_its_layer() -> None:
    net = Net(x=("N", 3, 8, 8))
    y = net.op("Add", net.conv("x", "a", 3, 4), net.weight("bias", 4, 1, 1))
    graph = computational_graph(Graph(net.model(net.op("Relu", y))))
    assert [node.op for node in graph.nodes] == ["conv", "input", "relu", "output"]
    assert graph.nodes[0].bias


def test_what_only_moves_data_is_left_out() -> None:
    net = Net(x=("N", 4, 6, 6))
    y = net.op("Transpose", net.conv("x", "a", 4, 8), perm=[0, 2, 3, 1])
    y = net.op("Transpose", net.op("Relu", y), perm=[0, 3, 1, 2])
    y = net.op("Flatten", net.op("GlobalAveragePool", y))
    graph = computational_graph(Graph(net.model(y)))
    assert [node.op for node in graph.nodes] == ["conv", "input", "relu", "mean", "output"]
    relu, mean = graph.nodes[2], graph.nodes[3]
    assert relu.resolution == (6, 6, 6, 6, 8, 8)  # though its channels stand last
    assert mean.resolution == (6, 1, 6, 1, 8, 8)
    assert graph.edges == ((0, 2), (1, 0), (2, 3), (3, 4))


def test_a_gate_of_its_own_is_one_swish_and_one_of_another_is_not() -> None:
    net = Network("swish", (8, 6, 6))
    x = net.act(net.conv(net.input, 8), "swish")
    assert sorted(ops(net.finish(x))) == ["conv", "input", "output", "swish"]
    net = Network("gate", (8, 6, 6))
    x = net.conv(net.input, 8)
    gate = net.sigmoid(net.conv(net.global_pool(x), 8, bias=True))
    assert sorted(ops(net.finish(net.mul(x, gate)))) == ["conv", "conv", "input", "mean", "mul", "output", "sigmoid"]


def test_nothing_is_a_zero() -> None:
    space = get_space("nasbench201")
    graph = Graph(space.build(space.parse("|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|avg_pool_3x3~2|")))
    words = [node.op for node in computational_graph(graph).nodes]
    assert words.count("zero") == 3 * 15
    assert set(words) <= set(VOCABULARY)


def test_dense_layers_and_sums_of_stored_numbers() -> None:
    net = Net(x=("N", 16))
    y = net.op("Add", net.op("MatMul", "x", net.weight("w", 16, 4)), net.weight("b", 4))
    net.initializers.append(numpy_helper.from_array(np.float32(2), "two"))
    y = net.op("Mul", net.op("Tanh", y), "two")
    graph = computational_graph(Graph(net.model(y)))
    assert [node.op for node in graph.nodes] == ["matmul", "input", "tanh", "output"]
    assert graph.nodes[0].shape == (16, 4, 0, 0)
    assert graph.nodes[0].bias


@pytest.mark.parametrize("name", [name for name in SPACES if not name.startswith("transnas")])
def test_networks_of_all_spaces_have_one_connected_graph(name: str) -> None:
    space = get_space(name)
    for seed in range(3):
        graph = Graph(space.build(space.sample(np.random.default_rng(seed))))
        found = computational_graph(graph)
        assert {node.op for node in found.nodes} <= set(VOCABULARY)
        entered = {end for _, end in found.edges}
        assert [node.op for place, node in enumerate(found.nodes) if place not in entered] == ["input"]
        assert ComputationalGraph.from_json(found.to_json()).fingerprint() == found.fingerprint()
        macs = sum(_macs(node) for node in found.nodes)
        assert macs == totals(graph).macs or name == "fbnet"  # the counter knows no groups


def _macs(node: CGNode) -> int:
    if node.shape is None:
        return 0
    kernel = int(max(node.shape[2], 1) * max(node.shape[3], 1))
    channels = node.resolution[4] * (1 if node.op == "depthwise" else node.resolution[5])
    return kernel * channels * node.resolution[1] * node.resolution[3]


def test_real_networks_have_graphs(data: Path) -> None:
    from nasopt.graphs.graph import load_graph

    for name in ("resnet20_cifar10_jpeg", "mobilefacenet_112x96", "efficientnet_lite0"):
        graph = load_graph(data / f"models/{name}.onnx")
        found = computational_graph(graph)
        assert sum(_macs(node) for node in found.nodes) == totals(graph).macs
        assert found.nodes[-1].op == "output" or any(node.op == "output" for node in found.nodes)


def test_constant_folding_leaves_no_node() -> None:
    value = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones((1, 3, 4, 4), np.float32)))
    net = Net(x=("N", 3, 4, 4))
    net.nodes.append(value)
    assert ops(net.model(net.op("Relu", net.op("Add", "x", "c")))) == ["input", "relu", "output"]


def test_what_is_made_of_stored_numbers_is_left_out() -> None:
    """A convolution whose weights are standardised in the graph."""
    net = Net(x=(1, 3, 6, 6))
    weight = net.weight("w", 4, 3, 1, 1)
    standardised = net.op("Mul", net.op("Sub", weight, net.op("ReduceMean", weight, axes=[1, 2, 3])), net.weight("gain", 4, 1, 1, 1))
    made = net.op("InstanceNormalization", standardised, net.weight("scale", 3), net.weight("shift", 3))
    graph = computational_graph(Graph(net.model(net.op("Relu", net.op("Conv", "x", made)))))
    assert sorted(node.op for node in graph.nodes) == ["conv", "input", "output", "relu"]
    assert len(graph.edges) == 3
