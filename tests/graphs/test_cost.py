"""Costs: by hand on a small network, and beside onnx-tool and torch on real ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from nasopt.graphs.cost import CostTable, node_uses, totals, unknown_operators
from nasopt.graphs.graph import Graph, load_graph
from tests.small import CUSTOM, Net, chain, units_of

MODELS = ["efficientnet_lite0", "mobilefacenet_112x96", "resnet20_cifar10", "resnet20_cifar10_jpeg_folded", "resnet56_cifar10"]


def test_a_chain_by_hand() -> None:
    graph = Graph(chain())
    conv_a, norm, relu, conv_b = node_uses(graph)
    assert conv_a.macs == 8 * 3 * 9 * 36
    assert conv_b.macs == 4 * 8 * 36
    assert (norm.macs, relu.macs) == (0, 0)
    assert [use.params for use in (conv_a, norm, relu, conv_b)] == [8 * 3 * 9, 16, 0, 32]  # running statistics are no parameters
    assert [use.activation_bytes for use in (conv_a, norm, relu, conv_b)] == [4 * 8 * 36] * 3 + [4 * 4 * 36]
    sums = totals(graph)
    assert sums.macs == conv_a.macs + conv_b.macs
    assert sums.activation_bytes == 4 * 36 * (3 * 8 + 4)
    assert sums.peak_activation_bytes == 4 * 36 * 16  # the norm's input and output


@pytest.mark.parametrize(
    ("shapes", "attributes", "expected"),
    [
        ({"x": (5, 6), "y": (6, 7)}, {}, 5 * 6 * 7),
        ({"x": (2, 3, 5, 6), "y": (2, 3, 6, 7)}, {}, 2 * 3 * 5 * 6 * 7),
        ({"x": (2, 3, 5, 6), "y": (6, 7)}, {}, 2 * 3 * 5 * 6 * 7),
        ({"x": (5, 6), "y": (4, 6, 7)}, {}, 4 * 5 * 6 * 7),
        ({"x": (2, 1, 5, 6), "y": (3, 6, 7)}, {}, 2 * 3 * 5 * 6 * 7),
        ({"x": (6,), "y": (6, 7)}, {}, 6 * 7),
        ({"x": (5, 6), "y": (6,)}, {}, 5 * 6),
        ({"x": (6,), "y": (6,)}, {}, 6),
        ({"x": (3, 6), "y": (2, 6, 7)}, {}, 2 * 3 * 6 * 7),
    ],
)
def test_products_of_every_rank(shapes: dict[str, tuple[int, ...]], attributes: dict[str, int], expected: int) -> None:
    net = Net(**shapes)
    assert totals(Graph(net.model(net.op("MatMul", "x", "y", **attributes)))).macs == expected


@pytest.mark.parametrize("across", [0, 1])
@pytest.mark.parametrize("back", [0, 1])
def test_gemm_in_either_orientation(across: int, back: int) -> None:
    net = Net(x=(6, 5) if across else (5, 6), y=(7, 6) if back else (6, 7))
    assert totals(Graph(net.model(net.op("Gemm", "x", "y", transA=across, transB=back)))).macs == 5 * 6 * 7


def test_grouped_strided_and_transposed_convolutions() -> None:
    net = Net(x=(2, 4, 8, 8))
    grouped = net.op("Conv", "x", net.weight("g", 6, 2, 3, 3), group=2, strides=[2, 2], pads=[1, 1, 1, 1])
    wider = net.op("ConvTranspose", grouped, net.weight("t", 6, 5, 2, 2), strides=[2, 2])
    graph = Graph(net.model(wider))
    assert [use.macs for use in node_uses(graph)] == [2 * 16 * 6 * 2 * 9, 2 * 16 * 6 * 5 * 4]


def test_a_shared_weight_counts_once() -> None:
    net = Net(x=(1, 4, 6, 6))
    w = net.weight("w", 4, 4, 1, 1)
    graph = Graph(net.model(net.op("Conv", net.op("Conv", "x", w), w)))
    assert totals(graph).params == 16
    assert CostTable(units_of(graph.model)).params(np.zeros((1, 0), np.int64))[0] == 16


def test_an_unknown_operator_is_named_and_costs_nothing() -> None:
    net = Net(x=(1, 4, 6, 6))
    net.op("Strange", "x", domain=CUSTOM)
    graph = Graph(net.model(net.op("Relu", "x"), imports=[CUSTOM]))
    assert unknown_operators(graph) == {f"{CUSTOM}::Strange": 1}
    assert [use.macs for use in node_uses(graph)] == [None, 0]


def test_a_population_is_costed_at_once() -> None:
    table = CostTable(units_of(chain()))
    kept = np.array([[8], [4], [1]])
    assert table.macs(kept).tolist() == [36 * n * (27 + 4) for n in (8, 4, 1)]
    assert table.params(kept).tolist() == [n * (27 + 2 + 4) for n in (8, 4, 1)]
    assert table.activation_bytes(kept).tolist() == [4 * 36 * (3 * n + 4) for n in (8, 4, 1)]
    assert table.peak_activation_bytes(kept).tolist() == [4 * 36 * max(2 * n, n + 4, n + 3) for n in (8, 4, 1)]


@pytest.mark.parametrize("name", MODELS)
def test_onnx_tool_agrees_but_for_the_bias(name: str, data: Path) -> None:
    """onnx-tool adds one per output element for a bias, and counts other operators as well; per product all else is equal."""
    path = data / "models" / f"{name}.onnx"
    graph = load_graph(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx_tool = pytest.importorskip("onnx_tool")
        theirs = onnx_tool.Model(str(path), {"verbose": False}).graph
        theirs.graph_reorder_nodes()
        theirs.shape_infer({name: np.zeros(shape, np.float32) for name, shape in graph.bound.items()})
        theirs.profile()
    products = [use for use in node_uses(graph) if use.node.op in ("Conv", "Gemm")]
    assert len(products) >= 20
    for use in products:
        bias = use.activation_bytes // 4 if len(use.node.inputs) > 2 else 0
        assert use.macs is not None
        assert int(theirs.nodemap[use.node.name].macs[0]) == use.macs + bias
    assert totals(graph).macs == sum(use.macs or 0 for use in products)


def test_torch_agrees(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.networks.macs import count
    from benchmarks.networks.resnet import ResNet

    torch.set_num_threads(1)
    network = ResNet((1, 1, 1, 1), 2, 32, classes=10).eval()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.normal_(norm.bias)  # the exporter stores equal tensors once
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros(1, 3, 64, 64),), str(path), dynamo=False)
    macs, parameters = count(network, (1, 3, 64, 64))
    sums = totals(load_graph(path))
    assert sums.macs == macs
    # The exporter folds each norm, two parameters a channel, into a bias, one a channel.
    assert sums.params == parameters - sum(norm.num_features for norm in norms)
