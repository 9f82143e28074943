"""The DARTS space against every table that has architectures of it, under the settings that each was computed with."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.spaces.counting import naslib_flops, thop_macs
from nasopt.spaces.darts import Darts

SPACE = Darts()


@pytest.mark.parametrize(
    ("file", "column", "space", "flops", "counted"),
    [
        ("nasbench301/zcp_subset_725", "arch", Darts(search=True), "flops", naslib_flops),
        ("nasbench301/zcp_early_500", "arch", Darts(search=True), "flops", naslib_flops),
        ("oncenas_bench/darts_545", "architecture", Darts(channels=36, layers=20, none=True), "flop", thop_macs),
    ],
)
def test_costs_are_those_of_the_tables(
    data: Path, file: str, column: str, space: Darts, flops: str, counted: Callable[[Graph], int]
) -> None:
    rows = pq.read_table(data / f"data/{file}.parquet").to_pylist()
    for row in rows[:: len(rows) // 15]:
        graph = Graph(space.build(space.parse(row[column])))
        assert totals(graph).params == round(1e6 * row["params"])
        assert counted(graph) == round(1e6 * row[flops])


@pytest.mark.parametrize(("task", "classes", "resolution"), [("svhn", 10, 32), ("scifar100", 100, 60)])
def test_costs_on_other_tasks(data: Path, task: str, classes: int, resolution: int) -> None:
    rows = [row for row in pq.read_table(data / "data/nasbench301/zcp_9x_199.parquet").to_pylist() if row["task"] == task]
    space = Darts(classes=classes, resolution=resolution, search=True)
    for row in rows[::40]:
        graph = Graph(space.build(space.parse(row["arch"])))
        assert (totals(graph).params, naslib_flops(graph)) == (round(1e6 * row["params"]), round(1e6 * row["flops"]))


def test_keys_are_those_of_naslib(data: Path) -> None:
    for text in pq.read_table(data / "data/nasbench301/archs_nwot_zen.parquet", columns=["arch"])["arch"].to_pylist()[::5]:
        assert SPACE.table_key(SPACE.parse(text)) == text


def test_genotypes_are_read_whatever_the_order_of_edges(data: Path) -> None:
    space = Darts(none=True)
    for text in pq.read_table(data / "data/oncenas_bench/darts_545.parquet")["architecture"].to_pylist():
        genes = space.parse(text)
        wanted = [sorted(re.findall(r"\('(\w+)', (\d)\)", part), key=lambda edge: edge[1]) for part in pairs(text)]
        assert [[(name, str(value)) for name, value in pair] for cell in space.split(genes) for pair in cell] == wanted


def pairs(genotype: str) -> list[str]:
    return re.findall(r"\('\w+', \d\), \('\w+', \d\)", genotype)


def test_there_are_as_many_as_combinatorics_says() -> None:
    # 1, 3, 6 and 10 pairs of earlier values, and an operation on each of eight edges, for two cells.
    assert SPACE.count() == (1 * 3 * 6 * 10 * 7**8) ** 2
    assert Darts(none=True).count() == (180 * 8**8) ** 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(((0, 3), (0, 3), " + ", ".join(["(0, 1), (1, 1)"] * 3) + "), (" + ", ".join(["(0, 1), (1, 1)"] * 4) + "))", "two different"),
        ("(((0, 7), (1, 3), " + ", ".join(["(0, 1), (1, 1)"] * 3) + "), (" + ", ".join(["(0, 1), (1, 1)"] * 4) + "))", "none=true"),
        ("(((0, 3), (5, 3), " + ", ".join(["(0, 1), (1, 1)"] * 3) + "), (" + ", ".join(["(0, 1), (1, 1)"] * 4) + "))", "two different"),
        ("Genotype(normal=[], normal_concat=range(2, 6), reduce=[], reduce_concat=range(2, 6))", "8 of them"),
    ],
)
def test_what_is_no_genotype_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SPACE.parse(text)


def test_two_cells_reduce_the_image() -> None:
    graph = Graph(SPACE.build(SPACE.sample(np.random.default_rng(0))))
    sizes: dict[str, Any] = {}
    for node in graph.nodes:
        if node.op == "Concat" and "edge" not in node.name and "input" not in node.name:
            sizes[node.name.split(".")[0]] = graph.shape(node.outputs[0])[1:]
    assert [shape[1] for shape in sizes.values()] == [32, 32, 16, 16, 16, 8, 8, 8]
    assert [shape[0] for shape in sizes.values()] == [128, 128, 256, 256, 256, 512, 512, 512]
