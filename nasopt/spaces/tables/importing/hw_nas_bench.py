"""HW-NAS-Bench: ``HW-NAS-Bench-v1_0.pickle``.

``{"nasbench201": {data set: {"config": [{"arch_str": …}, …], "edgegpu_latency": [15,625 values], …}}, "fbnet": …}``
(GATECH-EIC/HW-NAS-Bench, hw_nas_bench_api).
"""

from __future__ import annotations

import numpy as np

from nasopt.spaces.tables.importing.content import MalformedError, entry, numbers
from nasopt.spaces.tables.release import Column, Release

__all__ = ["hw_nas_bench_release"]

UNITS = {"latency": "ms", "energy": "mJ", "intensity": "ops/bit"}


def hw_nas_bench_release(data: object) -> Release:
    """A row per architecture of NAS-Bench-201 and data set (``task``).

    Raises:
        MalformedError: when the data are others.
    """
    tasks = entry(data, "nasbench201", dict)
    metrics = list(dict.fromkeys(str(key) for task in tasks for key in entry(tasks, task, dict) if key != "config"))
    parts: dict[str, list[np.ndarray]] = {"index": [], **{metric: [] for metric in metrics}}
    names: list[str] = []
    labels: list[str] = []
    for task in tasks:
        costs = entry(tasks, task, dict)
        archs = [entry(config, "arch_str", str) for config in entry(costs, "config", list)]
        for metric in metrics:
            column = numbers(costs[metric]) if metric in costs else np.full(len(archs), np.nan)
            if len(column) != len(archs):
                raise MalformedError(f"{len(column)} values of {metric} for {len(archs)} architectures of {task}")
            parts[metric].append(column)
        parts["index"].append(np.arange(len(archs), dtype=np.int32))
        names += archs
        labels += [str(task)] * len(archs)
    if not names:
        raise MalformedError("it has no architectures")
    joined = {name: np.concatenate(columns) for name, columns in parts.items()}
    columns: dict[str, Column] = {"arch_str": names, "index": joined.pop("index"), "task": labels, **joined}
    return Release(
        name="hw_nas_bench",
        space="nasbench201",
        columns=columns,
        units={metric: unit for metric in metrics for ending, unit in UNITS.items() if metric.endswith(ending)},
        source="GATECH-EIC/HW-NAS-Bench (Li et al., ICLR 2021)",
        licence="MIT",
        notes="-1 (Edge TPU) is a network that could not be measured. The file's costs of FBNet's operators are not read.",
    )
