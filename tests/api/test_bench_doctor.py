"""``bench`` and ``doctor``."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import onnx
import pytest

import nasopt
from nasopt.api import doctor as doctor_module
from tests.small import chain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save(chain(), str(tmp_path / "net.onnx"))
    return tmp_path / "net.onnx"


def test_bench_alone(path: Path) -> None:
    result = nasopt.bench(path, runs=7)
    assert (result.path, result.runs, result.threads, result.against, result.against_latency) == (path, 7, 1, None, None)
    assert 0 < result.latency.q1_ms <= result.latency.median_ms <= result.latency.q3_ms


def test_bench_against_another(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    onnx.save(chain(seed=1), str(other))
    result = nasopt.bench(path, against=str(other), threads=2, runs=5)
    assert (result.against, result.runs, result.threads) == (other, 5, 2)
    assert result.against_latency is not None
    assert result.against_latency.median_ms > 0


def test_doctor_on_this_machine() -> None:
    result = nasopt.doctor()
    assert result.problems == ()
    assert result.versions["nasopt"] == nasopt.__version__
    assert {"click", "numpy", "onnx", "onnxruntime", "pillow", "pymoo", "rich", "safetensors", "scipy"} <= set(result.versions)
    assert {"system", "processor", "cores", "installation"} <= set(result.machine)


def test_doctor_reads_what_the_distribution_requires(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=2", "absent-thing>1", 'torch>=2; extra == "torch"', "absent-extra; extra == 'rare'", 'nasopt[torch]; extra == "all"']
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    monkeypatch.setattr(doctor_module, "_version", lambda name: None if name.startswith("absent") else "1.0")
    result = nasopt.doctor()
    assert result.versions["numpy"] == "1.0"
    assert result.versions["absent-thing"] == "missing"
    assert result.extras == {"torch": True, "rare": False}
    assert result.problems == ("absent-thing is not installed; pip install absent-thing",)


def test_doctor_notices_an_engine_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    (problem,) = nasopt.doctor().problems
    assert problem.startswith("ONNX Runtime does not work")
    assert "no such instruction" in problem
