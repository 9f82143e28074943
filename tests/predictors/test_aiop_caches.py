"""The authors' caches are read as data, and a pickle that wants to run something is refused without running it."""

from __future__ import annotations

import pickle  # noqa: TID251 - the real producer of the format; these tests never load with it
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.computational_graph import VOCABULARY, ComputationalGraph
from nasopt.predictors.aiop.caches import read_cache
from tests.graphs import golden

HOME = "model_src.comp_graph.tf_comp_graph"


@pytest.fixture
def classes() -> Iterator[ModuleType]:
    """The authors' classes, as far as a pickle names them, while one is written."""
    modules = {}
    for name in ("model_src", "model_src.comp_graph", HOME):
        modules[name] = sys.modules[name] = ModuleType(name)
    for kind in ("ComputeGraph", "RegularNode", "WeightedNode", "ModelSpec"):
        setattr(modules[HOME], kind, type(kind, (), {"__module__": HOME}))
    yield modules[HOME]
    for name in modules:
        del sys.modules[name]


def entry(classes: ModuleType, graph: ComputationalGraph, accuracy: float) -> dict[str, Any]:
    told = classes.ComputeGraph()
    nodes = []
    for node in graph.nodes:
        one = (classes.WeightedNode if node.weighted else classes.RegularNode)()
        one.str_id, one.label, one.op_type_idx, one.type_idx = node.name, node.label, VOCABULARY.index(node.op), int(node.weighted)
        one.resolution, one.strides = list(node.resolution), node.strides
        one.metadata = dict(node.metadata) if node.metadata is not None else None
        if node.shape is not None:
            one.shape = list(node.shape)
        nodes.append(one)
    told.weighted_nodes, told.regular_nodes = nodes[: graph.weighted], nodes[graph.weighted :]
    told.name, told.input_shape, told.edge_pairs = graph.name, list(graph.input_shape), [tuple(edge) for edge in graph.edges]
    told.max_hidden_size, told.max_kernel_size, told.max_derived_H, told.max_derived_W = 512, 7, 256, 256
    spec = classes.ModelSpec()
    spec.matrix = np.eye(3)
    return {"compute graph": told, "acc": np.float64(accuracy), "flops": 1.5e9, "n_params": 7, "original config": (224, spec)}


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
