"""How far a network's outputs are from those of another: for each output a square error on the scale that suits what it is.

What an output is follows from what the original answers, by the first rule that holds:

1. **left out**: no float, or without variation, or not finite. Nothing can be learned from it.
2. **probabilities**: not negative, and they sum to 1 along the channels (or the last axis). Their logarithms less the mean of these, which
   are the scores that went into the softmax, are compared like the numbers of a row.
3. **row**: rank 2, and 32 numbers or more, or of unit length: scores of many classes, embeddings. Square error over the variance of
   the row as a whole: directions with little variance count for little, as they do in the distances that embeddings are for.
4. **values**: anything else (scores of a few classes, heatmaps, boxes, images). Square error over the variance of its channel:
   coordinates in pixels and scores count the same.

The mean of the original's answers scores about 1 in all of them. Between scores a divergence of the probabilities is more common than
a square error, but in the short runs that were tried it was behind: 60 steps on a ResNet-56 with half its MACs, one rate. Kim et al.
(IJCAI 2021) found the same in long ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from nasopt.errors import UsageError

__all__ = ["Kind", "OutputLoss", "output_losses", "total_loss", "value_losses"]

Array = np.ndarray[Any, Any]
Kind = Literal["probabilities", "row", "values"]

WIDE = 32
"""Numbers that make a row."""

FLOOR = 0.01
"""Channels with less than this share of the lower quartile of variances count as if they had it: what hardly varies would count most."""

LEAST = 1e-8
"""Probabilities below count as this one: single precision holds none, or noise, and a logarithm of 0 is no number."""

_CONSTANT = 1e-9
"""Of the largest variance."""

_EXACT = 1e-3


@dataclass(frozen=True, slots=True)
class OutputLoss:
    """The distance of an output from what it should be; 0 where they agree.

    Attributes:
        output: its name.
        kind: what it is: see the module.
        axis: of the channels, classes or numbers of a row.
        scale: one over the variance, broadcast against the output.
    """

    output: str
    kind: Kind
    axis: int
    scale: Tensor

    def __call__(self, given: Tensor, wanted: Tensor) -> Tensor:
        """The mean over a batch."""
        if self.kind == "probabilities":
            given, wanted = (_scores(value, self.axis) for value in (given, wanted))
        return ((given - wanted).square() * self.scale).mean()

    def coordinates(self, value: Tensor) -> Tensor:
        """Where a value stands: the loss is the mean of square differences of these."""
        return (_scores(value, self.axis) if self.kind == "probabilities" else value) * self.scale.sqrt()


def output_losses(answers: Mapping[str, Sequence[Array]], origin: str = "model") -> list[OutputLoss]:
    """A loss for every output that says something.

    Args:
        answers: what the original answers, by output, once a batch.
        origin: what error messages call it.

    Raises:
        UsageError: no output says anything.
    """
    losses = value_losses(answers)
    if not losses:
        raise UsageError(f"{origin}: there is nothing to learn from its outputs ({', '.join(answers)}): no numbers that vary")
    return losses


def value_losses(answers: Mapping[str, Sequence[Array]]) -> list[OutputLoss]:
    """A loss for every one of some values that says something; there may be none."""
    found = [_loss(name, values) for name, values in answers.items()]
    return [loss for loss in found if loss is not None]


def total_loss(losses: Sequence[OutputLoss], given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
    """The mean over all outputs that say something."""
    return torch.stack([loss(given[loss.output], wanted[loss.output]).double() for loss in losses]).mean()


def _loss(name: str, values: Sequence[Array]) -> OutputLoss | None:
    first = values[0]
    if first.dtype.kind != "f" or not first.size or not all(np.isfinite(value).all() for value in values):
        return None
    kind, axis = _kind(values)
    if kind == "probabilities":
        values = [_scores(torch.from_numpy(value), axis).numpy() for value in values]
    variance = _variance(values, axis)
    if not variance.max() > 0:
        return None
    if kind == "values":
        variance = np.maximum(variance, FLOOR * np.quantile(variance[variance > _CONSTANT * variance.max()], 0.25))
    else:
        variance[:] = variance.mean()
    shape = [1] * first.ndim
    if first.ndim > 1:
        shape[axis] = len(variance)
    return OutputLoss(name, kind, axis, torch.from_numpy((1 / variance).astype(first.dtype).reshape(shape)))


def _kind(values: Sequence[Array]) -> tuple[Kind, int]:
    rank, shape = values[0].ndim, values[0].shape
    for axis in dict.fromkeys((1, rank - 1)) if rank > 1 else ():
        if shape[axis] > 1 and all(value.min() >= 0 and np.allclose(value.sum(axis), 1, atol=_EXACT) for value in values):
            return "probabilities", axis
    if rank == 2 and shape[1] > 1:
        unit = all(np.allclose(np.linalg.norm(value, axis=1), 1, atol=_EXACT) for value in values)
        if unit or shape[1] >= WIDE:
            return "row", 1
    # Boxes come as anchors x coordinates or coordinates x anchors: there are more anchors than coordinates.
    return "values", 2 if rank == 3 and shape[2] < shape[1] else min(1, max(rank - 1, 0))


def _scores(probabilities: Tensor, axis: int) -> Tensor:
    logarithms = probabilities.clamp_min(LEAST).log()
    return logarithms - logarithms.mean(axis, keepdim=True)


def _variance(values: Sequence[Array], axis: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of every channel; of all numbers together where there are no channels. In two passes: a mean may be far larger than what varies."""
    rank = values[0].ndim
    others = tuple(place for place in range(rank) if rank < 2 or place != axis)
    count = sum(value.size // (value.shape[axis] if rank > 1 else 1) for value in values)
    mean = sum(value.sum(others, dtype=np.float64, keepdims=True) for value in values) / count
    squares = sum(np.square(value - mean).sum(others) for value in values)
    return np.asarray(squares / count, np.float64).reshape(-1)
