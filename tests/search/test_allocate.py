"""From constraints to a choice."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.errors import ConstraintUnreachableError
from nasopt.search.allocate import allocate
from nasopt.search.descent import descend, give_back
from tests.search.spaces import SEEDS, asking, branches, generated_space, reachable


@pytest.mark.parametrize("generations", [0, 4])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_choice_holds_and_lies_on_the_front(seed: int, generations: int) -> None:
    space = generated_space(seed)
    constraints = reachable(space, 0.6, "flops", "params")
    found = allocate(space, constraints, granularity=1, seed=seed, generations=generations)
    assert found.reached
    assert constraints.hold(space, found.kept[None]).all()
    assert (found.front[found.chosen] == found.kept).all()
    assert (np.diff(space.costs.macs(found.front)) <= 0).all()
    greedy = give_back(space, constraints, descend(space, constraints)[0])
    assert space.saliency(found.kept[None])[0] >= space.saliency(space.kept(greedy[None]))[0] - 1e-12
    assert (found.generations, found.stopped_by) == (generations, "generations")


@pytest.mark.parametrize("step", [2, 4, 8])
@pytest.mark.parametrize("seed", SEEDS)
def test_channels_go_in_steps(seed: int, step: int) -> None:
    space = generated_space(seed)
    found = allocate(space, reachable(space.at([step] * len(space.choices)), 0.9), granularity=step, generations=2)
    assert found.space.steps == (step,) * len(space.choices)
    sizes = [(len(group), group.channels) for group in space.units.groups]
    for row in found.front:
        assert all(units == whole or units * channels % step == 0 for units, (whole, channels) in zip(row, sizes, strict=True))
    assert (found.kept < [whole for whole, _ in sizes]).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_out_of_reach(seed: int) -> None:
    space = generated_space(seed)
    constraints = asking(space, flops=0.999, params=0.3)
    floor = space.kept(np.zeros((1, len(space.choices)), np.int64))[0]
    with pytest.raises(ConstraintUnreachableError, match=r"--flops-drop 0\.999, --params-drop 0\.3 cannot be reached") as caught:
        allocate(space, constraints, granularity=1)
    assert "finer" not in str(caught.value)
    assert caught.value.reachable == constraints.reached(space, floor)
    assert set(caught.value.reachable) == {"flops", "params", "memory"}
    nearest = allocate(space, constraints, granularity=1, best_effort=True)
    assert not nearest.reached
    assert nearest.kept.tolist() == floor.tolist()
    assert (nearest.front[nearest.chosen] == floor).all()


def test_what_is_named_as_reachable_is_reached() -> None:
    space = branches(16, 64)
    with pytest.raises(ConstraintUnreachableError) as caught:
        allocate(space, asking(space, flops=0.7), granularity=16)
    assert caught.value.reachable["flops"] == pytest.approx(0.6)
    assert "finer --granularity" in str(caught.value)
    found = allocate(space, asking(space, flops=caught.value.reachable["flops"]), granularity=16, generations=2)
    assert found.kept.tolist() == [16, 16]
    assert allocate(space, asking(space, flops=0.7), generations=2).reached  # auto takes finer steps


def test_equal_seeds_give_equal_answers() -> None:
    space = generated_space(9)
    a, b = (allocate(space, reachable(space, 0.5), granularity=1, seed=4, generations=4) for _ in range(2))
    assert a.front.tolist() == b.front.tolist()
    assert a.kept.tolist() == b.kept.tolist()
