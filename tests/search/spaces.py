"""Compiled spaces to search in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from nasopt.api.preparation import compile_space
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.mutations.importance import Ranking
from nasopt.mutations.space import SearchSpace
from nasopt.search.constraints import Constraints
from tests.generated import random_network
from tests.small import Net, units_of

SEEDS = (0, 6, 8, 9, 11)
"""Generated networks with three to eleven groups that all three constraints can make smaller."""


def space_of(model: onnx.ModelProto, step: int = 1) -> SearchSpace:
    units, space = compile_space(Graph(model), (), "l2", 0)
    return space.at([step] * len(units.groups))


def generated_space(seed: int, step: int = 1) -> SearchSpace:
    space = space_of(random_network(seed), step)
    assert len(space.choices) > 1
    return space


def asking(space: SearchSpace, **drops: float) -> Constraints:
    cost = totals(space.units.graph)
    return Constraints(drops, {"flops": cost.macs, "params": cost.params, "memory": cost.peak_activation_bytes})


def reachable(space: SearchSpace, share: float, *names: str) -> Constraints:
    """Asks for a share of the largest drops that there are."""
    floor = space.kept(np.zeros((1, len(space.choices)), np.int64))[0]
    largest = asking(space).reached(space, floor)
    return asking(space, **{name: share * largest[name] for name in names or ("flops",)})


def branches(*widths: int, step: int = 16) -> SearchSpace:
    """A pair of convolutions a width, side by side; MACs are proportional to the channels kept, and each holds as much saliency."""
    net = Net(x=(1, 3, 4, 4))
    ends = [net.conv(net.op("Relu", net.conv("x", f"a{place}", 3, width)), f"b{place}", width, 4) for place, width in enumerate(widths)]
    units = units_of(net.model(*ends))
    assert [len(group) for group in units.groups] == list(widths)
    rankings = [Ranking(group.units, np.arange(len(group) + 1.0), float(len(group))) for group in units.groups]
    return SearchSpace.compile(units, rankings, [step] * len(widths))


def none_better(macs: Sequence[float], saliency: Sequence[float]) -> bool:
    """Whether no point of a front is at least as good as another in both."""
    pairs = list(zip(macs, saliency, strict=True))
    return not any(a is not b and a[0] <= b[0] and a[1] >= b[1] for a in pairs for b in pairs)
