"""A latency budget on devices whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

import nasopt
from nasopt.api import compress as compressing
from nasopt.api.latency_goal import LatencyGoal
from nasopt.errors import ConstraintUnreachableError, DeviceError, ModelNotSupportedError, UsageError
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.runtime.devices.contract import Opened
from nasopt.runtime.devices.store import Device, Resolved

Truth = Callable[[Graph], float]


class Clockwork(Opened):
    """Says how long a network takes without running it."""

    def __init__(self, milliseconds: float) -> None:
        self.milliseconds = milliseconds

    def __call__(self) -> float:
        return self.milliseconds


@dataclass(frozen=True)
class Fake:
    """A back-end of `Clockwork`."""

    truth: Truth
    name: str = "fake"
    threads: int = 1
    warm_up: int = 1
    fewest: int = 3
    most: int = 3

    def open(self, model: onnx.ModelProto | Path, inputs: dict[str, np.ndarray]) -> Opened:
        proto = onnx.load(model) if isinstance(model, Path) else model
        return Clockwork(self.truth(Graph(proto, {name: array.shape for name, array in inputs.items()})))


def on(monkeypatch: pytest.MonkeyPatch, truth: Truth) -> None:
    """All that follows is timed on such a device."""
    resolved = Resolved(Device("fake", "onnxruntime", 1, None, None), Fake(truth), None)
    monkeypatch.setattr(compressing, "resolve", lambda *_, **__: resolved)


def roofline(graph: Graph) -> float:
    cost = totals(graph)
    return 0.2 + cost.macs / 1e7 + cost.activation_bytes / 4e6 + cost.params / 2e6


def saturating(graph: Graph) -> float:
    """Takes longer than any sum of operators for small networks: what was learned far above misleads."""
    return 1.0 + (totals(graph).macs / 1e6) ** 0.4


@pytest.mark.parametrize("drop", [0.1, 0.3])
@pytest.mark.parametrize("truth", [roofline, saturating])
def test_the_drop_is_measured_and_predicted(monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path, truth: Truth, drop: float) -> None:
    on(monkeypatch, truth)
    output = tmp_path / "small.onnx"
    result = nasopt.compress(data / "models/resnet20_cifar10_jpeg.onnx", output, latency_drop=drop, generations=15, compensate=False)
    before, after = (truth(Graph(onnx.load(path))) for path in (result.path, output))
    assert after <= (1 - drop) * before
    assert result.exit_code == 0
    assert result.drop["latency"] == pytest.approx(1 - after / before)
    assert result.asked == {"latency": drop}
    told = result.latency and result.latency.predicted
    assert told is not None
    assert told.ms == pytest.approx(after, rel=0.1)
    assert told.device == "fake"
    assert 16 <= told.timings <= 20
    # Not much more is given away than was asked for.
    assert after > (1 - drop) * before * 0.8


def test_an_answer_that_is_much_too_fast_is_not_the_last(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    on(monkeypatch, roofline)
    known, first = LatencyGoal.milliseconds, 16
    monkeypatch.setattr(LatencyGoal, "milliseconds", lambda goal, kept: known(goal, kept) * (1.3 if len(goal.timings) <= first else 1.0))
    model = data / "models/resnet20_cifar10_jpeg.onnx"
    result = nasopt.compress(model, latency_drop=0.2, generations=10, dry_run=True, compensate=False)
    assert 0.2 <= result.drop["latency"] < 0.3  # 0.38 as the first prediction has it
    assert result.latency is not None
    assert result.latency.predicted is not None
    assert result.latency.predicted.timings > first


def test_other_drops_hold_as_well(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    on(monkeypatch, roofline)
    result = nasopt.compress(
        data / "models/resnet20_cifar10_jpeg.onnx", latency_drop=0.1, params_drop=0.5, dry_run=True, generations=10, compensate=False
    )
    assert result.drop["params"] >= 0.5
    assert result.drop["latency"] >= 0.1


def test_what_never_gets_faster_is_out_of_reach(monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path) -> None:
    on(monkeypatch, lambda _graph: 5.0)
    output = tmp_path / "small.onnx"
    model = data / "models/resnet20_cifar10_jpeg.onnx"
    with pytest.raises(ConstraintUnreachableError, match="latency") as raised:
        nasopt.compress(model, output, latency_drop=0.3, generations=5, compensate=False)
    assert raised.value.reachable["latency"] < 0.3
    assert not list(tmp_path.iterdir())
    result = nasopt.compress(model, output, latency_drop=0.3, generations=5, compensate=False, best_effort=True)
    assert result.exit_code == 3
    assert output.exists()


def test_variants_that_fail_are_left_out(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    seen = []

    def fragile(graph: Graph) -> float:
        seen.append(totals(graph).macs)
        if len(seen) in (4, 8, 9):
            raise ModelNotSupportedError("this one not")
        return roofline(graph)

    on(monkeypatch, fragile)
    result = nasopt.compress(
        data / "models/resnet20_cifar10_jpeg.onnx", latency_drop=0.2, dry_run=True, generations=10, compensate=False
    )  # fmt: skip
    assert result.drop["latency"] >= 0.2
    assert result.latency is not None
    assert result.latency.predicted is not None
    assert result.latency.predicted.timings < 20


def test_a_device_that_runs_nothing_ends_it(monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path) -> None:
    whole = totals(Graph(onnx.load(data / "models/resnet20_cifar10_jpeg.onnx"))).macs

    def broken(graph: Graph) -> float:
        if totals(graph).macs != whole:
            raise DeviceError("fails")
        return 1.0

    on(monkeypatch, broken)
    with pytest.raises(DeviceError, match="nothing that it can be pruned to"):
        nasopt.compress(data / "models/resnet20_cifar10_jpeg.onnx", tmp_path / "small.onnx", latency_drop=0.2, generations=5)
    on(monkeypatch, lambda _graph: broken(_graph) if totals(_graph).macs != whole else (_ for _ in ()).throw(DeviceError("no board")))
    with pytest.raises(DeviceError, match="no board"):
        nasopt.compress(data / "models/resnet20_cifar10_jpeg.onnx", tmp_path / "small.onnx", latency_drop=0.2, generations=5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latency_drop": 1.2}, "between 0 and 1"),
        ({"latency_drop": 0.2, "measure_latency": False}, "leave --no-latency out"),
        ({"latency_drop": 0.2, "device": "nowhere"}, "nowhere"),
        ({}, "--latency-drop"),
    ],
)
def test_what_cannot_be_asked(data: Path, options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        nasopt.compress(data / "models/resnet20_cifar10_jpeg.onnx", dry_run=True, **options)


def test_measured_candidates_are_fast_enough(monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path) -> None:
    on(monkeypatch, saturating)
    images = tmp_path / "images.npy"
    np.save(images, np.random.default_rng(0).standard_normal((48, 3, 32, 32)).astype(np.float32))
    result = nasopt.compress(
        data / "models/resnet20_cifar10_jpeg.onnx", latency_drop=0.3, data=images, dry_run=True, generations=10, measure=2
    )  # fmt: skip
    assert result.drop["latency"] >= 0.3
    chosen = next(one for one in result.measured if one.chosen)
    assert chosen.latency is not None
    assert chosen.latency <= 0.7
