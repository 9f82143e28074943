"""Measuring latency: networks timed in turns, so that a busy machine slows all of them alike.

What is reported are medians and quartiles: of the CPU's time where one thread works, else of the wall's. Whether one network is slower
than another is decided by the ratios within each turn, which a drift of the machine leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import onnx

from nasopt.errors import NasoptError
from nasopt.results import Latency, LatencyStats
from nasopt.runtime.devices.contract import FEWEST, MOST, SURVIVABLE, Backend, Opened
from nasopt.runtime.devices.onnx_runtime import OnnxRuntime

__all__ = ["FEWEST", "MOST", "compare", "stats", "timings"]

Array = np.ndarray[Any, Any]
Times = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Model = onnx.ModelProto | str | Path
T = TypeVar("T")

MARGIN = 1.02
"""A result that takes this much longer than its input is slower; less is within the spread of any measurement."""


def timings(
    models: Sequence[Model],
    inputs: Sequence[dict[str, Array]],
    *,
    threads: int = 1,
    runs: int | None = None,
    seconds: float = 3.0,
    backend: Backend | None = None,
    failures: dict[int, NasoptError] | None = None,
) -> Times:
    """Times several networks in turns.

    Args:
        models: the networks, or the paths of their files.
        inputs: for each network its inputs, arrays by name.
        threads: threads within an operator; a `backend` has its own.
        runs: turns; if left out, at least as many as the back-end asks for (20 in this process, 3 of a command) and otherwise what fits
            into `seconds`.
        seconds: about how long the measurement may take in all.
        backend: what runs them; ONNX Runtime, its graph optimisations on, where None.
        failures: if given, a network that fails does not end the measurement: its error is put here under its place, and its times are
            NaN.

    Returns:
        Milliseconds, one row a turn, one column a network. Turns alternate in direction, so that no network always follows another.

    Raises:
        ModelNotSupportedError: a network does not load or run.
        DeviceError: the device failed.
    """
    device: Backend = OnnxRuntime(threads) if backend is None else backend
    opened: dict[int, Opened] = {}

    def attempt(place: int, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except SURVIVABLE as error:
            if failures is None:
                raise
            failures[place] = error
            if place in opened:
                opened.pop(place).close()
            return None

    def turn(backwards: bool) -> list[float]:
        times = [float("nan")] * len(models)
        for place in sorted(opened, reverse=backwards):
            taken = attempt(place, opened[place])
            times[place] = float("nan") if taken is None else taken
        return times

    with ExitStack() as stack:
        for place, (model, feed) in enumerate(zip(models, inputs, strict=True)):
            ready = attempt(place, partial(device.open, Path(model) if isinstance(model, str) else model, feed))
            if ready is not None:
                opened[place] = stack.enter_context(ready)
        for _ in range(device.warm_up):
            start = perf_counter()
            turn(False)
        if runs is None:
            # By the clock: a command takes longer than what it measures.
            runs = int(np.clip(seconds / max(perf_counter() - start, 1e-9), device.fewest, device.most))
        times = np.array([turn(number % 2 == 1) for number in range(runs)])
    times[:, [place for place in range(len(models)) if place not in opened]] = np.nan
    return times


def compare(
    before: Model, after: Model, inputs: dict[str, Array], *, threads: int = 1, runs: int | None = None, backend: Backend | None = None
) -> Latency:
    """Times a result against what it was made from.

    The result counts as slower where the median of after / before within a turn is above `MARGIN` and three turns in four agree that it
    takes longer. A first measurement that says so is repeated with twice the turns, and the second one decides.

    Args:
        before: the original, or its path.
        after: the result, or its path.
        inputs: arrays by name, for both.
        threads: threads within an operator; a `backend` has its own.
        runs: turns; if left out, as many as fit into about three seconds.
        backend: what runs them; ONNX Runtime where None.

    Raises:
        ModelNotSupportedError: a network does not load or run.
        DeviceError: the device failed.
    """
    device: Backend = OnnxRuntime(threads) if backend is None else backend
    both = [before, after]
    times = timings(both, [inputs, inputs], runs=runs, backend=device)
    if _slower(times):
        times = timings(both, [inputs, inputs], runs=2 * len(times), backend=device)
    first, second = stats(times)
    return Latency(first, second, device.threads, len(times), device.name, _slower(times))


def _slower(times: Times) -> bool:
    ratios = times[:, 1] / times[:, 0]
    return bool(np.median(ratios) > MARGIN and np.quantile(ratios, 0.25) > 1)


def stats(times: Times) -> list[LatencyStats]:
    """Median and quartiles of each network."""
    low, middle, high = np.quantile(times, [0.25, 0.5, 0.75], axis=0)
    return [LatencyStats(*map(float, numbers)) for numbers in zip(middle, low, high, strict=True)]
