"""The tasks that predictors ship for: ``predict --list-tasks``."""

from __future__ import annotations

from nasopt.predictor_results import Agreement, PredictedTask, TasksResult
from nasopt.predictors.shipped import ShippedTask, shipped_tasks

__all__ = ["list_tasks"]


def list_tasks() -> TasksResult:
    """The tasks that predictors ship for, with how good these are on networks that they had not seen."""
    return TasksResult(tuple(_listed(one) for one in shipped_tasks()))


def _listed(one: ShippedTask) -> PredictedTask:
    card = one.card
    return PredictedTask(
        one.name, one.about, one.unit, card["data"]["text"], card["labels"], card["test"]["rows"], Agreement(**card["test"]["agreement"])
    )  # fmt: skip
