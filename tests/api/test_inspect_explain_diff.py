"""The verbs that only look."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import nasopt
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import load_graph
from nasopt.graphs.model_file import read_model
from nasopt.mutations import MUTATIONS
from tests.small import CUSTOM, Net, chain, compressed, prune_edit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model = chain()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model.producer_name = "tests"
    onnx.save(model, str(tmp_path / "net.onnx"))
    return tmp_path / "net.onnx"


def test_inspect(path: Path) -> None:
    result = nasopt.inspect(path)
    assert result.cost.macs == 36 * (8 * 27 + 32)
    assert (result.cost.params, result.cost.nodes, result.cost.file_bytes) == (216 + 16 + 32, 4, path.stat().st_size)
    assert [(node.op, node.macs, node.output_shape) for node in result.nodes] == [
        ("Conv", 36 * 216, (1, 8, 6, 6)),
        ("BatchNormalization", 0, (1, 8, 6, 6)),
        ("Relu", 0, (1, 8, 6, 6)),
        ("Conv", 36 * 32, (1, 4, 6, 6)),
    ]
    (given,), (made,) = result.inputs, result.outputs
    assert (given.name, given.dtype, given.shape, given.bound) == ("x", "float", ("batch", 3, 6, 6), (1, 3, 6, 6))
    assert (made.shape, made.bound) == ((1, 4, 6, 6), (1, 4, 6, 6))
    assert (result.opset, result.ir_version, result.producer, result.unknown_operators) == ({"": 17}, 8, "tests", {})
    assert nasopt.inspect(path, input_shapes={"x": (3, 3, 6, 6)}).cost.macs == 3 * result.cost.macs


def test_inspect_counts_what_lies_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save_model(chain(), str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    assert nasopt.inspect(path).cost.file_bytes == path.stat().st_size + (tmp_path / "net.data").stat().st_size


def test_inspect_names_what_it_does_not_know(tmp_path: Path) -> None:
    net = Net(x=(1, 3))
    net.op("Strange", "x", domain=CUSTOM)
    onnx.save(net.model(net.op("Relu", "x"), imports=[CUSTOM]), str(tmp_path / "net.onnx"))
    result = nasopt.inspect(str(tmp_path / "net.onnx"))
    assert result.unknown_operators == {f"{CUSTOM}::Strange": 1}
    assert (result.nodes[0].macs, result.nodes[0].output_shape) == (None, None)


def test_explain(path: Path) -> None:
    result = nasopt.explain(path)
    assert [group.name for group in result.groups] == ["a"]
    assert [frozen.name for frozen in result.frozen] == ["a[1]", "b"]
    assert result.reachable_macs == sum(frozen.locked_macs for frozen in result.frozen)
    kept = nasopt.explain(path, preserve=["a"])
    assert kept.groups == ()
    assert kept.reachable_macs == kept.macs == result.macs


@pytest.mark.parametrize("name", ["resnet20_cifar10", "mobilefacenet_112x96", "efficientnet_lite0"])
def test_explain_real_networks(name: str, data: Path) -> None:
    result = nasopt.explain(data / "models" / f"{name}.onnx")
    locked = sum(frozen.locked_macs for frozen in result.frozen)
    assert len(result.groups) >= 12
    assert locked <= result.reachable_macs < 0.01 * result.macs
    assert len({group.name for group in result.groups}) == len(result.groups)


def test_diff(path: Path, tmp_path: Path) -> None:
    original, small, _ = compressed(read_model(path), tmp_path, [prune_edit(chain(), seed=1)])
    result = nasopt.diff(original, small)
    assert result.interface_equal
    assert result.before.macs == totals(load_graph(original)).macs > result.after.macs
    assert {change.kind for change in result.changes} == {"weight shape", "shape"}
    assert nasopt.diff(original, original).changes == ()
    fold = MUTATIONS["fold-batchnorm"].whole(load_graph(original))
    assert fold is not None
    _, folded, _ = compressed(read_model(path), tmp_path, [fold])
    assert nasopt.diff(original, folded).after.nodes == 3
