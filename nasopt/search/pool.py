"""The architectures that a search may choose from, and what published tables say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.predictors.gaussian_process import normal_scores
from nasopt.spaces.registry import get_space
from nasopt.spaces.space import Genes, Space
from nasopt.spaces.tables.query import join

__all__ = ["ACCURACIES", "PREDICTORS", "PROXIES", "Goal", "Pool", "goals_of", "read_pool"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

PREDICTORS = ("zcp", "vec", "zcpvec")
"""What a predictor of accuracy reads: zero-cost proxies, the space's vector, or both."""

ACCURACIES: Mapping[tuple[str, str], tuple[str, str | None]] = {
    ("nasbench201", "cifar10"): ("accuracy/valid_cifar10", "accuracy/nats_test_cifar10"),
    ("nasbench201", "cifar100"): ("accuracy/nbsz_valid_cifar100", "accuracy/nats_test_cifar100"),
    ("nasbench201", "ImageNet16-120"): ("accuracy/nbsz_valid_ImageNet16-120", "accuracy/nats_test_ImageNet16-120"),
    **{
        (f"transnasbench101_{size}", task): (f"{size}/valid_{task}", None)
        for size in ("micro", "macro")
        for task in ("class_scene", "class_object", "room_layout", "jigsaw", "segmentsemantic", "normal", "autoencoder")
    },
}
"""By space and task: the validation figure, which a search may ask for, and the test figure, which it may not."""

COSTS: Mapping[tuple[str, str], str] = {
    ("nasbench201", "macs"): "accuracy/flops_m",
    ("nasbench201", "params"): "accuracy/params_m",
}

NAMES = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow zen".split()
PROXIES: Mapping[tuple[str, str], str] = {
    ("nasbench201", "cifar10"): "zcp_cifar10_9445",
    ("nasbench201", "cifar100"): "zcp_cifar10_9445",
    ("nasbench201", "ImageNet16-120"): "zcp_ImageNet16-120_9445",
}
"""Tables of all thirteen."""


@dataclass(frozen=True)
class Goal:
    """Something to make as large, or as small, as possible.

    Attributes:
        name: as it was asked for.
        metric: of the tables.
        largest: whether more is better.
        unit: of its figures.
    """

    name: str
    metric: str
    largest: bool
    unit: str = ""

    @property
    def accuracy(self) -> bool:
        return self.name.split(":")[0] == "accuracy"


@dataclass(frozen=True)
class Pool:
    """Candidates, once a row.

    Attributes:
        space: that they are from.
        task: that they were trained for.
        goals: what is searched for.
        genes: of each.
        values: of each and every goal, in the tables' units, (n, goals): a search reads only the rows that it asks for.
        tests: test accuracies, (n,), which no search reads; None where the tables have none.
        features: what predictors read, a goal each: (n, d).
        left_out: candidates that lack a figure.
        expected: what earlier knowledge says of each and every goal, less is better, (n, goals); None without any.
    """

    space: Space
    task: str
    goals: tuple[Goal, ...]
    genes: tuple[Genes, ...]
    values: Floats
    tests: Floats | None
    features: tuple[Floats, ...]
    left_out: int
    expected: Floats | None = None

    def __len__(self) -> int:
        return len(self.genes)

    @cached_property
    def rows(self) -> Mapping[Genes, int]:
        """Where each architecture stands."""
        return {genes: row for row, genes in enumerate(self.genes)}

    def losses(self, values: Floats) -> Floats:
        """Values (k, goals) as what is to be made small."""
        return np.asarray(values * np.array([-1.0 if goal.largest else 1.0 for goal in self.goals]))

    def text(self, row: int) -> str:
        """The official string."""
        return self.space.text(self.genes[row])


