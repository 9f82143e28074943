"""Searches over architectures and their runs: frozen records, like `nasopt.results`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FoundArchitecture", "RunDetail", "RunSummary", "RunsResult", "SearchObjective", "SearchResult"]


@dataclass(frozen=True, slots=True)
class SearchObjective:
    """What is searched for.

    Attributes:
        name: as it was asked for.
        metric: of the tables.
        direction: ``max`` or ``min``.
        unit: of its figures.
    """

    name: str
    metric: str
    direction: str
    unit: str


@dataclass(frozen=True, slots=True)
class FoundArchitecture:
    """An architecture that was asked about.

    Attributes:
        arch: the space's official string.
        number: the how manieth it was, from 1.
        values: by objective, as the tables have them.
        valid_accuracy: what the search saw; None where no accuracy was asked for.
        test_accuracy: what it did not see; None where the tables have none.
        file: the network, where it was exported.
    """

    arch: str
    number: int
    values: Mapping[str, float]
    valid_accuracy: float | None
    test_accuracy: float | None
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        space: name of the space.
        task: of its accuracies.
        strategy: how it was searched.
        predictor: what the predictor read; None where the strategy has none.
        objectives: in the order asked for.
        seed: of every random number.
        pool: architectures that it could choose from.
        left_out: those of the tables that lack a figure.
        evaluations: architectures that were asked about, the first ones included.
        best: by the first objective.
        front: those that no other beats in every objective, by the first one.
        run: the file of its record; None where nothing was recorded.
    """

    space: str
    task: str
    strategy: str
    predictor: str | None
    objectives: tuple[SearchObjective, ...]
    seed: int
    pool: int
    left_out: int
    evaluations: int
    best: FoundArchitecture
    front: tuple[FoundArchitecture, ...]
    run: Path | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run.

    Attributes:
        path: its file.
        state: ``running``, also of a run that was interrupted, or ``done``.
        space: name of the space.
        task: of its accuracies.
        strategy: how it is searched.
        seed: of every random number.
        evaluations: so far.
        samples: at the end.
        changed: when the last answer came, ISO 8601 UTC; None before the first.
    """

    path: Path
    state: str
    space: str
    task: str
    strategy: str
    seed: int
    evaluations: int
    samples: int
    changed: str | None


@dataclass(frozen=True, slots=True)
class RunsResult:
    """Runs that are kept in a folder."""

    folder: Path
    runs: tuple[RunSummary, ...]


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run so far.

    Attributes:
        summary: the run.
        predictor: what the predictor reads; None where the strategy has none.
        objectives: in the order asked for.
        best: by the first objective; None before the first answer.
        front: those that no other beats in every objective.
        history: number and value, each time the first objective got better.
    """

    summary: RunSummary
    predictor: str | None
    objectives: tuple[SearchObjective, ...]
    best: FoundArchitecture | None
    front: tuple[FoundArchitecture, ...]
    history: tuple[tuple[int, float], ...]
