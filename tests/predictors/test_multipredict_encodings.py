"""What latency predictors read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasopt.predictors.multipredict.encodings import MinMax, adjacency, structures
from nasopt.spaces.nasbench201 import EDGES
from nasopt.spaces.registry import get_space

VALUES = arrays(np.float64, (12, 3), elements=st.floats(-1e6, 1e6))


@given(VALUES, VALUES, st.booleans())
def test_scaling_is_that_of_the_rows_it_was_fitted_on(learned: np.ndarray, others: np.ndarray, log: bool) -> None:
    scale = MinMax.fit(learned, log=log)
    found = scale.apply(learned)
    assert found.min() >= -1e-4
    assert found.max() <= 1 + 1e-4
    np.testing.assert_array_equal(scale.apply(np.concatenate([learned, others]))[:12], found)
    assert np.abs(scale.apply(others)).max() <= 2


def test_a_heavy_tail_is_logged_and_keeps_its_order() -> None:
    values = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [-1e7, 4.0], [1e8, 5.0]])
    scale = MinMax.fit(values, log=True)
    assert scale.logged.tolist() == [True, False]
    assert np.argsort(scale.apply(values)[:, 0]).tolist() == np.argsort(values[:, 0]).tolist()
    assert not MinMax.fit(values).logged.any()


def test_cells_are_graphs_of_operations() -> None:
    """A path through the graph is a path through the cell."""
    reads = adjacency()
    paths = np.linalg.matrix_power(reads[:-1, :-1] - np.eye(8), 4)
    assert paths[-1, 0] == 1  # by the one path of three edges
    for place, (begin, end) in enumerate(EDGES, start=1):
        assert reads[place, 0] == (begin == 0)
        assert reads[7, place] == (end == 3)
    assert reads[-1].all()
    assert not reads[:-1, -1].any()
    space = get_space("nasbench201")
    genes = [(0, 1, 2, 3, 4, 0), (4, 4, 0, 1, 2, 3)]
    nodes = structures("nasbench201", genes)
    assert nodes.shape == (2, 9, 8)
    assert (nodes.sum(axis=2) == 1).all()
    assert [tuple(one) for one in nodes[:, 1:7, 3:].argmax(axis=2)] == genes
    assert all(space.valid(one) for one in genes)


def test_fbnet_is_a_vector() -> None:
    space, rng = get_space("fbnet"), np.random.default_rng(0)
    genes = [space.sample(rng) for _ in range(3)]
    found = structures("fbnet", genes)
    assert found.shape == (3, 132)
    for vector, one in zip(found.reshape(3, 22, 6), genes, strict=True):
        for bits, gene in zip(vector, one, strict=True):
            assert bits.tolist() == ([0] * 6 if gene == 8 else [gene < 4, gene >= 4, *(gene % 4 == kind for kind in range(4))])
