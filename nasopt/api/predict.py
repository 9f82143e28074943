"""``predict``: what a trained predictor says of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import load_graph
from nasopt.predictor_results import PredictResult
from nasopt.predictors.aiop.checkpoint import Checkpoint
from nasopt.predictors.aiop.likeness import description

__all__ = ["predict"]

UNLIKE = 2.0
"""Unlikeness from which on the user is warned."""


def predict(model: str | Path, checkpoint: str | Path, *, input_shapes: Mapping[str, Sequence[int]] | None = None) -> PredictResult:
    """Asks a predictor of a network; neither torch nor weights that mean anything are needed.

    Args:
        model: the ONNX file.
        checkpoint: a folder that ``nasopt train aiop`` wrote.
        input_shapes: shapes to bind dynamic inputs to.

    Raises:
        UsageError: a file does not exist, or is no such checkpoint.
        ModelNotSupportedError: a model that is not understood.
    """
    path = Path(model)
    known = Checkpoint.load(checkpoint)
    graph = load_graph(path, input_shapes)
    features, cost = computational_graph(graph).features(), totals(graph)
    gflops = 2 * cost.macs / 1e9
    said = known.predict([features], np.array([gflops]))[:, 0]
    unlikeness = known.likeness.unlikeness(description(features, gflops, cost.params / 1e6))
    warning = None
    if unlikeness > UNLIKE:
        warning = (
            f"{path}: unlike any network that the predictor was trained on (distance {unlikeness:.1f}, of which 1 is usual in training): "
            "the figure is an extrapolation"
        )
    std = float(said.std(ddof=1)) if len(said) > 1 else None
    return PredictResult(
        path, str(known.card["task"]), str(known.card["unit"]), float(said.mean()), std, len(said), unlikeness, warning, gflops, cost.params
    )  # fmt: skip
