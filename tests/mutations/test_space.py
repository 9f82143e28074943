"""The compiled space: choices, and tables beside models that were built."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.mutations import apply_edit
from nasopt.mutations.importance import Ranking
from nasopt.mutations.space import SearchSpace, choices_of
from tests.generated import random_network
from tests.search.spaces import space_of
from tests.small import Net, chain, units_of


@pytest.mark.parametrize(
    ("length", "channels", "step", "expected"),
    [
        (8, 1, 1, (1, 2, 3, 4, 5, 6, 7, 8)),
        (8, 1, 4, (4, 8)),
        (10, 1, 4, (4, 8, 10)),
        (3, 1, 16, (3,)),
        (6, 4, 4, (1, 2, 3, 4, 5, 6)),
        (6, 4, 16, (4, 6)),
        (6, 3, 4, (4, 6)),
        (6, 6, 4, (2, 4, 6)),
        (1, 1, 1, (1,)),
    ],
)
def test_choices_are_multiples_of_the_step_or_the_whole_group(length: int, channels: int, step: int, expected: tuple[int, ...]) -> None:
    assert choices_of(length, channels, step) == expected


def test_kept_units_and_what_they_hold() -> None:
    units = units_of(chain())
    order = units.groups[0].units[[3, 1, 0, 2, 7, 6, 5, 4]]
    ranking = Ranking(order, np.array([0.0, 0, 1, 2, 4, 6, 8, 9, 10]), 10.0)
    space = SearchSpace.compile(units, [ranking], [4])
    genomes = np.array([[0], [1]])
    assert space.lengths.tolist() == [2]
    assert space.kept(genomes).tolist() == [[4], [8]]
    assert space.saliency(space.kept(genomes)) == pytest.approx([0.6, 1.0])
    fine = space.at([1])
    assert fine.lengths.tolist() == [8]
    assert fine.saliency(fine.kept(np.arange(8)[:, None])) == pytest.approx([0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.0])
    assert set(np.flatnonzero(space.removed([5]))) == set(order[:3])
    (site,) = fine.sites()
    assert (site.kind, site.choices) == ("prune-channels", tuple(range(1, 9)))


@pytest.mark.parametrize("seed", range(15))
def test_the_tables_agree_with_the_models_that_are_built(seed: int) -> None:
    model = random_network(seed)
    space = space_of(model)
    rng = np.random.default_rng(seed)
    genomes = np.concatenate([np.zeros((1, len(space.choices)), np.int64), rng.integers(0, space.lengths, (3, len(space.choices)))])
    kept = space.kept(genomes)
    table = space.costs
    costs = np.stack([table.macs(kept), table.params(kept), table.activation_bytes(kept), table.peak_activation_bytes(kept)], axis=1)
    for row, expected in zip(kept, costs.tolist(), strict=True):
        built = totals(Graph(apply_edit(space.units.graph, space.edit(row))))
        assert [built.macs, built.params, built.activation_bytes, built.peak_activation_bytes] == expected
    assert len({tuple(row) for row in costs.tolist()}) > 1


def test_losses_in_their_own_currency_and_weighted() -> None:
    net = Net(x=(1, 3, 4, 4))
    ends = [net.conv(net.op("Relu", net.conv("x", f"a{place}", 3, 4)), f"b{place}", 4, 4) for place in range(2)]
    units = units_of(net.model(*ends))
    rankings = [
        Ranking(group.units, np.array([0.0, 1, 3, 6, 10]) * scale, 10.0 * scale) for group, scale in zip(units.groups, (1, 3), strict=True)
    ]
    space = SearchSpace.compile(units, rankings, [1, 1])
    assert space.whole == 40
    assert [space.lost(1, kept) for kept in range(5)] == pytest.approx([30, 18, 9, 3, 0])
    weighted = space.weighted([np.array([2.0, 1, 1, 1, 1]), 0.5])
    assert [weighted.lost(0, kept) for kept in range(5)] == pytest.approx([20, 6, 3, 1, 0])
    assert [weighted.lost(1, kept) for kept in range(5)] == pytest.approx([15, 9, 4.5, 1.5, 0])
    assert weighted.whole == pytest.approx(35)
    assert weighted.saliency(np.array([[4, 4], [0, 0]])) == pytest.approx([1, 0])
