"""``runs``: what the files of searches say, also while these go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import numpy as np

from nasopt.api.search import found_among, objectives_of
from nasopt.errors import UsageError
from nasopt.search.pool import goals_of
from nasopt.search.run_state import read_run
from nasopt.search_results import FoundArchitecture, RunDetail, RunsResult, RunSummary

__all__ = ["list_runs", "show_run", "table_of", "watch_run"]

SUFFIX = ".run"
SECONDS = 1.0


def list_runs(folder: str | Path = ".") -> RunsResult:
    """The runs (``*.run``) in a folder, the last changed first.

    Raises:
        UsageError: there is no such folder.
    """
    path = Path(folder)
    if not path.is_dir():
        raise UsageError(f"{path}: is no directory")
    found = []
    for file in sorted(path.glob(f"*{SUFFIX}")):
        try:
            found.append(show_run(file).summary)
        except UsageError:  # another program's file
            continue
    return RunsResult(path, tuple(sorted(found, key=lambda one: one.changed or "", reverse=True)))


def show_run(path: str | Path) -> RunDetail:
    """One run so far.

    Raises:
        UsageError: it is no run.
    """
    path = Path(path)
    told, answers = read_run(path)
    settings = told["settings"]
    goals = goals_of(settings["space"], settings["task"], settings["objectives"])
    summary = RunSummary(
        path, told["state"], settings["space"], settings["task"], settings["strategy"], settings["seed"], len(answers), settings["samples"],
        f"{answers[-1].at.replace(' ', 'T')}Z" if answers else None,
    )  # fmt: skip
    best: FoundArchitecture | None = None
    front: tuple[FoundArchitecture, ...] = ()
    history: list[tuple[int, float]] = []
    if answers:
        values = np.array([one.answer for one in answers], np.float64)
        best, front = found_among([one.question for one in answers], values, goals)
        sign = -1.0 if goals[0].largest else 1.0
        for number, value in enumerate(values[:, 0].tolist(), start=1):
            if not history or sign * value < sign * history[-1][1]:
                history.append((number, value))
    predictor = settings["predictor"] if settings["strategy"] == "predictor" else None
    return RunDetail(summary, predictor, objectives_of(goals), best, front, tuple(history))


def table_of(path: str | Path) -> list[dict[str, object]]:
    """Every evaluation of a run, once a row: number, time, architecture, and a column an objective."""
    told, answers = read_run(Path(path))
    names = told["settings"]["objectives"]
    return [{"number": one.number + 1, "at": one.at, "arch": one.question, **dict(zip(names, one.answer, strict=True))} for one in answers]


def watch_run(path: str | Path, seconds: float = SECONDS) -> Iterator[tuple[int, int, str, list[float]]]:
    """Evaluations as they come, until the run is done: number, how many there will be, architecture, values."""
    seen = 0
    while True:
        told, answers = read_run(Path(path))
        for one in answers[seen:]:
            yield one.number + 1, told["settings"]["samples"], one.question, one.answer
        seen = len(answers)
        if told["state"] == "done":
            return
        sleep(seconds)
