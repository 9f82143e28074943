"""What the columns of a benchmark table are: kind, unit, device, task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["PROXIES", "ColumnInfo", "Kind", "by_task", "columns", "imported_columns", "zero_cost"]

Kind = Literal["key", "condition", "origin", "metric", "proxy", "latency", "cost", "split", "copy", "other"]
"""What a column is for:

* ``key``: which architecture this is, or another name of it.
* ``condition``: under what it was measured (task, resolution, supernet); rows that differ in it are different measurements.
* ``origin``: who measured it (a search, a run); rows that differ only in it are repeats.
* ``metric``: what a trained network answers, such as an accuracy. ``proxy``: a score without training. ``latency``.
* ``cost``: parameters, MACs, energy, training time, throughput. ``split``: to which part of a published split it belongs.
* ``copy``: a column of another table again: meant only where its own table is named. ``other``.
"""

PROXIES = ("epe_nas", "fisher", "grad_norm", "grasp", "jacov", "l2_norm", "nwot", "plain", "snip", "synflow", "zen")
"""NAS-Bench-Suite-Zero's scores; its other two "proxies" are flops and params."""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column.

    Attributes:
        name: in the file.
        kind: what it is for.
        unit: ``%``, ``ms``, ``millions``, …; ``score`` where a number has none; empty for names.
        task: what the network was trained or measured on, where the column's name says so.
        stem: the name without the task: ``zen`` of ``zen_cifar10``, which is then also addressed as ``zen@cifar10``.
        device: of a latency.
        failed: the value that stands for "could not be measured"; read as missing.
    """

    name: str
    kind: Kind
    unit: str = ""
    task: str = ""
    stem: str = ""
    device: str = ""
    failed: float | None = None


def columns(kind: Kind, names: str, unit: str = "", device: str = "", failed: float | None = None) -> tuple[ColumnInfo, ...]:
    """Columns of one kind and unit.

    Args:
        kind: of all.
        names: with spaces between them.
        unit: of all.
        device: the device's name, in which ``*`` is the column's name without ``_latency`` and ``latency_``.
        failed: as in `ColumnInfo`.
    """

    def device_of(name: str) -> str:
        return device.replace("*", name.removesuffix("_latency").removeprefix("latency_"))

    return tuple(ColumnInfo(name, kind, unit, device=device_of(name), failed=failed) for name in names.split())


def by_task(kind: Kind, pattern: str, tasks: Iterable[str], unit: str, device: str = "") -> tuple[ColumnInfo, ...]:
    """A column for each task.

    Args:
        kind: of all.
        pattern: the name, with ``{}`` where the task stands.
        tasks: in the file's order.
        unit: of all.
        device: of a latency.
    """
    stem = pattern.replace("_{}", "")
    return tuple(ColumnInfo(pattern.format(task), kind, unit, task, stem, device) for task in tasks)


def zero_cost(names: str, counts: str = "millions") -> tuple[ColumnInfo, ...]:
    """Zero-cost proxies; flops and params among them are costs, in the unit ``counts``."""
    return tuple(
        ColumnInfo(name, "cost", counts) if name in {"flops", "params"} else ColumnInfo(name, "proxy", "score") for name in names.split()
    )


# What is imported comes with units; the rest is told from names.

KEYS = {"index", "arch_str", "arch_key", "arch", "hash", "architecture", "model", "n_vertices", "adjacency", "ops"}
CONDITIONS = {"task", "setup", "img_size", "r", "supernet"}
TASKS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
KINDS: Mapping[str, Kind] = {"ms": "latency", "%": "metric", "fraction": "metric"}
FAILED = -1.0


def imported_columns(names: Iterable[str], units: Mapping[str, str], keys: Iterable[str]) -> tuple[ColumnInfo, ...]:
    """The columns of a release that a user imported.

    Args:
        names: in its order.
        units: of those that have one.
        keys: columns that tell architectures, besides the usual ones.
    """
    known = KEYS | set(keys)
    found = []
    for name in names:
        unit = units.get(name, "")
        if name in known:
            found.append(ColumnInfo(name, "key"))
        elif name in CONDITIONS:
            found.append(ColumnInfo(name, "condition", unit))
        else:
            found.append(_measured(name, unit))
    return tuple(found)


def _measured(name: str, unit: str) -> ColumnInfo:
    if name in PROXIES:
        return ColumnInfo(name, "proxy", unit or "score")
    task = next((task for task in TASKS if name.endswith(f"_{task}")), "")
    stem = name.removesuffix(f"_{task}") if task else ""
    kind = KINDS.get(unit, "cost" if unit else "other")
    if kind != "latency":
        return ColumnInfo(name, kind, unit, task, stem)
    device = "" if stem == "latency" or name == "step_ms" else (stem or name).removesuffix("_latency").removeprefix("latency_")
    return ColumnInfo(name, kind, unit, task, stem, device, FAILED)
