"""What earlier searches and the user's own measurements say: a first belief about every candidate, however little they are alike.

Earlier figures are of another task or device, so their values mean nothing. What a predictor learns from them about the candidates
does: it is one more feature of each, which the search's own answers confirm or not, and half of the first ones follow it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.predictors.gaussian_process import GaussianProcess, normal_scores
from nasopt.search.pool import Pool, read_pool
from nasopt.search.run_state import read_run

__all__ = ["informed", "read_knowledge"]

Knowledge = Mapping[str, Any]
"""Plain JSON: ``space``, ``task`` and ``objectives`` that it is about, ``architectures``, and their ``values``, a list each."""

FEWEST = 3
"""Measurements below which nothing is learned."""


def read_knowledge(path: Path, space: str, task: str, objectives: Sequence[str]) -> dict[str, Any]:
    """Reads a run, or a CSV file with a column ``arch`` and one for every objective of this search.

    Raises:
        UsageError: it is neither, or holds too little.
    """
    if not path.is_file():
        raise UsageError(f"--init-from {path}: there is no such file")
    if path.suffix == ".csv":
        found = {"space": space, "task": task, "objectives": list(objectives), **_of_csv(path, objectives)}
    else:
        told, answers = read_run(path)
        settings = told["settings"]
        found = {name: settings[name] for name in ("space", "task", "objectives")}
        found |= {"architectures": [one.question for one in answers], "values": [one.answer for one in answers]}
    if len(found["architectures"]) < FEWEST:
        raise UsageError(f"--init-from {path}: {len(found['architectures'])} measurements say nothing; {FEWEST} are the least")
    return found


def informed(pool: Pool, knowledge: Knowledge, predictor: str) -> Pool:
    """The pool with what is expected of every candidate.

    Args:
        pool: of this search.
        knowledge: of `read_knowledge`; its first objective of a kind (accuracy, latency, …) says something of all of that kind.
        predictor: what the features are.

    Raises:
        UsageError: it is about another space, or none of it is about candidates or objectives of this kind.
    """
    if knowledge["space"] != pool.space.name:
        raise UsageError(f"--init-from is about {knowledge['space']}, this search about {pool.space.name}: their features differ")
    source = read_pool(knowledge["space"], knowledge["task"], knowledge["objectives"], predictor)
    known = [source.rows.get(source.space.canonical(source.space.parse(text))) for text in knowledge["architectures"]]
    told = [place for place, row in enumerate(known) if row is not None]
    if len(told) < FEWEST:
        raise UsageError("--init-from: too few of its architectures are candidates of such a search")
    rows = [row for row in known if row is not None]
    scores = normal_scores(source.losses(np.array(knowledge["values"], np.float64)[told]))
    kinds = [goal.name.split(":")[0] for goal in source.goals]
    features, expected = list(pool.features), np.zeros((len(pool), len(pool.goals)))
    alike = [goal.name.split(":")[0] in kinds for goal in pool.goals]
    if not any(alike):
        raise UsageError(f"--init-from is about {', '.join(kinds)}, which says nothing of this search's objectives")
    for place, goal in enumerate(pool.goals):
        if alike[place]:
            of = kinds.index(goal.name.split(":")[0])
            expected[:, place] = GaussianProcess.fit(source.features[of][rows], scores[:, of]).predict(pool.features[place])[0]
            weight = np.sqrt(pool.features[place].shape[1]) / max(float(expected[:, place].std()), 1e-9)  # as much as all others together
            features[place] = np.concatenate([pool.features[place], weight * expected[:, place : place + 1]], axis=1)
    return replace(pool, features=tuple(features), expected=expected)


def _of_csv(path: Path, objectives: Sequence[str]) -> dict[str, Any]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        missing = [name for name in ("arch", *objectives) if rows and rows[0].get(name) is None]
        if missing:
            raise UsageError(f"--init-from {path}: has no column {', '.join(missing)}")
        values = [[float(row[name]) for name in objectives] for row in rows]
        if not np.isfinite(values).all():
            raise ValueError("a figure is not finite")
        return {"architectures": [row["arch"] for row in rows], "values": values}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise UsageError(f"--init-from {path}: cannot be read ({error})") from None
