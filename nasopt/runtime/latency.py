"""Measuring latency: networks timed in turns, so that a busy machine slows all of them alike.

What is reported are medians and quartiles of wall time. Whether one network is slower than another is decided by the ratios within
each turn, which a drift of the machine leaves alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx

from nasopt.results import Latency, LatencyStats
from nasopt.runtime.sessions import open_session

__all__ = ["compare", "stats", "timings"]

Array = np.ndarray[Any, Any]
Times = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Model = onnx.ModelProto | str | Path

FEWEST, MOST = 20, 500
WARM_UP = 3
MARGIN = 1.02
"""A result that takes this much longer than its input is slower; less is within the spread of any measurement."""


def timings(
    models: Sequence[Model], inputs: Sequence[dict[str, Array]], *, threads: int = 1, runs: int | None = None, seconds: float = 3.0
) -> Times:
    """Times several networks in turns, with ONNX Runtime's graph optimisations on.

    Args:
        models: the networks, or the paths of their files.
        inputs: for each network its inputs, arrays by name.
        threads: threads within an operator.
        runs: turns; if left out, at least 20 and otherwise what fits into `seconds`.
        seconds: about how long the measurement may take in all.

    Returns:
        Milliseconds, one row a turn, one column a network. Turns alternate in direction, so that no network always follows another.

    Raises:
        ModelNotSupportedError: a network does not load or run.
    """
    sessions = [open_session(str(model) if isinstance(model, Path) else model, threads=threads) for model in models]
    pairs = list(zip(sessions, inputs, strict=True))

    def turn(backwards: bool) -> list[float]:
        times = [0.0] * len(pairs)
        for place in reversed(range(len(pairs))) if backwards else range(len(pairs)):
            session, feed = pairs[place]
            start = perf_counter()
            session.run(None, feed)
            times[place] = 1e3 * (perf_counter() - start)
        return times

    warm = [turn(False) for _ in range(WARM_UP)]
    if runs is None:
        runs = int(np.clip(1e3 * seconds / max(sum(warm[-1]), 1e-6), FEWEST, MOST))
    return np.array([turn(number % 2 == 1) for number in range(runs)])


def compare(before: Model, after: Model, inputs: dict[str, Array], *, threads: int = 1, runs: int | None = None) -> Latency:
    """Times a result against what it was made from.

    The result counts as slower where the median of after / before within a turn is above `MARGIN` and three turns in four agree that it
    takes longer. A first measurement that says so is repeated with twice the turns, and the second one decides.

    Args:
        before: the original, or its path.
        after: the result, or its path.
        inputs: arrays by name, for both.
        threads: threads within an operator.
        runs: turns; if left out, as many as fit into about three seconds.
    """
    both = [before, after]
    times = timings(both, [inputs, inputs], threads=threads, runs=runs)
    if _slower(times):
        times = timings(both, [inputs, inputs], threads=threads, runs=2 * len(times))
    first, second = stats(times)
    return Latency(first, second, threads, len(times), slower=_slower(times))


def _slower(times: Times) -> bool:
    ratios = times[:, 1] / times[:, 0]
    return bool(np.median(ratios) > MARGIN and np.quantile(ratios, 0.25) > 1)


def stats(times: Times) -> list[LatencyStats]:
    """Median and quartiles of each network."""
    low, middle, high = np.quantile(times, [0.25, 0.5, 0.75], axis=0)
    return [LatencyStats(*map(float, numbers)) for numbers in zip(middle, low, high, strict=True)]
