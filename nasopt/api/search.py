"""``search``: architectures of a published space, by what its tables say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nasopt import __version__
from nasopt.errors import UsageError
from nasopt.search.knowledge import informed, read_knowledge
from nasopt.search.loop import searched
from nasopt.search.pool import ACCURACIES, PROXIES, Goal, Pool, read_pool
from nasopt.search.run_state import RunState
from nasopt.search.strategies import STRATEGIES
from nasopt.search_results import FoundArchitecture, SearchObjective, SearchResult

__all__ = ["found_among", "objectives_of", "search"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Progress = Callable[[str, float | None, str], None]


def search(
    space: str | None = None,
    *,
    task: str | None = None,
    objectives: Sequence[str] = (),
    predictor: str | None = None,
    strategy: str = "predictor",
    samples: int = 40,
    seed: int = 0,
    run: str | Path | None = None,
    resume: str | Path | None = None,
    init_from: str | Path | None = None,
    export: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> SearchResult:
    """Searches a space for the best architectures, asking for as few of them as possible.

    The search sees validation accuracies and costs of the architectures that it asks for. Test accuracies are for the record.

    Args:
        space: of `nasopt.spaces`, with tables.
        task: of the accuracies; the first that the tables have if left out.
        objectives: ``accuracy`` (if left out), ``accuracy:TASK``, ``latency:DEVICE``, ``macs``, ``params``, ``max:METRIC``, ``min:METRIC``.
        predictor: what the strategy ``predictor`` reads: ``zcp``, ``vec`` or ``zcpvec`` (if left out, where tables have proxies).
        strategy: ``predictor``, or to compare it with: ``random``, ``local``, ``evolution``, ``nsga2``.
        samples: how many architectures may be asked about.
        seed: of every random number; equal seeds give equal results.
        run: a file to record the run in.
        resume: the file of a run to go on with; everything else is read from it.
        init_from: an earlier run of this space, on any task or device, or a CSV file (``arch`` and a column an objective) of own
            measurements: what it says of candidates is where the strategy ``predictor`` begins. It counts for nothing in the result.
        export: a folder for the networks of the front as ONNX files, with seeded initial weights.
        force: write into a folder that is not empty.
        progress: is told what happens.

    Raises:
        UsageError: an argument that cannot be used, tables that are not here, or a run of other tables.
    """
    report = progress or (lambda *_: None)
    folder = None if export is None else Path(export)
    if folder is not None and folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not force)):
        raise UsageError(f"{folder}: exists and is no empty directory; --force writes into it")
    if resume is not None:
        if run is not None or space is not None or init_from is not None:
            raise UsageError(f"--resume {resume} goes on with that run as it was begun: leave --space, --run and --init-from out")
        state: RunState | None = RunState.resume(Path(resume))
        assert state is not None
        settings = state.settings
        if settings.get("version") != __version__:
            raise UsageError(f"{resume}: begun by nasopt {settings.get('version')}, this is {__version__}: begin anew")
    else:
        settings = _settings(space, task, objectives, predictor, strategy, samples, seed)
        if init_from is not None:
            if strategy != "predictor":
                raise UsageError(f"--init-from teaches a predictor; the strategy {strategy} has none")
            settings["knowledge"] = read_knowledge(Path(init_from), settings["space"], settings["task"], settings["objectives"])
        state = None
    try:
        report("read", None, settings["space"])
        pool = read_pool(settings["space"], settings["task"], settings["objectives"], settings["predictor"])
        if "knowledge" in settings:
            pool = informed(pool, settings["knowledge"], settings["predictor"])
        if state is None and run is not None:
            state = RunState.create(Path(run), settings)
        known, values = _run(pool, settings, state, report)
    finally:
        if state is not None:
            state.close()
    texts = [pool.text(row) for row in known]
    tests = None if pool.tests is None else pool.tests[known]
    best, front = found_among(texts, values, pool.goals, tests)
    if folder is not None:
        report("write", None, str(folder))
        front = tuple(_exported(one, settings, folder, place) for place, one in enumerate(front, start=1))
        best = next((one for one in front if one.number == best.number), best)
    return SearchResult(
        space=settings["space"],
        task=settings["task"],
        strategy=settings["strategy"],
        predictor=settings["predictor"] if settings["strategy"] == "predictor" else None,
        objectives=objectives_of(pool.goals),
        seed=settings["seed"],
        pool=len(pool),
        left_out=pool.left_out,
        evaluations=len(known),
        best=best,
        front=front,
        run=None if state is None else state.path,
    )


def _run(pool: Pool, settings: Mapping[str, Any], state: RunState | None, report: Progress) -> tuple[list[int], Floats]:
    """Runs a search by its settings; what is on record is not asked again."""
    samples = min(settings["samples"], len(pool))

    def ask(number: int, row: int) -> list[float]:
        report("search", number / samples, f"{number} of {samples} architectures")

        def told() -> list[float]:
            return [float(value) for value in pool.values[row]]

        answer: list[float] = told() if state is None else state.ask(number, pool.text(row), told)
        return answer

    known, values = searched(pool, settings["strategy"], samples, settings["seed"], ask)
    if state is not None:
        state.done()
    return known, values


def found_among(
    texts: Sequence[str], values: Floats, goals: Sequence[Goal], tests: Floats | None = None
) -> tuple[FoundArchitecture, tuple[FoundArchitecture, ...]]:
    """The best by the first goal (the earliest of equals), and the front.

    Args:
        texts: of the architectures asked about, in their order.
        values: (n, goals).
        goals: what they are.
        tests: test accuracies, (n,).
    """
    losses = values * np.array([-1.0 if goal.largest else 1.0 for goal in goals])
    accuracy = next((place for place, goal in enumerate(goals) if goal.accuracy), None)

    def found(place: int) -> FoundArchitecture:
        test = None if tests is None or accuracy is None or not np.isfinite(tests[place]) else float(tests[place])
        told = {goal.name: float(value) for goal, value in zip(goals, values[place], strict=True)}
        return FoundArchitecture(texts[place], place + 1, told, None if accuracy is None else float(values[place, accuracy]), test)

    order = np.lexsort((*losses.T[::-1],))
    front: list[int] = []
    for place in order.tolist():
        if not any((losses[other] <= losses[place]).all() for other in front):
            front.append(place)
    return found(int(np.argmin(losses[:, 0]))), tuple(found(place) for place in front)


def objectives_of(goals: Sequence[Goal]) -> tuple[SearchObjective, ...]:
    """For the record."""
    return tuple(SearchObjective(goal.name, goal.metric, "max" if goal.largest else "min", goal.unit) for goal in goals)


def _settings(
    space: str | None, task: str | None, objectives: Sequence[str], predictor: str | None, strategy: str, samples: int, seed: int
) -> dict[str, Any]:
    if space is None:
        raise UsageError("name the space to search (--space), or a run to go on with (--resume)")
    if strategy not in STRATEGIES:
        raise UsageError(f"there is no strategy '{strategy}' (strategies: {', '.join(STRATEGIES)})")
    if samples < 1:
        raise UsageError(f"--samples {samples}: at least one architecture has to be asked about")
    if seed < 0:
        raise UsageError(f"--seed {seed}: must not be negative")
    task = task or next((one for other, one in ACCURACIES if other == space), "cifar10")
    return {
        "space": space, "task": task, "objectives": list(objectives or ("accuracy",)),
        "predictor": predictor or ("zcpvec" if strategy == "predictor" and (space, task) in PROXIES else "vec"),
        "strategy": strategy, "samples": samples, "seed": seed, "version": __version__,
    }  # fmt: skip


def _exported(one: FoundArchitecture, settings: Mapping[str, Any], folder: Path, place: int) -> FoundArchitecture:
    from nasopt.api.spaces import build_architecture

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{settings['space']}-{place:02d}.onnx"
    task = {"cifar100": {"classes": 100}, "ImageNet16-120": {"classes": 120, "resolution": 16}}.get(settings["task"], {})
    own = task if settings["space"] == "nasbench201" else {}
    build_architecture(settings["space"], one.arch, path, seed=settings["seed"], settings=own, force=True)
    return replace(one, file=path)
