"""What a trained predictor says of the candidates of `compress`: a further objective of the search, and a record of the choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nasopt.api.predict import warning_of
from nasopt.graphs.cost import CostTable
from nasopt.mutations.space import SearchSpace
from nasopt.predictor_results import Predicted
from nasopt.predictors.aiop.checkpoint import Checkpoint
from nasopt.predictors.aiop.population import PopulationPredictor
from nasopt.predictors.shipped import shipped

__all__ = ["PredictedChange", "read_predictor"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def read_predictor(name: str | Path) -> Checkpoint:
    """A folder of a trained predictor, or the task of one that ships.

    Raises:
        UsageError: it is neither.
    """
    return Checkpoint.load(name) if Path(name).is_dir() else shipped(str(name))


class PredictedChange:
    """An objective (`nasopt.search.evolution.Objective`): by how much the architecture, trained anew, would differ from the whole one."""

    name = "predicted change"

    def __init__(self, checkpoint: Checkpoint, costs: CostTable, weight: float) -> None:
        """Compiles what all candidates share.

        Args:
            checkpoint: the predictor.
            costs: of the network that is pruned.
            weight: share of saliency that a change of one label (100 % where labels are percents) is worth in the choice.
        """
        self.weight, self._costs = weight, costs
        self._factor = float(checkpoint.card["factor"])
        self._card = checkpoint.card
        self._predictor = PopulationPredictor(checkpoint, costs)

    def __call__(self, space: SearchSpace, kept: Ints) -> Floats:
        """One number a candidate, in labels; the costs of `space` are those that it was compiled with."""
        assert space.costs is self._costs
        return self._predictor.change(kept)[0] / self._factor

    def record(self, kept: Ints, origin: str) -> Predicted:
        """Of one candidate, (groups,)."""
        change, spread = self._predictor.change(kept[None])
        before = self._predictor.whole
        unlikeness = self._predictor.unlikeness
        return Predicted(
            str(self._card["task"]), str(self._card["unit"]), float(before.mean()), float(before.mean() + change[0]), float(change[0]),
            float(spread[0]) if len(before) > 1 else None, len(before), self.weight, unlikeness, warning_of(origin, unlikeness),
        )  # fmt: skip
