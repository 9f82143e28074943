"""TransNAS-Bench-101 against NASLib's tables: keys, parameters and FLOPs, for all seven tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, random_inputs, run
from nasopt.spaces.counting import naslib_flops
from nasopt.spaces.registry import get_space
from nasopt.spaces.transnasbench101 import TransNasBench101Macro, TransNasBench101Micro
from nasopt.spaces.transnasbench101_network import TASKS
from nasopt.spaces.weights import initialise

CLASSES = {"class_scene": 63, "class_object": 100}
"""Of the heads that NASLib counted."""


@pytest.mark.parametrize("kind", ["micro", "macro"])
def test_the_space_is_that_of_the_table(data: Path, kind: str) -> None:
    space = get_space(f"transnasbench101_{kind}")
    keys = pq.read_table(data / f"data/transnasbench101/{kind}.parquet", columns=["arch"])["arch"].to_pylist()
    assert {space.parse(key) for key in keys} == set(space.architectures())
    assert space.count() == len(keys)


@pytest.mark.parametrize("kind", ["micro", "macro"])
@pytest.mark.parametrize("task", TASKS)
def test_costs_are_those_of_the_table(data: Path, kind: str, task: str) -> None:
    settings = {"task": task} | ({"classes": CLASSES[task]} if task in CLASSES else {})
    space = get_space(f"transnasbench101_{kind}", **settings)
    rows = pq.read_table(data / f"data/transnasbench101/{kind}_zcp_subset.parquet").to_pylist()
    rows = [row for row in rows if row["task"] == task]
    for row in rows[:: len(rows) // 12]:
        graph = Graph(space.build(space.parse(row["arch"])))
        assert totals(graph).params == round(1e6 * row["params"])
        assert naslib_flops(graph) == round(1e6 * row["flops"])


@pytest.mark.parametrize("task", TASKS)
def test_heads_give_what_the_task_asks_for(task: str) -> None:
    space = TransNasBench101Micro(task, resolution=64)
    graph = Graph(initialise(space.build((3, 1, 3, 0, 2, 3))))
    (found,) = run(open_session(graph.model), random_inputs(graph, 0))
    picture = TASKS[task].kind in ("image", "segmentation")
    assert found.shape == ((1, TASKS[task].outputs, 64, 64) if picture else (1, TASKS[task].outputs))
    assert TASKS[task].kind != "image" or np.abs(found).max() <= 1


def test_the_tiles_of_a_puzzle_are_encoded_alike() -> None:
    """Exchanging two tiles exchanges what the head sees of them, and nothing else."""
    space = TransNasBench101Micro("jigsaw")
    model = initialise(space.build((3, 1, 3, 0, 2, 3)))
    graph = Graph(model)
    pooled = next(node for node in graph.nodes if node.op == "GlobalAveragePool").outputs[0]
    model.graph.output.add().name = pooled
    image = random_inputs(graph, 0)["input"].reshape(9, 3, 64, 64)
    turned = image[[3, 1, 2, 0, *range(4, 9)]]
    one, other = (run(open_session(model), {"input": tiles.reshape(1, 27, 64, 64)})[1].reshape(9, -1) for tiles in (image, turned))
    np.testing.assert_allclose(other, one[[3, 1, 2, 0, *range(4, 9)]], rtol=1e-4, atol=1e-4 * np.abs(one).max())


@pytest.mark.parametrize("text", ["64-1111-basic", "64-4444-basic", "64-3331111-basic", "(4, 3, 0, 1)", "64-45-basic", "(4, 3, 2)"])
def test_layouts_outside_the_space_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        TransNasBench101Macro().parse(text)


@pytest.mark.parametrize(("settings", "said"), [({"task": "depth"}, "tasks: class_scene"), ({"resolution": 100}, "multiple of 64")])
def test_settings_are_checked(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        get_space("transnasbench101_macro", **settings)


@pytest.mark.parametrize("kind", ["micro", "macro"])
def test_keys_are_those_of_the_table(data: Path, kind: str) -> None:
    space = get_space(f"transnasbench101_{kind}")
    for key in pq.read_table(data / f"data/transnasbench101/{kind}.parquet", columns=["arch"])["arch"].to_pylist():
        assert space.table_key(space.parse(key)) == key
