"""timm's published results: ``results-imagenet.csv``, ``results-imagenet-real.csv``, …, and ``benchmark-infer-*.csv``.

The folder ``results`` of huggingface/pytorch-image-models.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from nasopt.spaces.tables.importing.content import MalformedError, reading
from nasopt.spaces.tables.release import Column, Release

__all__ = ["read_timm_csv"]

ACCURACY = {
    "img_size": "img_size",
    "top1": "top1",
    "top5": "top5",
    "param_count": "params_m",
    "crop_pct": "crop_pct",
    "interpolation": "interpolation",
}
SPEED = {
    "infer_img_size": "img_size",
    "infer_batch_size": "batch_size",
    "infer_samples_per_sec": "samples_per_sec",
    "infer_step_time": "step_ms",
    "infer_gmacs": "gmacs",
    "infer_macts": "mactivations",
    "param_count": "params_m",
}
"""Column of the file: ours."""

TEXT = {"interpolation"}
WHOLE = {"img_size", "batch_size"}
UNITS = {
    "top1": "%",
    "top5": "%",
    "params_m": "millions",
    "step_ms": "ms",
    "samples_per_sec": "images/s",
    "gmacs": "G",
    "mactivations": "millions",
}


def read_timm_csv(path: Path) -> Release:
    """A row per model; accuracies on another test set than ImageNet's have its name in front: ``real_top1``, ``v2_top1``, ``sketch_top1``.

    Raises:
        UsageError: for a file that is not one of these.
    """
    with reading(path, "a CSV file of timm's results"), path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        header = set(rows.fieldnames or ())
        if {"model", "top1", "top5"} <= header:
            return _accuracy(path, list(rows))
        if {"model", "infer_samples_per_sec"} <= header:
            return _speed(path, list(rows))
        raise MalformedError(f"the header has neither top1 nor infer_samples_per_sec: {', '.join(sorted(map(str, header)))[:100]}")


def _accuracy(path: Path, rows: list[dict[str, str]]) -> Release:
    test_set = path.stem.removeprefix("results-").removeprefix("imagenet").removesuffix("-matched-frequency").strip("-").replace("-", "_")
    prefix = f"{test_set}_" if test_set else ""
    columns = {f"{prefix}{name}" if name in {"top1", "top5"} else name: column for name, column in _columns(rows, ACCURACY).items()}
    return _release(
        f"timm_accuracy{prefix and '_'}{test_set}", columns, "Training recipes and data differ: see the tag after the dot of `model`."
    )


def _speed(path: Path, rows: list[dict[str, str]]) -> Release:
    setup = path.stem.removeprefix("benchmark-infer-")
    columns: dict[str, Column] = {"setup": [setup] * len(rows), **_columns(rows, SPEED)}
    return _release(f"timm_latency_{setup}", columns, "Inference at the batch size given: throughput, not latency at batch size 1.")


def _columns(rows: list[dict[str, str]], wanted: dict[str, str]) -> dict[str, Column]:
    if not rows:
        raise MalformedError("it has no rows")
    columns: dict[str, Column] = {"model": [row["model"] or "" for row in rows]}
    for theirs, ours in wanted.items():
        if theirs not in rows[0]:
            continue
        texts = [row[theirs] or "" for row in rows]
        if ours in TEXT:
            columns[ours] = texts
        else:
            values = np.array([float(text.replace(",", "")) if text else np.nan for text in texts])
            columns[ours] = values.astype(np.int64) if ours in WHOLE and not np.isnan(values).any() else values
    return columns


def _release(name: str, columns: dict[str, Column], notes: str) -> Release:
    units = {column: unit for column in columns for ending, unit in UNITS.items() if column == ending or column.endswith(f"_{ending}")}
    return Release(
        name=name,
        space="timm",
        columns=columns,
        units=units,
        source="huggingface/pytorch-image-models results/",
        licence="Apache-2.0",
        notes=notes,
    )
