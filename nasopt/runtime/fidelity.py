"""How far a network's answers are from those of its original on the same inputs, without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from nasopt.errors import UsageError
from nasopt.runtime.sessions import open_session, run

__all__ = ["accuracy", "answers", "divergence"]

Array = np.ndarray[Any, Any]


def answers(
    model: onnx.ModelProto, batches: Sequence[Mapping[str, Array]], *, threads: int = 1, origin: str = "model"
) -> list[list[Array]]:
    """The floating-point outputs of a network, once a batch."""
    session = open_session(model, threads=threads, origin=origin)
    outputs = ([np.asarray(value) for value in run(session, batch, origin=origin)] for batch in batches)
    return [[value for value in row if np.issubdtype(value.dtype, np.floating)] for row in outputs]


def divergence(expected: Sequence[Sequence[Array]], got: Sequence[Sequence[Array]]) -> float:
    """Squared error over the variance of the original's outputs, a mean over outputs.

    0 where the answers are the same, 1 where the mean answer would have done as well. The variance of each element of an output is
    taken over inputs, so that a constant bias counts for nothing.

    Args:
        expected: the original's outputs, once a batch (`answers`).
        got: the other network's.
    """
    ratios = []
    for place in range(len(expected[0]) if expected else 0):
        target = _joined([row[place] for row in expected])
        other = _joined([row[place] for row in got])
        if target.shape != other.shape or not np.isfinite(target).all():
            continue
        # A single input has no other to differ from: then elements are compared with each other.
        spread = float(np.square(target - (target.mean(axis=0) if len(target) > 1 else target.mean())).sum())
        if spread > 0:
            ratios.append(float(np.square(other - target).sum()) / spread if np.isfinite(other).all() else np.inf)
    return float(np.mean(ratios)) if ratios else 0.0


def accuracy(got: Sequence[Sequence[Array]], labels: Sequence[Array], others: Sequence[Array] = ()) -> float:
    """Share of inputs whose class is answered best, by the first output that may name classes: (inputs, classes).

    Args:
        got: outputs, once a batch (`answers`).
        labels: classes of these inputs, once a batch.
        others: classes of other inputs, which have to exist, too.

    Raises:
        UsageError: no output does, or a label is beyond its classes.
    """
    for place in range(len(got[0]) if got else 0):
        if all(row[place].ndim == 2 and row[place].shape == (len(own), row[place].shape[1]) for row, own in zip(got, labels, strict=True)):
            scores, classes = _joined([row[place] for row in got]), np.concatenate(labels)
            if scores.shape[1] > 1:
                every = np.concatenate([classes, *others])
                if every.min() < 0 or every.max() >= scores.shape[1]:
                    raise UsageError(f"--labels: a label lies outside the network's classes, 0 to {scores.shape[1] - 1}")
                return float((scores.argmax(axis=1) == classes).mean())
    raise UsageError("--labels: the network has no output that names classes, (inputs, classes)")


def _joined(rows: Sequence[Array]) -> Array:
    """Batches one after the other; what has no batch is one row a batch."""
    whole = all(row.ndim and row.shape[1:] == rows[0].shape[1:] for row in rows)
    return (np.concatenate(rows) if whole else np.stack([np.ravel(row) for row in rows])).astype(np.float64)
