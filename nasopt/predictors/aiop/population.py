"""What a predictor says of everything that a network can be pruned to: whole populations, without building a network.

All candidates share nodes and edges; only channels differ. So one block of graphs is made, and its numbers are replaced.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.graphs.cg_table import CGTable
from nasopt.predictors.aiop.block import Block
from nasopt.predictors.aiop.likeness import TINY, description

if TYPE_CHECKING:
    from nasopt.graphs.cost import CostTable
    from nasopt.predictors.aiop.checkpoint import Checkpoint

__all__ = ["PopulationPredictor"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

TOGETHER = 8
"""Candidates in a block: matrices that stay in the cache."""
FLOPS, PARAMS = -2, -1
"""Where a description has them: the only parts of it that pruning changes."""


class PopulationPredictor:
    """A checkpoint, asked of the candidates of one network."""

    def __init__(self, checkpoint: Checkpoint, costs: CostTable) -> None:
        """Compiles what candidates share.

        Args:
            checkpoint: the predictor.
            costs: of the network.
        """
        self._checkpoint, self._costs, self._asked = checkpoint, costs, checkpoint.answering()
        self._table = CGTable(costs.units)
        features = self._table.features
        self._block = Block.of([features] * TOGETHER)
        self._nodes = len(features.resolutions)
        self._whole = np.array([[len(group) for group in costs.units.groups]], np.int64)
        self._described = description(features, *(values[0] for values in self._scaled_costs(self._whole)))

    def members(self, kept: Ints) -> Floats:
        """What each member says: (members, population), in the unit of the labels.

        Args:
            kept: units kept per group, (population, groups).
        """
        gflops, params = self._scaled_costs(kept)
        described = np.repeat(self._described[None].astype(np.float32), len(kept), axis=0)
        described[:, FLOPS], described[:, PARAMS] = np.log2(gflops + TINY), np.log2(params + TINY)
        outputs = np.empty((len(self._asked), len(kept)), np.float32)
        resolutions = self._block.resolutions.reshape(TOGETHER, self._nodes, -1)
        for begin in range(0, len(kept), TOGETHER):
            rows = kept[begin : begin + TOGETHER]
            resolutions[: len(rows), self._table.changing, 4:] = self._table.channels(rows)
            about = described[begin : begin + TOGETHER]
            about = np.concatenate([about, np.repeat(about[:1], TOGETHER - len(rows), axis=0)])
            for place, answer in enumerate(self._asked):
                outputs[place, begin : begin + len(rows)] = answer(self._block, about)[: len(rows)]
        return self._checkpoint.in_unit(outputs.astype(np.float64), gflops)

    @cached_property
    def whole(self) -> Floats:
        """What each member says of the network as it is: (members,)."""
        return self.members(self._whole)[:, 0]

    @property
    def unlikeness(self) -> float:
        """Of the network to those of training (`nasopt.predictors.aiop.likeness`)."""
        return self._checkpoint.likeness.unlikeness(self._described)

    def change(self, kept: Ints) -> tuple[Floats, Floats]:
        """By how much candidates differ from the whole network, and the deviation of that over members, (population,) both."""
        change = self.members(kept) - self.whole[:, None]
        spread = change.std(axis=0, ddof=1) if len(change) > 1 else np.zeros(len(kept))
        return change.mean(axis=0), np.asarray(spread)

    def _scaled_costs(self, kept: Ints) -> tuple[Floats, Floats]:
        """FLOPs / 1e9 and parameters / 1e6."""
        return 2 * self._costs.macs(kept) / 1e9, self._costs.params(kept) / 1e6
