"""Weights from second moments: as good as a fit where one group is cut, and in the shapes that the cut leaves."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.graphs.graph import Graph
from nasopt.graphs.units import Units
from nasopt.graphs.write_back import write_weights
from nasopt.mutations.rewrite import remove_units
from nasopt.runtime.closed_form import fitted
from nasopt.runtime.fidelity import answers, divergence
from nasopt.runtime.grams import gather
from nasopt.runtime.reconstruct import reconstruct
from tests.small import Net, units_of


def network(*, residual: bool) -> Units:
    """Two convolutions, the second with a norm behind it and perhaps a sum; the first one's channels repeat each other in part."""
    net = Net(x=("N", 6, 6, 6), seed=2)
    hidden = net.op("Relu", net.conv("x", "a", 6, 12, 3, bias=True))
    out = net.norm(net.conv(hidden, "b", 12, 6, 3), "n", 6)
    return units_of(net.model(net.op("Add", out, "x") if residual else out))


def batches(count: int, seed: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).standard_normal((6, 3)).astype(np.float32)
    return [{"x": np.einsum("oc,nchw->nohw", mixing, rng.standard_normal((8, 3, 6, 6))).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("residual", [False, True])
def test_one_group_cut_is_fitted_as_well_as_by_a_walk(*, residual: bool) -> None:
    units = network(residual=residual)
    (group,) = [group for group in units.groups if len(group) == 12]
    removed = np.zeros(units.count, np.bool_)
    removed[group.units[:7]] = True
    smaller = remove_units(units, removed)
    seen, fresh = batches(10, 0), batches(5, 1)
    tensors = fitted(units, removed, gather(units.graph, seen))
    assert set(tensors) == {"b", "n.shift"}
    assert tensors["b"].shape == (6, 5, 3, 3)
    walked, _ = reconstruct(units.graph, Graph(smaller), lambda value, axis: units.keep(value, axis, removed), seen)
    expected = answers(units.graph.model, fresh)
    cut, quick, slow = (divergence(expected, answers(write_weights(smaller, found), fresh)) for found in ({}, tensors, walked))
    assert quick < 0.7 * cut
    assert quick == pytest.approx(slow, rel=0.15)


def test_what_loses_no_inputs_or_has_no_moments_is_left_alone() -> None:
    units = network(residual=False)
    removed = np.zeros(units.count, np.bool_)
    grams = gather(units.graph, batches(4, 0))
    assert fitted(units, removed, grams) == {}
    removed[units.groups[0].units[0]] = True
    assert fitted(units, removed, {}) == {}
