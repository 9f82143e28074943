"""``bench``: how long a model takes on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nasopt.graphs.graph import load_graph
from nasopt.results import BenchResult
from nasopt.runtime.devices.store import resolve
from nasopt.runtime.latency import stats, timings
from nasopt.runtime.sessions import random_inputs

__all__ = ["bench"]


def bench(
    model: str | Path,
    *,
    against: str | Path | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    threads: int | None = None,
    runs: int | None = 50,
    seed: int = 0,
    device: str | None = None,
    device_command: str | None = None,
) -> BenchResult:
    """Times a model on random inputs, in turns with another one if given.

    Args:
        model: an ONNX file.
        against: another one with the same inputs.
        input_shapes: sizes for inputs with dynamic dimensions; a dynamic batch alone is bound to 1.
        threads: threads within an operator; if left out, those of the device, or 1.
        runs: timed runs of each model; None for as many as fit into about three seconds.
        seed: seed of the inputs.
        device: what runs it: a calibrated device or a back-end; ONNX Runtime on the CPU if left out.
        device_command: a command line with ``{model}`` that times it instead (docs/devices.md).

    Returns:
        Median and quartiles in milliseconds.

    Raises:
        UsageError: a file is missing, the shapes do not fit the inputs, or there is no such device.
        ModelNotSupportedError: a file is not a model that nasopt understands, or the device cannot run it.
        DeviceError: the device failed.
    """
    found = resolve(device, threads=threads, command=device_command)
    paths = [Path(model), *([] if against is None else [Path(against)])]
    inputs = [random_inputs(load_graph(path, input_shapes), seed) for path in paths]
    times = timings(paths, inputs, runs=runs, backend=found.backend)
    measured = stats(times)
    result = BenchResult(paths[0], measured[0], found.backend.threads, len(times), found.backend.name, device=found.device.name)
    return result if against is None else replace(result, against=paths[1], against_latency=measured[1])
