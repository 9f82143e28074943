"""NAS-Bench-201 against the published table: keys, classes, parameters and FLOPs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.spaces.counting import naslib_flops
from nasopt.spaces.nasbench201 import NasBench201

SPACE = NasBench201()


@pytest.fixture(scope="module")
def table(data: Path) -> dict[str, list[Any]]:
    columns = ["arch_str", "naslib_key", "nats_unique_str", "flops_m", "params_m"]
    found: dict[str, list[Any]] = pq.read_table(data / "data/nasbench201/accuracy.parquet", columns=columns).to_pydict()
    return found


def test_all_strings_and_keys_are_those_of_the_table(table: dict[str, list[Any]]) -> None:
    for text, naslib in zip(table["arch_str"], table["naslib_key"], strict=True):
        genes = SPACE.parse(text)
        assert SPACE.text(genes) == text
        assert SPACE.naslib(genes) == naslib
        assert SPACE.parse(naslib) == genes
    assert set(SPACE.architectures()) == {SPACE.parse(text) for text in table["arch_str"]}


def test_classes_are_the_published_ones(table: dict[str, list[Any]]) -> None:
    keys = [SPACE.key(SPACE.parse(text)) for text in table["arch_str"]]
    assert keys == table["nats_unique_str"]
    assert len(set(keys)) == 6466


def test_costs_are_those_of_the_table(table: dict[str, list[Any]]) -> None:
    for row in np.random.default_rng(0).choice(len(table["arch_str"]), 60, replace=False):
        graph = Graph(SPACE.build(SPACE.parse(table["arch_str"][row])))
        assert naslib_flops(graph) == round(1e6 * table["flops_m"][row])
        assert totals(graph).params == round(1e6 * table["params_m"][row])


def test_costs_on_imagenet16_are_those_of_the_proxy_table(data: Path) -> None:
    rows = pq.read_table(data / "data/nasbench201/zcp_ImageNet16-120_9445.parquet", columns=["arch_str", "flops", "params"]).to_pylist()
    space = NasBench201(resolution=16, classes=120)
    for row in rows[::300]:
        graph = Graph(space.build(space.parse(row["arch_str"])))
        assert naslib_flops(graph) == round(1e6 * row["flops"])
        assert totals(graph).params == round(1e6 * row["params"])
