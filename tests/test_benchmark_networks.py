"""The benchmarks' networks are what their names say, and the accuracy protocol gives the known figures."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from benchmarks.networks import NETWORKS, build
from benchmarks.networks.light import light_sources, redraw

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "densenet121", "shufflenet_v2"])
def test_macs_and_parameters_are_the_published_ones(name: str) -> None:
    from benchmarks.networks.macs import count

    network = NETWORKS[name]
    macs, parameters = count(network.builder().eval(), network.input_shape)
    assert macs / 1e9 == pytest.approx(network.gmacs, rel=0.01)
    assert parameters / 1e6 == pytest.approx(network.mparams, rel=0.005)


def test_an_export_is_valid_cached_and_agrees_with_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASOPT_BENCH_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = build("yolo_c3_anchors", "legacy-bn")  # compares with torch before it returns
    onnx.checker.check_model(path, full_check=True)
    written = path.stat().st_mtime_ns
    assert build("yolo_c3_anchors", "legacy-bn").stat().st_mtime_ns == written
    assert any(node.op_type == "BatchNormalization" for node in onnx.load(path).graph.node)


def test_light_models_get_weights_that_tell_inputs_apart() -> None:
    import onnxruntime

    model = redraw(onnx.load(light_sources()["light_shufflenet"]), seed=1)
    onnx.checker.check_model(model, full_check=True)
    assert not any(node.op_type == "ConstantOfShape" for node in model.graph.node)
    norm = next(node for node in model.graph.node if node.op_type == "BatchNormalization")
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert weights[norm.input[4]].std() > 0
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    first, second = (session.run(None, {"gpu_0/data_0": rng.standard_normal((1, 3, 224, 224)).astype(np.float32)})[0] for _ in range(2))
    assert np.abs(first - second).max() > 0.05 * np.abs(first).max()


def test_accuracy_of_a_prefix_of_the_test_set(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.accuracy_data import details

    monkeypatch.setenv("NASOPT_BENCH_CACHE", str(tmp_path))
    result = details(data / "models" / "resnet20_cifar10_jpeg.onnx", "cifar10", limit=300)
    assert result["count"] == 300
    assert abs(result["accuracy"] - 0.879) < 4 * result["error"]


def test_the_torch_twin_of_the_peers_agrees_with_the_file(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.peer_torch_pruning import agreement, load, macs

    monkeypatch.setenv("NASOPT_BENCH_CACHE", str(tmp_path))
    assert agreement("resnet20") < 1e-5
    assert macs(load("resnet20")) == 40_551_040
