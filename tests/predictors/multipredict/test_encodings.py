"""Encodings are those of the published code, and scaling knows training rows only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasopt.predictors.multipredict.encodings import MinMax, adjacency, cell_nodes, structures
from nasopt.spaces.registry import get_space

LIMITED = st.floats(-1e6, 1e6)


def test_fbnet_has_132_bits() -> None:
    genes = get_space("fbnet").parse("_".join(["0", "3", "4", "7", "8"] + ["8"] * 17))
    (vector,) = structures("fbnet", [genes])
    assert vector.shape == (132,)
    blocks = vector.reshape(22, 6)
    # Kernel 3 or 5, then the operation modulo 4; a skip is nothing.
    assert blocks[:4].tolist() == [[1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1], [0, 1, 1, 0, 0, 0], [0, 1, 0, 0, 0, 1]]
    assert not blocks[4:].any()


def test_a_cell_is_nine_one_hot_nodes() -> None:
    nodes = cell_nodes([(0, 1, 2, 3, 4, 0), (4, 4, 4, 4, 4, 4)])
    assert nodes.shape == (2, 9, 8)
    assert (nodes.sum(2) == 1).all()
    assert nodes[0].argmax(1).tolist() == [0, 3, 4, 5, 6, 7, 3, 1, 2]
    assert structures("nasbench201", [(0, 1, 2, 3, 4, 0)]).tolist() == nodes[:1].tolist()


def test_the_global_node_reads_all_and_is_read_by_none() -> None:
    reads = adjacency()
    assert reads[-1].all()
    assert not reads[:-1, -1].any()
    assert (np.diag(reads) == 1).all()


def test_other_nodes_read_as_the_space_says() -> None:
    cell = get_space("nasbench201").cells((1, 1, 1, 1, 1, 1))["cell"]
    assert (adjacency()[:-1, :-1] == cell.adjacency.T + np.eye(8)).all()


@given(arrays(np.float64, (6, 3), elements=LIMITED), arrays(np.float64, (5, 3), elements=LIMITED), st.booleans())
def test_training_rows_fill_the_range_and_others_change_nothing(learned: np.ndarray, others: np.ndarray, log: bool) -> None:
    scale = MinMax.fit(learned, log=log)
    alone = scale.apply(learned)
    assert alone.min() >= -1e-6
    assert alone.max() <= 1 + 1e-6
    assert (scale.apply(np.concatenate([learned, others]))[:6] == alone).all()


def test_what_lies_far_outside_is_cut_off() -> None:
    scale = MinMax.fit(np.array([[0.0], [1.0]]))
    assert scale.apply(np.array([[-9.0], [0.25], [9.0]]))[:, 0].tolist() == pytest.approx([-1, 0.25, 2])


def test_a_column_that_does_not_differ_is_nought() -> None:
    assert MinMax.fit(np.full((3, 1), 7.0)).apply(np.full((2, 1), 7.0)).tolist() == [[0], [0]]
