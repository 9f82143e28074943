"""Encodings of pruned networks from a table are those of the networks themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations.rewrite import remove_units
from nasopt.predictors.latency.encoding import CLASSES, MEASURES, STEPS, LatencyTable, encode, names
from tests.generated import random_network
from tests.small import random_removal

CONVOLUTIONS = [place for place, name in enumerate(CLASSES) if name.endswith(" conv")]
PLAIN = [MEASURES.index(measure) for measure in ("macs", "bytes", "weight bytes", "count")]


def by_kind(encoding: np.ndarray) -> np.ndarray:
    """Plain measures by class; convolutions together, since one that is left with a channel a group would now be called depthwise."""
    table = encoding.reshape(len(CLASSES), len(MEASURES))[:, PLAIN]
    others = np.delete(table, CONVOLUTIONS, axis=0)
    return np.concatenate([table[CONVOLUTIONS].sum(axis=0, keepdims=True), others])


@pytest.mark.parametrize("seed", range(3000, 3080))
def test_pruned_networks_have_the_encoding_that_the_table_says(seed: int) -> None:
    graph = Graph(random_network(seed))
    units = solve(couple(graph))
    removed, kept = random_removal(units, seed)
    pruned = Graph(remove_units(units, removed), graph.bound)
    whole = np.array([len(group) for group in units.groups], np.int64)
    said, before = LatencyTable(graph, units).encodings(np.stack([np.array(kept, np.int64), whole]))
    np.testing.assert_allclose(before, encode(graph))
    np.testing.assert_allclose(by_kind(said), by_kind(encode(pruned)))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilefacenet_112x96", "resnet56_cifar10_jpeg"])
def test_real_networks(data: Path, name: str) -> None:
    graph = load_graph(data / f"models/{name}.onnx")
    units = solve(couple(graph))
    removed, kept = random_removal(units, 0)
    pruned = Graph(remove_units(units, removed), graph.bound)
    table = LatencyTable(graph, units)
    np.testing.assert_allclose(table.encodings(np.array(kept, np.int64)[None])[0], encode(pruned))
    macs = dict(zip(names(), encode(pruned), strict=True))
    assert sum(value for key, value in macs.items() if key.endswith(": macs")) == pytest.approx(totals(pruned).macs / 1e6)


def test_channels_that_fill_no_vector_are_told(data: Path) -> None:
    graph = load_graph(data / "models/efficientnet_lite0.onnx")
    units = solve(couple(graph))
    table = LatencyTable(graph, units)
    whole = np.array([[len(group) for group in units.groups]], np.int64)
    totals_of = table.measures(whole - np.arange(2)[:, None] * (whole > 4)).sum(axis=2)  # one unit less of every group
    for place, step in enumerate(STEPS, MEASURES.index(f"macs off {STEPS[0]}")):
        assert totals_of[place, 1] > totals_of[place, 0], step
    full, macs = totals_of[MEASURES.index("full macs")], totals_of[MEASURES.index("macs")]
    assert (full >= macs).all()
    assert full[1] / macs[1] > full[0] / macs[0]


def test_fewer_channels_never_have_more_to_do() -> None:
    graph = Graph(random_network(7))
    units = solve(couple(graph))
    table = LatencyTable(graph, units)
    whole = np.array([len(group) for group in units.groups], np.int64)
    rng = np.random.default_rng(0)
    for _draw in range(20):
        more = np.array([rng.integers(1, size + 1) for size in whole], np.int64)
        fewer = np.array([rng.integers(1, size + 1) for size in more], np.int64)
        several = table.encodings(np.stack([more, fewer])).reshape(2, len(CLASSES), len(MEASURES))
        for measure in ("macs", "full macs", "bytes", "weight bytes", "count"):
            place = MEASURES.index(measure)
            assert (several[1, :, place] <= several[0, :, place] + 1e-12).all(), measure
