"""NAS-Bench-Macro, FBNet and MnasNet against the parameters and FLOPs that their tables give, each counted in its own way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.spaces.counting import flopth_flops, thop_macs
from nasopt.spaces.fbnet import FBNet
from nasopt.spaces.mnasnet import MnasNet
from nasopt.spaces.nasbench_macro import NasBenchMacro


def test_macro_costs_are_those_of_the_table(data: Path) -> None:
    space, rows = NasBenchMacro(), pq.read_table(data / "data/nasbench_macro/cifar10.parquet").to_pylist()
    assert {space.text(genes) for genes in space.architectures()} == {row["arch"] for row in rows}
    for row in rows[::50]:
        cost = totals(Graph(space.build(space.parse(row["arch"]))))
        assert (cost.params, cost.macs) == (row["params"], row["flops"])


def test_macro_networks_of_one_class_are_the_same() -> None:
    space = NasBenchMacro()
    classes: dict[str, set[tuple[int, int]]] = {}
    for genes in list(space.architectures())[::40]:
        cost = totals(Graph(space.build(genes)))
        classes.setdefault(space.key(genes), set()).add((cost.params, cost.activation_bytes))
    assert all(len(costs) == 1 for costs in classes.values())
    assert len({space.key(genes) for genes in space.architectures()}) == 3969  # Su et al., Table 7's caption: distinct architectures


def test_fbnet_costs_are_those_of_the_proxy_table(data: Path) -> None:
    space, rows = FBNet("cifar", 32, 100), pq.read_table(data / "data/fbnet/zcp_nasflat.parquet").to_pylist()
    for row in rows[::60]:
        genes = space.parse(row["arch_key"])
        assert space.text(genes) == row["arch_key"]
        graph = Graph(space.build(genes))
        assert (totals(graph).params, flopth_flops(graph)) == (row["params"], row["flops"])


def test_fbnet_as_published_takes_photographs() -> None:
    genes = (0,) * 22
    graph = Graph(FBNet().build(genes))
    assert graph.shape(graph.inputs[0])[2:] == (224, 224)
    assert graph.shape("stage6.layer0.project.bn")[2:] == (7, 7)
    with pytest.raises(UsageError, match="imagenet or cifar"):
        FBNet("mnist")


def test_fbnet_bits_are_those_of_help() -> None:
    space = FBNet()
    vector = space.vec((0, 3, 4, 7, 8, *[8] * 17)).reshape(22, 6)
    assert vector[:5].tolist() == [[1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1], [0, 1, 1, 0, 0, 0], [0, 1, 0, 0, 0, 1], [0] * 6]
    assert len({tuple(space.vec((gene, *[8] * 21))) for gene in range(9)}) == 9


def test_fbnet_reads_names() -> None:
    space, rng = FBNet(), np.random.default_rng(0)
    for _ in range(20):
        genes = space.sample(rng)
        assert space.parse(",".join(space.vocabulary[gene] for gene in genes)) == genes


def test_mnasnet_costs_are_those_of_the_table(data: Path) -> None:
    space, rows = MnasNet(), pq.read_table(data / "data/accel_nasbench/mnasnet_space.parquet").to_pylist()
    for row in rows[::80]:
        graph = Graph(space.build(space.row(row)))
        assert totals(graph).params == round(1e6 * row["params"])
        assert thop_macs(graph) == round(1e6 * row["macs"])


def test_mnasnet_rows_are_architectures_of_the_space(data: Path) -> None:
    space, rows = MnasNet(), pq.read_table(data / "data/accel_nasbench/mnasnet_space.parquet").to_pylist()
    found = [space.row(row) for row in rows]
    assert all(space.check(genes) == genes == space.parse(space.text(genes)) for genes in found)
    columns = [name for name in rows[0] if name.startswith("block")]
    assert len(set(found)) == len({tuple(row[name] for name in columns) for row in rows})  # some were measured twice
