"""What the verbs about predictors return: frozen records, like `nasopt.results`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Agreement",
    "PredictResult",
    "Predicted",
    "PredictedTask",
    "ProxiesResult",
    "ReproduceResult",
    "Reproduced",
    "TasksResult",
    "TrainResult",
]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of predictions with measured values of rows that nothing was learned from. ``mae`` is None where there is no unit to compare in."""

    tau: float
    """Kendall's."""
    srcc: float
    """Spearman's."""
    mae: float | None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A predictor that was trained, and how good it is."""

    folder: Path
    space: str
    metric: str
    unit: str
    labels: int
    """How many were learned from, the dev parts included."""
    members: int
    epochs: tuple[int, ...]
    """Of each member: the epoch whose weights were kept."""
    test_rows: int
    agreement: Agreement
    baselines: Mapping[str, Agreement]
    """On the same rows: FLOPs, parameters, and a constant, the median of what was learned from (only its ``mae`` says anything)."""


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A cell of AIO-P's Tables 3 and 4 (zero-shot) or 21 and 22 (fine-tuned): means over seeds, and deviations."""

    family: str
    task: str
    method: str
    way: str
    mae: float
    """Percent."""
    mae_std: float
    srcc: float
    """Spearman's."""
    srcc_std: float
    seeds: int


@dataclass(frozen=True, slots=True)
class ReproduceResult:
    """Published tables, made anew."""

    folder: Path
    caches: Path
    cells: tuple[Reproduced, ...]


@dataclass(frozen=True, slots=True)
class PredictResult:
    """What a predictor says of a network."""

    model: Path
    task: str
    unit: str
    mean: float
    std: float | None
    """Over the ensemble's members; None where there is one."""
    members: int
    unlikeness: float
    """Distance to the nearest network of training; 1 is what 95 % of those stay below among themselves."""
    warning: str | None
    gflops: float
    params: int


@dataclass(frozen=True, slots=True)
class PredictedTask:
    """A task that a predictor ships for."""

    name: str
    about: str
    unit: str
    data: str
    """What it was trained on."""
    labels: int
    test_rows: int
    agreement: Agreement
    """On rows that nothing was learned from."""


@dataclass(frozen=True, slots=True)
class TasksResult:
    """All of them."""

    tasks: tuple[PredictedTask, ...]


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a predictor says of the architectures before and after, were they trained anew."""

    task: str
    unit: str
    before: float
    after: float
    change: float
    std: float | None
    """Of the change, over the ensemble's members; None where there is one."""
    members: int
    weight: float
    """Share of saliency that a change of 100 % was worth in the choice."""
    unlikeness: float
    warning: str | None


@dataclass(frozen=True, slots=True)
class ProxiesResult:
    """A network's zero-cost proxies."""

    model: Path
    scores: Mapping[str, float]
    """By name; not finite where a definition has no value for this network."""
    batch: int
    """Rows that were looked at."""
    inputs: str
    """What they are."""
    labels: str
    """``random``, or the file that they are from."""
