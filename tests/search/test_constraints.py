"""Drops become bounds, and bounds hold or do not."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.search.constraints import Constraints
from tests.search.spaces import asking, branches

BASE = {"flops": 100.0, "params": 10.0, "memory": 10.0}


@pytest.mark.parametrize("drop", [0.0, 1.0, float("nan"), -0.1, 13.0, float("inf")])
def test_a_drop_lies_strictly_between_0_and_1(drop: float) -> None:
    with pytest.raises(UsageError, match=r"--params-drop .* must lie between 0 and 1"):
        Constraints({"flops": 0.5, "params": drop}, BASE)


def test_a_bound_is_met_exactly_or_missed() -> None:
    space = branches(16, step=1)
    constraints = asking(space, flops=0.25)
    kept = np.array([[16], [13], [12], [11]])
    assert constraints.hold(space, kept).tolist() == [False, False, True, True]
    assert constraints.excess(space, kept)[:, 0] == pytest.approx([0.25, 1 / 16, 0.0, -1 / 16])
    assert constraints.reached(space, kept[2])["flops"] == pytest.approx(0.25)


def test_every_constraint_has_to_hold() -> None:
    """At most 32 of 16-pixel channels are alive at once; with 2 kept, the last convolution's input and output are the most: 2 + 4."""
    space = branches(16, step=1)
    drops = asking(space).reached(space, np.array([2]))
    assert drops == pytest.approx({"flops": 14 / 16, "params": 14 / 16, "memory": 26 / 32})
    kept = np.array([[16], [8], [4], [1]])
    assert asking(space).hold(space, kept).all()
    assert asking(space, flops=0.4, memory=0.7).hold(space, kept).tolist() == [False, False, True, True]
    assert asking(space, flops=0.9, memory=0.4).hold(space, kept).tolist() == [False, False, False, True]
