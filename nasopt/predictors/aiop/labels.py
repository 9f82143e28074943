"""What a predictor learns of labels: standardised within a task (AIO-P, Eq. 4), divided by what a network costs (Eq. 5), and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from nasopt.errors import UsageError

__all__ = ["MODES", "Mode", "Scale", "divisor"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mode = Literal["none", "stand", "stand_flops"]
MODES: tuple[Mode, ...] = ("none", "stand", "stand_flops")


def divisor(gflops: Floats) -> Floats:
    """Eq. 5: log10(F + 1) + 1, F in 1e9 FLOPs (2 x MACs)."""
    return np.asarray(np.log10(np.asarray(gflops, np.float64) + 1) + 1)


@dataclass(frozen=True)
class Scale:
    """Labels of one task and space to the predictor's numbers, and back.

    Attributes:
        mode: ``none``; ``stand``, Eq. 4; ``stand_flops``, Eq. 5 and then Eq. 4.
        mean: of the labels, after the division.
        std: population deviation of the same.
    """

    mode: Mode
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def fit(cls, mode: Mode, labels: Floats, gflops: Floats) -> Scale:
        """Takes mean and deviation from labels; they should be those of training rows only.

        Args:
            mode: how labels are scaled.
            labels: fractions, (n,).
            gflops: of the same networks, (n,).

        Raises:
            UsageError: there are no labels, or they do not differ, so that there is nothing to learn.
        """
        if mode == "none":
            return cls(mode)
        values = np.asarray(labels, np.float64) / (divisor(gflops) if mode == "stand_flops" else 1)
        if not len(values) or not np.isfinite(values).all() or values.std() == 0:
            raise UsageError(f"{len(values)} labels that do not differ, or are not numbers, cannot be standardised: give more of them")
        return cls(mode, float(values.mean()), float(values.std()))

    def apply(self, labels: Floats, gflops: Floats) -> Floats:
        """What the predictor is trained on: (n,)."""
        values = np.asarray(labels, np.float64)
        values = values / divisor(gflops) if self.mode == "stand_flops" else values
        return np.asarray((values - self.mean) / self.std)

    def invert(self, outputs: Floats, gflops: Floats) -> Floats:
        """Labels of the predictor's outputs: (n,)."""
        values = np.asarray(outputs, np.float64) * self.std + self.mean
        return np.asarray(values * divisor(gflops) if self.mode == "stand_flops" else values)

    def told(self) -> dict[str, Any]:
        """For a card; ``Scale(**told)`` is the same."""
        return asdict(self)
