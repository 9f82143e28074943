"""Rankings on the user's inputs by gradients: from the compression's side."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import nasopt
from nasopt.api.preparation import compile_space
from nasopt.errors import MissingExtraError, UsageError
from nasopt.graphs.graph import Graph
from nasopt.mutations.importance import BY_DERIVATIVES
from tests.small import chain

Feeds = list[dict[str, np.ndarray]]


def feeds(count: int = 4) -> Feeds:
    rng = np.random.default_rng(0)
    return [{"x": rng.standard_normal((1, 3, 6, 6)).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("importance", BY_DERIVATIVES)
def test_the_seed_decides_and_progress_is_told(importance: str) -> None:
    told: list[tuple[str, float | None, str]] = []
    found = [
        compile_space(Graph(chain()), (), importance, seed, inputs=feeds(), report=lambda *said: told.append(said))[1].kept_saliency[0]
        for seed in (0, 0, 1)
    ]
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()
    assert ("observe", 1.0, "derivatives") in told


@pytest.mark.parametrize("importance", BY_DERIVATIVES)
def test_without_inputs_it_is_refused(importance: str) -> None:
    with pytest.raises(UsageError, match=rf"^--importance {importance}: .*--data$"):
        compile_space(Graph(chain()), (), importance, 0)


@pytest.mark.parametrize("importance", BY_DERIVATIVES)
def test_without_pytorch_the_extra_is_named(importance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "nasopt.runtime.fisher", raising=False)
    with pytest.raises(MissingExtraError, match=r"nasopt\[torch\]"):
        compile_space(Graph(chain()), (), importance, 0, inputs=feeds())


@pytest.mark.parametrize("importance", BY_DERIVATIVES)
def test_from_file_to_file(importance: str, tmp_path: Path) -> None:
    onnx.save(chain(), str(tmp_path / "net.onnx"))
    np.save(tmp_path / "inputs.npy", np.concatenate([feed["x"] for feed in feeds(40)]))
    result = nasopt.compress(
        tmp_path / "net.onnx", tmp_path / "small.onnx", flops_drop=0.3, granularity=1, generations=3, measure_latency=False,
        importance=importance, data=tmp_path / "inputs.npy",
    )  # fmt: skip
    assert result.importance == importance
    assert result.verification.ok
    assert result.repair is not None
    assert (tmp_path / "small.onnx").exists()


@pytest.mark.parametrize("importance", BY_DERIVATIVES)
def test_a_trained_network(importance: str, data: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.npy"
    np.save(inputs, np.random.default_rng(0).standard_normal((64, 3, 32, 32)).astype(np.float32))
    result = nasopt.compress(
        data / "models" / "resnet20_cifar10_jpeg.onnx", flops_drop=0.3, granularity=4, generations=3, measure_latency=False, dry_run=True,
        importance=importance, data=inputs,
    )  # fmt: skip
    assert result.reached
    assert result.verification.ok
    assert result.repair is not None
    assert result.repair.after < result.repair.before
