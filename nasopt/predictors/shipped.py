"""The predictors that ship with the package, by the task that they predict."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nasopt.errors import UsageError
from nasopt.predictors.aiop.checkpoint import CARD, WEIGHTS, Checkpoint

__all__ = ["FOLDER", "ShippedTask", "shipped", "shipped_tasks"]

FOLDER = Path(__file__).parent / "checkpoints"
"""A folder a task, made by ``training/checkpoints.py``."""


@dataclass(frozen=True)
class ShippedTask:
    """A task that can be predicted out of the box.

    Attributes:
        name: for ``--task``.
        about: what the figure means.
        unit: of it.
        card: all that the checkpoint says of itself.
    """

    name: str
    about: str
    unit: str
    card: dict[str, Any]


def shipped_tasks() -> tuple[ShippedTask, ...]:
    """All of them, by name."""
    found = []
    for folder in _folders():
        told = json.loads((folder / CARD).read_text(encoding="utf-8"))
        found.append(ShippedTask(folder.name, str(told["about"]), str(told["unit"]), told))
    return tuple(found)


def shipped(task: str) -> Checkpoint:
    """The predictor of a task.

    Raises:
        UsageError: there is none; names those that there are.
    """
    names = [folder.name for folder in _folders()]
    if task not in names:
        near = get_close_matches(task, names, 1)
        raise UsageError(f"no predictor of '{task}' ships{f'; did you mean {near[0]}?' if near else ''} (tasks: {', '.join(names)})")
    return Checkpoint.load(FOLDER / task)


def _folders() -> list[Path]:
    """Those that hold such a predictor: latencies have a folder of another kind."""
    return sorted(path.parent for path in FOLDER.glob(f"*/{WEIGHTS}"))
