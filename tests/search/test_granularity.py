"""Steps are halved only as far as needed."""

from __future__ import annotations

import pytest

from nasopt.search.descent import unreachable
from nasopt.search.granularity import choose_steps, refine_steps
from tests.search.spaces import SEEDS, asking, branches, generated_space, reachable


@pytest.mark.parametrize(
    ("width", "drop", "step"),
    [
        (64, 0.25, 16),  # 16 of 64 have to go
        (64, 0.26, 16),  # 32 instead of 24: no more than half as much again
        (64, 0.1, 8),  # 16 instead of 8 is twice the loss; 4 would take no fewer than 8
        (64, 0.05, 4),  # 16, then 8, instead of 4
        (64, 0.01, 4),  # no finer where the drop can be reached
        (24, 0.6, 8),  # 16 may stay in steps of 16, which is too many
        (24, 0.49, 4),  # half vectors are not worth 16 instead of 12
        (16, 0.7, 4),
        (16, 0.8, 2),
        (16, 0.9, 1),  # one of 16 may stay
    ],
)
def test_as_coarse_as_it_may_be(width: int, drop: float, step: int) -> None:
    space = branches(width)
    assert choose_steps(space, asking(space, flops=drop)).steps == (step,)


@pytest.mark.parametrize(("drop", "steps"), [(0.6, (16, 16)), (0.61, (8, 16)), (0.75, (4, 16)), (0.97, (1, 1))])
def test_only_the_groups_that_need_it_are_refined(drop: float, steps: tuple[int, int]) -> None:
    """At least 16 + 16 of 16 + 64 channels stay in steps of 16."""
    space = branches(16, 64)
    assert refine_steps(space, asking(space, flops=drop)).steps == steps


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_single_channels_reach_is_reached(seed: int) -> None:
    fine = generated_space(seed)
    constraints = reachable(fine, 1 - 1e-9)
    for choose in (choose_steps, refine_steps):
        found = choose(fine.at([16] * len(fine.choices)), constraints)
        assert not unreachable(found, constraints)
        assert set(found.steps) <= {1, 2, 4, 8, 16}


def test_out_of_reach_every_step_is_1() -> None:
    space = branches(16, 64)
    assert refine_steps(space, asking(space, flops=0.99)).steps == (1, 1)
