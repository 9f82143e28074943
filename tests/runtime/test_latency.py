"""Latency: what is measured, and when a result counts as slower. No test asserts a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs.graph import Graph
from nasopt.runtime import latency
from nasopt.runtime.sessions import random_inputs
from tests.small import chain


def inputs() -> dict[str, np.ndarray]:
    return random_inputs(Graph(chain()), 0)


def test_networks_are_timed_in_turns(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(chain(), str(path))
    times = latency.timings([chain(), path, str(path)], [inputs()] * 3, runs=7)
    assert times.shape == (7, 3)
    assert (times > 0).all()


def test_the_number_of_turns_follows_the_speed_of_the_network() -> None:
    assert len(latency.timings([chain()], [inputs()], seconds=0)) == latency.FEWEST
    assert len(latency.timings([chain()], [inputs()], seconds=1e6)) == latency.MOST


def test_median_and_quartiles() -> None:
    (first, second) = latency.stats(np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0], [5.0, 50.0]]))
    assert (first.q1_ms, first.median_ms, first.q3_ms) == (2, 3, 4)
    assert (second.q1_ms, second.median_ms, second.q3_ms) == (20, 30, 40)


STEADY = np.ones(40)
SPREAD = np.where(np.arange(40) % 10 < 6, 1.1, 0.5)


@pytest.mark.parametrize(
    ("first", "second", "runs", "slower"),
    [
        (1.5 * STEADY, 1.5 * STEADY, 80, True),
        (1.5 * STEADY, 0.9 * STEADY, 80, False),  # a suspicion that the second measurement does not confirm
        (0.9 * STEADY, 1.5 * STEADY, 40, False),  # no suspicion, no second measurement
        (1.01 * STEADY, 1.5 * STEADY, 40, False),  # within the margin
        (SPREAD, 1.5 * STEADY, 40, False),  # above the margin in the median, but within its own spread
    ],
)
def test_when_a_result_is_slower(first: np.ndarray, second: np.ndarray, runs: int, slower: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`first` and `second` are the ratios of two measurements; the machine drifts to a tenth of its speed meanwhile."""
    drift = np.linspace(1, 10, 40)
    measurements = [np.stack([drift, drift * first], axis=1), np.repeat(np.stack([drift, drift * second], axis=1), 2, axis=0)]
    asked: list[int | None] = []

    def timings(*_: object, runs: int | None, **__: object) -> np.ndarray:
        asked.append(runs)
        return measurements[len(asked) - 1]

    monkeypatch.setattr(latency, "timings", timings)
    found = latency.compare(chain(), chain(), inputs(), threads=2, runs=40)
    assert (found.slower, found.runs, found.threads) == (slower, runs, 2)
    assert asked == ([40] if runs == 40 else [40, 80])
    expected = first if runs == 40 else second
    assert found.ratio == pytest.approx(np.median(expected), rel=0.5)


def test_a_network_that_does_not_load() -> None:
    model = chain()
    model.graph.node[2].op_type = "Strange"
    with pytest.raises(ModelNotSupportedError, match="ONNX Runtime cannot load it"):
        latency.compare(chain(), model, inputs())
