"""Rankings by derivatives: what is summed before it is squared, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.graphs.graph import Graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations.gates import by_derivatives
from nasopt.mutations.importance import BY_DERIVATIVES, Evidence, rank
from tests.small import chain, units_of


def test_the_mean_of_squares_orders_units_and_adds_up() -> None:
    units = units_of(chain())
    (group,) = units.groups
    derivatives = np.full((2, units.count), np.nan)
    derivatives[:, group.units] = [[3, 0, 1, 2, 9, 9, 9, 9], [-3, 1, 1, -2, 9, 9, 9, 9]]
    (found,) = by_derivatives(units, derivatives)
    assert found is not None
    order, loss = found
    assert order.tolist() == [1, 2, 3, 0, 4, 5, 6, 7], "signs say nothing, and of equals the first goes first"
    assert loss[:5].tolist() == [0, 0.5, 1.5, 5.5, 14.5]


@pytest.mark.parametrize("rows", [0, 3])
def test_where_nothing_is_known_there_is_no_loss(rows: int) -> None:
    units = units_of(chain())
    derivatives = np.ones((rows, units.count))
    derivatives[:, units.groups[0].units[0]] = np.nan
    assert by_derivatives(units, derivatives) == [None]


@pytest.mark.parametrize("name", BY_DERIVATIVES)
def test_unknown_groups_are_ranked_without_data(name: str) -> None:
    coupling = couple(Graph(chain()))
    units = solve(coupling)
    (ranking,), (expected,) = (
        rank(measure, Evidence(coupling, units, derivatives={name: np.full((1, units.count), np.nan)})) for measure in (name, "meanfield")
    )
    assert (ranking.order == expected.order).all()
    assert ranking.whole == 1
    assert ranking.loss == pytest.approx(expected.loss / expected.whole)
