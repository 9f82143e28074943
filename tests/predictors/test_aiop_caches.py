"""The authors' caches are read as data, and a pickle that wants to run something is refused without running it."""

from __future__ import annotations

import pickle  # noqa: TID251 - the real producer of the format; these tests never load with it
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.predictors.aiop.caches import read_cache
from tests.graphs import golden
from tests.predictors.cache_classes import entry, stand_ins


@pytest.fixture
def classes() -> Iterator[ModuleType]:
    with stand_ins() as found:
        yield found


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_golden_graphs_come_back(classes: ModuleType, data: Path, tmp_path: Path, protocol: int) -> None:
    graphs = [golden.read(path) for path in sorted((data / "data/cg_samples").glob("*.json"))[:6]]
    file = tmp_path / "gpi_nb101_comp_graph_cache.pkl"
    file.write_bytes(pickle.dumps([entry(classes, graph, 0.9 + place / 100) for place, graph in enumerate(graphs)], protocol))
    found = read_cache(file)
    assert [one.accuracy for one in found] == pytest.approx([0.9 + place / 100 for place in range(6)])
    assert {one.gflops for one in found} == {1.5}
    for one, graph in zip(found, graphs, strict=True):
        assert one.graph.nodes == graph.nodes
        assert one.graph.edges == graph.edges
        np.testing.assert_array_equal(one.graph.features().resolutions, graph.features().resolutions)


class Evil:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.arguments


def test_nothing_is_executed(classes: ModuleType, data: Path, tmp_path: Path) -> None:
    import os

    marker, file = tmp_path / "ran", tmp_path / "cache.pkl"
    graph = golden.read(min((data / "data/cg_samples").glob("*.json")))
    for evil in (Evil(os.system, f"touch {marker}"), Evil(exec, f"open({str(marker)!r}, 'w')"), Evil(classes.ModelSpec)):
        poisoned = entry(classes, graph, 0.9) | {"original config": evil}
        file.write_bytes(pickle.dumps([poisoned], 4))
        with pytest.raises(UsageError, match="refused") as caught:
            read_cache(file)
        assert str(file) in str(caught.value)
        assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"nothing", pickle.dumps({}), pickle.dumps([]), pickle.dumps([1]), pickle.dumps([{"acc": 1}])])
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "cache.pkl"
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_cache(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_cache(tmp_path / "missing.pkl")