def read_pool(space: str, task: str, objectives: Sequence[str] = ("accuracy",), predictor: str = "zcp") -> Pool:
    """All architectures of which the tables know every goal, and what the predictor reads.

    Where accuracies are all that is asked for, one of those that compute the same function stands for all.

    Args:
        space: a space with tables.
        task: of the accuracies.
        objectives: ``accuracy``, ``latency:DEVICE``, ``macs``, ``params``, ``max:METRIC`` or ``min:METRIC``.
        predictor: one of `PREDICTORS`.

    Raises:
        UsageError: there is no such space, task, objective, predictor or table.
    """
    if predictor not in PREDICTORS:
        raise UsageError(f"there is no predictor '{predictor}' (predictors: {', '.join(PREDICTORS)})")
    goals = goals_of(space, task, objectives)
    test = ACCURACIES.get((space, task), ("", None))[1]
    metrics = [goal.metric for goal in goals]
    found = join(space, metrics)
    known: Space = get_space(space)
    genes = [known.parse(key) for key in found.keys]
    kept = np.arange(len(genes))
    if all(goal.accuracy for goal in goals):
        first: dict[str, int] = {}
        for row, one in enumerate(genes):
            first.setdefault(known.key(one), row)
        kept = np.array(list(first.values()))
    proxies = _proxies(known, task, genes, space) if predictor != "vec" and any(goal.accuracy for goal in goals) else None
    candidates = len(kept)
    if proxies is not None:
        kept = kept[np.isfinite(proxies[kept]).all(axis=1)]
    vectors = np.stack([known.vec(genes[row]) for row in kept]).astype(np.float64)
    columns = [np.asarray(found.values[metric], np.float64)[kept] for metric in metrics]
    read = vectors if proxies is None else normal_scores(proxies[kept])
    read = np.concatenate([read, vectors], axis=1) if predictor == "zcpvec" else read
    return Pool(
        known, task,
        tuple(Goal(goal.name, goal.metric, goal.largest, found.units[goal.metric]) for goal in goals),
        tuple(known.canonical(genes[row]) for row in kept),
        np.stack(columns, axis=1),
        None if test is None else _tests(space, test, [found.keys[row] for row in kept]),
        tuple(read if goal.accuracy else vectors for goal in goals),
        found.left_out + candidates - len(kept),
    )  # fmt: skip


def goals_of(space: str, task: str, objectives: Sequence[str]) -> tuple[Goal, ...]:
    """What names of objectives mean; their units are known when the tables have been read.

    Raises:
        UsageError: one means nothing, or two mean the same.
    """
    goals = tuple(_goal(space, task, objective) for objective in objectives)
    if len({goal.metric for goal in goals}) < len(goals):
        raise UsageError(f"objectives {', '.join(objectives)}: each has to be another figure")
    return goals


def _goal(space: str, task: str, objective: str) -> Goal:
    kind, _, rest = objective.partition(":")
    if kind == "accuracy":
        wanted = rest or task
        if (space, wanted) not in ACCURACIES:
            tasks = [one for other, one in ACCURACIES if other == space]
            spaces = ", ".join(dict.fromkeys(other for other, _task in ACCURACIES))
            advice = f"tasks: {', '.join(tasks)}" if tasks else f"spaces with tables of accuracies: {spaces}; or write max:METRIC"
            raise UsageError(f"{space} has no accuracies on '{wanted}' ({advice})")
        return Goal(objective, ACCURACIES[space, wanted][0], largest=True)
    if kind in ("macs", "params") and not rest:
        if (space, kind) not in COSTS:
            raise UsageError(f"no table of {space} has {kind}; write min:METRIC (nasopt tables show {space} lists them)")
        return Goal(objective, COSTS[space, kind], largest=False)
    if kind == "latency" and rest:
        return Goal(objective, objective, largest=False)
    if kind in ("max", "min") and rest:
        return Goal(objective, rest, largest=kind == "max")
    raise UsageError(
        f"objective '{objective}': write accuracy, accuracy:TASK, latency:DEVICE, macs, params, max:METRIC or min:METRIC"
    )  # fmt: skip


def _proxies(known: Space, task: str, genes: Sequence[Genes], space: str) -> Floats:
    """Of each architecture, or another that computes the same: (n, 13), NaN where nobody computed them."""
    if (space, task) not in PROXIES:
        raise UsageError(f"no table has the proxies of {space} on '{task}'; search with --predictor vec")
    table = PROXIES[space, task]
    told = join(space, [f"{table}/{name}" for name in NAMES])
    values = np.stack([np.asarray(told.values[f"{table}/{name}"], np.float64) for name in NAMES], axis=1)
    by_key = {known.key(known.parse(key)): values[row] for row, key in enumerate(told.keys)}
    own = dict(zip(told.keys, values, strict=True))
    nothing = np.full(len(NAMES), np.nan)
    return np.stack([own.get(known.table_key(one), by_key.get(known.key(one), nothing)) for one in genes])


def _tests(space: str, metric: str, keys: Sequence[str]) -> Floats:
    told = join(space, [metric], complete=False)
    by_key = dict(zip(told.keys, np.asarray(told.values[metric], np.float64), strict=True))
    return np.array([by_key.get(key, np.nan) for key in keys])
