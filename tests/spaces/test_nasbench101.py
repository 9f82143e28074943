"""NAS-Bench-101 against its table, and its enumeration against an isomorphism test of another library."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.spaces.nasbench101 import NasBench101
from nasopt.spaces.nasbench101_cells import Cells, all_cells, cell_hash, first_of_class, prune

SPACE = NasBench101()


@pytest.fixture(scope="module")
def rows(data: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(data / "data/nasbench101/accuracy_30001.parquet").to_pylist()
    return found


def test_hashes_are_the_published_ones(rows: list[dict[str, Any]]) -> None:
    for row in rows[::10]:
        assert SPACE.key(SPACE.parse(f"{row['adjacency']}|{row['ops']}")) == row["hash"]


def test_parameters_are_those_of_the_table(rows: list[dict[str, Any]]) -> None:
    for row in rows[::250]:
        genes = SPACE.parse(f"{row['adjacency']}|{row['ops']}")
        assert totals(Graph(SPACE.build(genes))).params == row["params"]


def labelled(matrix: np.ndarray[Any, Any], operations: tuple[int, ...]) -> nx.DiGraph:
    graph = nx.from_numpy_array(matrix, create_using=nx.DiGraph)
    nx.set_node_attributes(graph, dict(enumerate((-1, *operations, -2))), "label")
    return graph


@pytest.mark.parametrize("count", [2, 3, 4])
def test_enumeration_finds_each_class_once(count: int) -> None:
    found = [cell for cell in Cells(3, vertices=count) if len(cell[0]) == count]
    graphs = [labelled(*cell) for cell in found]
    match = nx.algorithms.isomorphism.categorical_node_match("label", None)
    for index, graph in enumerate(graphs):
        assert not any(nx.is_isomorphic(graph, other, node_match=match) for other in graphs[:index])
    places = [(begin, end) for begin in range(count) for end in range(begin + 1, count)]
    hashes = {cell_hash(*cell) for cell in found}
    for edges in product((0, 1), repeat=len(places)):
        matrix = np.zeros((count, count), np.int8)
        for place, edge in zip(places, edges, strict=True):
            matrix[place] = edge
        for operations in product(range(3), repeat=count - 2):
            pruned = prune(matrix, operations)
            if pruned is not None and len(pruned[0]) == count:
                assert cell_hash(*pruned) in hashes


def test_there_are_as_many_cells_as_published() -> None:
    cells = list(SPACE.architectures())
    assert len(cells) == len(all_cells(3)) == SPACE.count() == 423_624
    for genes in cells[::20_000]:
        assert SPACE.canonical(genes) == genes
    assert len({SPACE.key(genes) for genes in cells[::40]}) == len(cells[::40])


@pytest.mark.parametrize("seed", range(30))
def test_isomorphic_cells_have_one_hash_and_one_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, operations = prune(*_dense(SPACE.sample(rng)))  # type: ignore[misc]
    count = len(matrix)
    for _ in range(20):
        order = np.array([0, *(1 + rng.permutation(count - 2)), count - 1])
        turned = matrix[np.ix_(order, order)]
        if np.tril(turned).any():
            continue
        relabelled = tuple(operations[vertex - 1] for vertex in order[1:-1])
        assert cell_hash(turned, relabelled) == cell_hash(matrix, operations)
        first, labels = first_of_class(turned, relabelled)
        again, same = first_of_class(matrix, operations)
        assert labels == same
        assert np.array_equal(first, again)


def _dense(genes: tuple[int, ...]) -> tuple[np.ndarray[Any, Any], tuple[int, ...]]:
    matrix = np.zeros((7, 7), np.int8)
    matrix[np.triu_indices(7, 1)] = genes[:21]
    return matrix, genes[21:]


def test_vertices_that_lead_nowhere_do_not_count() -> None:
    cell = SPACE.parse("0110000001000000000100000|input,conv3x3-bn-relu,maxpool3x3,conv1x1-bn-relu,output")
    assert "maxpool3x3" not in SPACE.text(cell)


def test_a_cell_can_grow_and_shrink() -> None:
    smallest = SPACE.parse("0100|input,output")
    sizes = {len(SPACE.cells(genes)["cell"].operations) for genes in SPACE.neighbours(smallest)}
    assert sizes == {3}
    back = SPACE.neighbours(next(iter(SPACE.neighbours(smallest))))
    assert {len(SPACE.cells(genes)["cell"].operations) for genes in back} >= {2, 3, 4}


@pytest.mark.parametrize(
    "text",
    ["0100|input,output,", "0000|input,output", "0110|input,output", "1" * 49 + "|" + "input," + "maxpool3x3," * 5 + "output", "01|input"],
)
def test_what_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        SPACE.parse(text)


def test_cells_by_place_are_those_gone_through() -> None:
    cells = Cells(3, vertices=5)
    for place, (matrix, operations) in enumerate(cells):
        again, same = cells[place]
        assert same == operations
        assert np.array_equal(again, matrix)
    assert np.array_equal(cells[-1][0], cells[len(cells) - 1][0])
    assert len(cells[3:7]) == 4
    with pytest.raises(IndexError):
        cells[len(cells)]


def test_a_hash_is_found() -> None:
    cells = Cells(3, vertices=5)
    for place in (0, 7, len(cells) - 1):
        matrix, operations = cells[place]
        found = cells.with_hash(cell_hash(matrix, operations))
        assert found is not None
        assert found[1] == operations
        assert np.array_equal(found[0], matrix)
    assert cells.with_hash("0" * 32) is None


def test_an_architecture_by_its_hash() -> None:
    smallest = SPACE.parse("0100|input,output")
    assert SPACE.parse(SPACE.key(smallest)) == smallest


def test_samples_are_as_the_benchmark_is() -> None:
    """85 of 100 cells of the benchmark have seven vertices; random genes would nearly always leave some without use."""
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(2000)]
    large = sum(len(SPACE.cells(genes)["cell"].operations) == 7 for genes in drawn) / len(drawn)
    everything = sum(len(matrix) == 7 for matrix, _ in all_cells(3)) / 423_624
    assert abs(large - everything) < 4 * (everything * (1 - everything) / len(drawn)) ** 0.5
    assert len(set(drawn)) > 1950


@pytest.mark.parametrize("genes", [(), (0,) * 26, (9,) * 26])
def test_what_is_no_cell_is_refused_everywhere(genes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for ask in (SPACE.text, SPACE.build, SPACE.key, lambda one: SPACE.mutate(one, rng), lambda one: list(SPACE.neighbours(one))):
        with pytest.raises(UsageError, match="is no architecture"):
            ask(genes)
