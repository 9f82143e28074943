"""What `compress` was asked for, checked before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nasopt.api.predicted import PredictedChange
from nasopt.errors import UsageError
from nasopt.files import check_writable
from nasopt.runtime.metric import Metric
from nasopt.search.constraints import LATENCY, Constraints
from nasopt.search.granularity import Granularity

if TYPE_CHECKING:
    from nasopt.api.latency_goal import LatencyGoal
    from nasopt.runtime.devices.contract import Backend

__all__ = ["Finetune", "Progress", "Request", "check_request"]

Progress = Callable[[str, float | None, str], None]
"""Called with the stage, how much of it is done (None: unknown) and a detail."""


@dataclass(frozen=True)
class Finetune:
    """How long the result is distilled from the original, and how.

    Attributes:
        steps: of the optimiser, of 128 inputs.
        epochs: rounds through the data.
        minutes: of time.
        augment: changes of images (`nasopt.runtime.augment.CHANGES`).
        checkpoint: a file from which an interrupted distillation goes on.
        labels: whether labels join the loss.
    """

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    augment: tuple[str, ...] = ()
    checkpoint: Path | None = None
    labels: bool = False

    @property
    def wanted(self) -> bool:
        return any(limit is not None for limit in (self.steps, self.epochs, self.minutes))


@dataclass(frozen=True)
class Request:
    """What was asked for, checked."""

    path: Path
    output: Path | None
    script: Path | None
    weights: Path | None
    """Where the file of new weights goes."""
    drops: Mapping[str, float]
    granularity: Granularity
    seed: int
    generations: int
    time_limit: float | None
    best_effort: bool
    fold_batchnorm: bool
    threads: int
    compensate: bool
    finetune: Finetune
    measure: int | None
    """How many candidates to measure; None where the user does not say."""
    metric: Metric | None
    measure_latency: bool
    clock: bool
    """Whether the clock may end anything: not where a number of generations was asked for."""
    predictor: PredictedChange | None
    """A further objective of the search."""
    report: Progress
    """Is told how far it is."""
    backend: Backend | None = None
    """What times networks; ONNX Runtime where None."""
    goal: LatencyGoal | None = None
    """A latency that is asked for."""


def check_request(request: Request, pareto: Path | None, *, latency_drop: float | None, dry_run: bool, force: bool) -> None:
    """Whether it can be done at all, as far as that shows without the model.

    Raises:
        UsageError: it cannot.
    """
    path, output, script, drops, granularity = request.path, request.output, request.script, request.drops, request.granularity
    if not drops and latency_drop is None:
        raise UsageError("nothing to reach: ask for a --flops-drop, --params-drop, --memory-drop or --latency-drop")
    if latency_drop is not None and not request.measure_latency:
        raise UsageError("--latency-drop is reached by measurements: leave --no-latency out")
    if output is None and not dry_run:
        raise UsageError("nowhere to write: name the result (-o), or ask for a dry run")
    if granularity != "auto" and granularity < 1:
        raise UsageError(f"--granularity {granularity}: must be 'auto' or a positive number of channels")
    Constraints({**drops, **({} if latency_drop is None else {LATENCY: latency_drop})}, {})  # checks that each drop lies between 0 and 1
    if request.finetune.checkpoint is not None:
        checkpoint = request.finetune.checkpoint
        if checkpoint.resolve() in {one.resolve() for one in (path, output, script, request.weights) if one is not None}:
            raise UsageError(f"--checkpoint {checkpoint}: is a file of the model or the result; name another")
        check_writable(checkpoint, force=True)
    if output is not None and script is not None:
        if output.resolve() == path.resolve():
            raise UsageError(f"{output}: is the model itself; name another file for the result")
        if script == output:
            raise UsageError(f"{output}: the edit script would have the same name; end the result's name in .onnx")
        if not dry_run:
            check_writable(output, force=force)
            check_writable(script, force=force)
            if request.weights is not None:
                check_writable(request.weights, force=force)
    if pareto is not None and not dry_run and pareto.exists() and (not pareto.is_dir() or (any(pareto.iterdir()) and not force)):
        raise UsageError(f"{pareto}: exists and is no empty directory; --force writes into it")
