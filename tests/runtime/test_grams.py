"""Second moments of features, against ones that are computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.graphs.graph import Graph
from nasopt.runtime.grams import gather
from nasopt.runtime.sessions import open_session
from tests.small import Net


def network(*, group: int = 1) -> tuple[Graph, str]:
    """``conv → relu → 1x1 conv → mean → gemm``, and the name of the value that the second one reads."""
    net = Net(x=("N", 4, 6, 6))
    hidden = net.op("Relu", net.conv("x", "a", 4, 8, 3, bias=True))
    pooled = net.op("Flatten", net.op("GlobalAveragePool", net.conv(hidden, "b", 8, 6, group=group)))
    return Graph(net.model(net.op("Gemm", pooled, net.weight("c", 6, 3)), hidden, pooled)), hidden


def batches(count: int = 3, size: int = 4) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(7)
    return [{"x": rng.standard_normal((size, 4, 6, 6)).astype(np.float32) + 1} for _ in range(count)]


def moments(rows: np.ndarray) -> np.ndarray:
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1).astype(np.float64)
    return rows.T @ rows / len(rows)


def test_second_moments_are_means_over_rows() -> None:
    graph, _ = network()
    found = gather(graph, batches())
    assert list(found) == ["node0", "node2", "node5"]
    session = open_session(graph.model)
    seen = [session.run(None, batch) for batch in batches()]
    hidden = np.concatenate([row[1] for row in seen]).transpose(0, 2, 3, 1).reshape(-1, 8)
    pooled = np.concatenate([row[2] for row in seen])
    assert found["node2"][0] == pytest.approx(moments(hidden), rel=1e-4, abs=1e-5)
    assert found["node5"][0] == pytest.approx(moments(pooled), rel=1e-4, abs=1e-5)
    assert found["node0"].shape == (1, 37, 37)
    assert found["node0"][0, -1, -1] == 1
    patch = 4  # the middle of the kernel sees every pixel, whatever the padding
    x = np.concatenate([batch["x"] for batch in batches()]).transpose(0, 2, 3, 1).reshape(-1, 4)
    middle = [*range(patch, 36, 9), 36]
    assert found["node0"][0][np.ix_(middle, middle)] == pytest.approx(moments(x), rel=1e-4)


def test_each_group_of_a_grouped_convolution_has_its_own() -> None:
    graph, _ = network(group=2)
    (plain, _), (grouped,) = network(), [gather(graph, batches())["node2"]]
    whole = gather(plain, batches())["node2"][0]
    assert grouped.shape == (2, 5, 5)
    for number in range(2):
        own = [*range(4 * number, 4 * number + 4), 8]
        assert grouped[number] == pytest.approx(whole[np.ix_(own, own)], rel=1e-4)


def test_a_sample_of_rows_is_a_mean_as_well() -> None:
    graph, _ = network()
    every = gather(graph, batches(8, 10))["node2"][0]
    some = gather(graph, batches(8, 10), sample=(500, 1))["node2"][0]
    assert some[-1, -1] == 1
    assert (some != every).any()
    assert some == pytest.approx(every, rel=0.4, abs=0.2 * np.diagonal(every).max())
    assert (some == gather(graph, batches(8, 10), sample=(500, 1))["node2"][0]).all(), "the draw is the same each time"


def test_progress_is_told() -> None:
    graph, _ = network()
    told: list[tuple[float, str]] = []
    gather(graph, batches(1), progress=lambda share, node: told.append((share, node)))
    assert told == [(0, "node0"), (pytest.approx(1 / 3), "node2"), (pytest.approx(2 / 3), "node5")]
