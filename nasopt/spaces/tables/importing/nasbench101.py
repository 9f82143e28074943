"""NAS-Bench-101: ``nasbench_only108.tfrecord`` (500 MB) and ``nasbench_full.tfrecord`` (2 GB), read as they go.

A record is a row in JSON: hash, epochs, the adjacency matrix as digits, the operations joined by commas, and a ModelMetrics message of
protocol buffers in base64 (google-research/nasbench, nasbench/api.py and lib/model_metrics.proto). Each cell has three rows per number of
epochs, one per repeat; a message has the evaluations before, half way through and after training.
"""

from __future__ import annotations

import base64
import json
import struct
from array import array
from pathlib import Path

import numpy as np

from nasopt.spaces.tables.importing.content import MalformedError, reading
from nasopt.spaces.tables.importing.tfrecord import records
from nasopt.spaces.tables.release import Column, Release

__all__ = ["fields", "read_nasbench101"]

EVALUATION_DATA, TRAINABLE_PARAMETERS = 1, 2
TRAINING_TIME, VALIDATION_ACCURACY, TEST_ACCURACY = 2, 4, 5
METRICS = {"valid_acc": VALIDATION_ACCURACY, "test_acc": TEST_ACCURACY, "train_time": TRAINING_TIME}
MAX_EPOCHS = 1000
HALF, FINAL = 1, 2
"""Which of the evaluations; number 0 is before training."""

NAMES = [*METRICS, *(f"half_{name}" for name in METRICS)]


def read_nasbench101(path: Path) -> Release:
    """A row per cell; the columns ``valid_acc_e108``, ``test_acc_e108`` are means over repeats, those ending in ``_r1`` one repeat.

    Raises:
        UsageError: for a file that is not this, or damaged.
    """
    with reading(path, "a TFRecord file of NAS-Bench-101"), path.open("rb", buffering=1 << 20) as file:
        cells: dict[str, int] = {}
        adjacencies: list[str] = []
        operations: list[str] = []
        params = array("q")
        where = array("q")  # of each row: cell, epochs
        values = array("d")  # of each row: as NAMES
        shared: dict[str, str] = {}
        for record in records(file):
            match json.loads(record):
                case [str() as key, int() as epochs, str() as adjacency, str() as names, str() as metrics] if 0 < epochs <= MAX_EPOCHS:
                    pass
                case _:
                    raise MalformedError("a row that is not [hash, epochs, adjacency, operations, metrics]")
            count, measured = _metrics(base64.b64decode(metrics, validate=True))
            if key not in cells:
                vertices = names.count(",") + 1
                if vertices**2 != len(adjacency) or not set(adjacency) <= {"0", "1"}:
                    raise MalformedError(f"the matrix of {key[:32]} does not fit its {vertices} operations")
                cells[key] = len(cells)
                adjacencies.append(adjacency)
                operations.append(shared.setdefault(names, names))
                params.append(count)
            where.extend((cells[key], epochs))
            values.extend(measured)
        if not cells:
            raise MalformedError("it has no records")
        measured_columns = _columns(np.array(where).reshape(-1, 2), np.array(values).reshape(-1, len(NAMES)), len(cells))
        identity: dict[str, Column] = {
            "hash": list(cells),
            "n_vertices": np.array([names.count(",") + 1 for names in operations], np.int64),
            "adjacency": adjacencies,
            "ops": operations,
            "params": np.array(params, np.int64),
        }
    return Release(
        name="nasbench101",
        space="nasbench101",
        columns={**identity, **measured_columns},
        units={name: "s" if "time" in name else "fraction" for name in measured_columns},
        source="google-research/nasbench (Ying et al., ICML 2019)",
        licence="Apache-2.0",
        notes=(
            "CIFAR-10. *_e108 is after training for 108 epochs, half_*_e108 half way through (epoch 54); _r1 to _r3 are the three "
            "repeats, columns without it their mean."
        ),
    )


def _columns(where: np.ndarray, values: np.ndarray, cells: int) -> dict[str, np.ndarray]:
    """Rows ``[row, cell and epochs]`` and ``[row, metric]`` to columns ``[cell]``, one per metric, epochs and repeat."""
    cell, epochs = where.T
    order = np.lexsort((np.arange(len(cell)), epochs, cell))
    group = (cell * (epochs.max() + 1) + epochs)[order]
    first = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    repeat = np.empty(len(cell), np.int64)
    repeat[order] = np.arange(len(cell)) - np.repeat(first, np.diff(first, append=len(cell)))
    if repeat.max() >= 10:
        raise MalformedError("more than ten repeats of a cell")
    columns: dict[str, np.ndarray] = {}
    for budget in np.unique(epochs):
        for number, name in enumerate(NAMES):
            table = np.full((cells, repeat.max() + 1), np.nan)
            chosen = epochs == budget
            table[cell[chosen], repeat[chosen]] = values[chosen, number]
            known = ~np.isnan(table)
            columns[f"{name}_e{budget}"] = np.where(known, table, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
            columns |= {f"{name}_e{budget}_r{index + 1}": column for index, column in enumerate(table.T.copy())}
    return columns


def _metrics(message: bytes) -> tuple[int, list[float]]:
    """Parameters, and the values named in ``NAMES``, of a ModelMetrics message."""
    evaluations: list[dict[int, float]] = []
    params = -1
    for number, value in fields(message):
        if number == EVALUATION_DATA and isinstance(value, bytes):
            evaluations.append({key: found for key, found in fields(value) if isinstance(found, float)})
        elif number == TRAINABLE_PARAMETERS and isinstance(value, int):
            params = value
    if len(evaluations) <= FINAL or params < 0:
        raise MalformedError(f"metrics with {len(evaluations)} evaluations and {params} parameters")
    return params, [evaluations[when].get(metric, np.nan) for when in (FINAL, HALF) for metric in METRICS.values()]


def fields(message: bytes) -> list[tuple[int, int | float | bytes]]:
    """The fields of a protocol buffer, in the order of the message: number, and an int (varint), a float (64 bits) or bytes.

    https://protobuf.dev/programming-guides/encoding/

    Raises:
        MalformedError: for a message that is cut off, or of other wire types.
    """
    found: list[tuple[int, int | float | bytes]] = []
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            found.append((tag >> 3, value))
            continue
        size = 8
        if kind == 2:
            size, position = _varint(message, position)
        elif kind != 1:
            raise MalformedError(f"a field of wire type {kind}")
        data = message[position : position + size]
        if len(data) < size:
            raise MalformedError("a message that is cut off")
        found.append((tag >> 3, data if kind == 2 else struct.unpack("<d", data)[0]))
        position += size
    return found


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise MalformedError("a number that is cut off")
