"""``bench``: how long a model takes on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nasopt.graphs.graph import load_graph
from nasopt.results import BenchResult
from nasopt.runtime.latency import stats, timings
from nasopt.runtime.sessions import random_inputs

__all__ = ["bench"]


def bench(
    model: str | Path,
    *,
    against: str | Path | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    threads: int = 1,
    runs: int | None = 50,
    seed: int = 0,
) -> BenchResult:
    """Times a model on random inputs with ONNX Runtime on the CPU, in turns with another one if given.

    Args:
        model: an ONNX file.
        against: another one with the same inputs.
        input_shapes: sizes for inputs with dynamic dimensions; a dynamic batch alone is bound to 1.
        threads: threads within an operator.
        runs: timed runs of each model; None for as many as fit into about three seconds.
        seed: seed of the inputs.

    Returns:
        Median and quartiles in milliseconds.

    Raises:
        UsageError: a file is missing, or the shapes do not fit the inputs.
        ModelNotSupportedError: a file is not a model that nasopt understands, or ONNX Runtime cannot run it.
    """
    paths = [Path(model), *([] if against is None else [Path(against)])]
    inputs = [random_inputs(load_graph(path, input_shapes), seed) for path in paths]
    times = timings(paths, inputs, threads=threads, runs=runs)
    measured = stats(times)
    result = BenchResult(paths[0], measured[0], threads, len(times), "onnxruntime")
    return result if against is None else replace(result, against=paths[1], against_latency=measured[1])
