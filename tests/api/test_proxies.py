"""``nasopt proxies`` from a file to its answer."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper

from nasopt.api.proxies import proxies
from nasopt.cli.main import application
from nasopt.errors import MissingExtraError, ModelNotSupportedError, UsageError
from nasopt.predictors.proxies.registry import PROXIES, scores
from tests.predictors.proxy_networks import CLASSES, ROWS, Small, exported, inputs, labels


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("proxies") / "net.onnx"
    onnx.save(exported(Small().eval()), path)
    return path


def fixed(rows: int, path: Path) -> Path:
    """A file for so many rows, whose Reshape insists on them."""
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Reshape", ["y", "shape"], ["z"]),
        helper.make_node("MatMul", ["z", "w"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "fixed", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 2, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [rows, 4])],
        [
            helper.make_tensor("shape", TensorProto.INT64, [2], [rows, 6]),
            helper.make_tensor("w", TensorProto.FLOAT, [6, 4], np.random.default_rng(0).standard_normal(24).astype(np.float32)),
        ],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_random_inputs_by_the_seed(model: Path) -> None:
    first, again, other = (proxies(model, batch=8, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.scores["nwot"] != other.scores["nwot"]
    assert list(first.scores) == list(PROXIES)
    assert all(math.isfinite(value) for value in first.scores.values())
    assert (first.batch, first.inputs, first.labels) == (8, "random inputs", "random")


def test_given_inputs_and_labels(model: Path, tmp_path: Path) -> None:
    """All rows are looked at, in an order that the seed draws: scores that do not mind order are those of the module."""
    np.save(tmp_path / "x.npy", inputs().numpy())
    np.save(tmp_path / "y.npy", labels().numpy())
    names = ["snip", "fisher", "nwot", "grad_norm", "flops"]
    found = proxies(model, names, data=tmp_path / "x.npy", labels=tmp_path / "y.npy")
    assert found.scores == pytest.approx(scores(Small(), [inputs()], labels(), names=names), rel=1e-3)
    assert (found.batch, found.inputs, found.labels) == (ROWS, "inputs of x.npy", "y.npy")


def test_fewer_rows_than_there_are(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", torch.cat([inputs(seed) for seed in range(4)]).numpy())
    assert proxies(model, ["nwot"], data=tmp_path / "x.npy", batch=5).batch == 5


def test_a_batch_that_is_written_into_the_file(tmp_path: Path) -> None:
    found = proxies(fixed(3, tmp_path / "three.onnx"))
    assert found.batch == 3
    assert found.scores["flops"] == 2 * 6 * 4
    weight = torch.from_numpy(np.random.default_rng(0).standard_normal(24).astype(np.float32)).abs().double()
    assert found.scores["synflow"] == pytest.approx(float(weight.sum()), rel=1e-12)
    with pytest.raises(ModelNotSupportedError, match="no batch of several rows"):
        proxies(fixed(1, tmp_path / "one.onnx"))


def test_bad_input_is_one_line(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", inputs().numpy())
    np.save(tmp_path / "y.npy", labels().numpy() + CLASSES)
    run = lambda *words: CliRunner().invoke(application, ["proxies", str(model), *map(str, words)])  # noqa: E731
    for words, code, said in (
        (["--proxy", "zeno"], 2, "no proxy 'zeno'"),
        (["--labels", tmp_path / "y.npy"], 2, "belong to --data"),
        (["--data", tmp_path / "none.npy"], 2, "none.npy"),
        (["--data", tmp_path / "x.npy", "--labels", tmp_path / "y.npy"], 2, "4 classes"),
        (["--batch", "1"], 2, "--batch"),
    ):
        result = run(*words)
        assert result.exit_code == code, result.output
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    with pytest.raises(UsageError, match="at least 2"):
        proxies(model, batch=1)


def test_the_command_prints_what_the_function_returns(model: Path) -> None:
    result = CliRunner().invoke(application, ["proxies", str(model), "--batch", "8", "--seed", "3", "--json"])
    document = json.loads(result.stdout)
    assert (document["schema"], document["seed"], document["exit"]) == ("nasopt/proxies/1", 3, 0)
    assert document["scores"] == pytest.approx(dict(proxies(model, batch=8, seed=3).scores))


def test_without_torch_one_line_says_so(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("nasopt.predictors.proxies") or name == "nasopt.runtime.bridge"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"zero-cost proxies need PyTorch: pip install 'nasopt\[torch\]'"):
        proxies(model)
    result = CliRunner().invoke(application, ["proxies", str(model)])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
