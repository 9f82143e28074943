"""Probes: losses come out in units of what the answers feel."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.api import probing
from nasopt.api.preparation import compile_space
from nasopt.graphs.graph import Graph
from nasopt.graphs.write_back import write_weights
from nasopt.mutations import apply_edit
from nasopt.runtime.closed_form import fitted
from nasopt.runtime.fidelity import answers, divergence
from nasopt.runtime.grams import gather
from tests.generated import weights
from tests.small import Net


def batches(seed: int, count: int = 4) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"x": rng.standard_normal((10, 3, 6, 6)).astype(np.float32)} for _ in range(count)]


def network(faint: float) -> Graph:
    """Two branches into one sum, one of them `faint` times as loud: relative to itself each loses as much."""
    net = Net(x=("N", 3, 6, 6), seed=4)
    loud, soft = (net.conv(net.op("Relu", net.conv("x", f"a{name}", 3, 16, 3)), f"b{name}", 16, 8) for name in ("loud", "soft"))
    model = net.model(net.op("Flatten", net.op("GlobalAveragePool", net.op("Add", loud, soft))))
    return Graph(write_weights(model, {"bsoft": weights(model)["bsoft"] * np.float32(faint)}))


def test_a_group_that_the_answers_hardly_feel_loses_little() -> None:
    graph = network(0.1)
    _, space = compile_space(graph, (), "surgery", 0, batches(0), batches(1))
    loud, soft = (space.lost([group.name for group in space.units.groups].index(name), 8) for name in ("aloud", "asoft"))
    assert soft < 0.1 * loud


def test_the_losses_at_a_probe_are_the_measured_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "SHARES", (0.5,))
    graph = network(1.0)
    units, space = compile_space(graph, (), "surgery", 0, batches(0), batches(1))
    grams = gather(graph, batches(0))
    whole = [len(group) for group in units.groups]
    expected = answers(graph.model, batches(1))
    for place in range(len(whole)):
        kept = [8 if other == place else size for other, size in enumerate(whole)]
        removed = space.removed(kept)
        cut = write_weights(apply_edit(graph, space.edit(kept)), fitted(units, removed, grams))
        assert space.lost(place, 8) == pytest.approx(divergence(expected, answers(cut, batches(1))), rel=1e-4)


def test_too_large_a_network_is_probed_once_a_group_on_few_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(model: object, inputs: list[dict[str, np.ndarray]], **options: object) -> list[list[np.ndarray]]:
        calls.append(len(inputs))
        return answers(model, inputs, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(probing, "answers", counted)
    compile_space(network(1.0), (), "surgery", 0, batches(0), batches(1), work=1.0)
    assert calls == [1] * (1 + 2)
