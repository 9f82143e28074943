"""``predict``: what a trained predictor says of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nasopt.errors import UsageError
from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import load_graph
from nasopt.predictor_results import PredictResult
from nasopt.predictors.aiop.checkpoint import Checkpoint
from nasopt.predictors.aiop.likeness import description
from nasopt.predictors.shipped import shipped

__all__ = ["predict", "warning_of"]


UNLIKE = 2.0
"""Unlikeness from which on the user is warned."""


def warning_of(origin: str, unlikeness: float) -> str | None:
    """The line for a network that is unlike those of training."""
    if unlikeness <= UNLIKE:
        return None
    return (
        f"{origin}: unlike any network that the predictor was trained on (distance {unlikeness:.1f}, of which 1 is usual in training): "
        "the figure is an extrapolation"
    )


def predict(
    model: str | Path,
    checkpoint: str | Path | None = None,
    *,
    task: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> PredictResult:
    """Asks a predictor of a network; neither torch nor weights that mean anything are needed.

    Args:
        model: the ONNX file.
        checkpoint: a folder that ``nasopt train aiop`` wrote, or
        task: one that a predictor ships for (`list_tasks`).
        input_shapes: shapes to bind dynamic inputs to.

    Raises:
        UsageError: a file does not exist, is no such checkpoint, or there is no such task; or both or neither are given.
        ModelNotSupportedError: a model that is not understood.
    """
    if (checkpoint is None) == (task is None):
        raise UsageError("name a task (--task; --list-tasks has them) or a trained predictor (--checkpoint), one of both")
    path = Path(model)
    known = shipped(task) if task is not None else Checkpoint.load(str(checkpoint))
    graph = load_graph(path, input_shapes)
    features, cost = computational_graph(graph).features(), totals(graph)
    gflops = 2 * cost.macs / 1e9
    said = known.predict([features], np.array([gflops]), np.array([cost.params / 1e6]))[:, 0]
    unlikeness = known.likeness.unlikeness(description(features, gflops, cost.params / 1e6))
    std = float(said.std(ddof=1)) if len(said) > 1 else None
    return PredictResult(
        path, str(known.card["task"]), str(known.card["unit"]), float(said.mean()), std, len(said), unlikeness,
        warning_of(str(path), unlikeness), gflops, cost.params
    )  # fmt: skip
