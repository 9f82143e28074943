"""NAS-Bench-201 (``NAS-Bench-201-v1_1-096897.pth``) and NATS-Bench (``NATS-tss-v1_0-3ffb9-simple/``, ``….pickle.pbz2``).

Both hold, per architecture, budget of training (``less``, ``full`` or a number of epochs), data set and seed, a *trial*: the state of the
API's ``ResultsCount`` with the whole training curve (D-X-Y/NATS-Bench, nats_bench/api_utils.py). A row has the values after the last epoch,
the mean over seeds, as ``get_more_info(…, is_random=False)`` and ``get_cost_info`` of the API compute them.

The curves of all trials are several GB. Each is cut to its last epoch as soon as it is read, so that the largest file takes 1.3 GB of
memory and about ten minutes (extrapolated from 40 architectures of the same structure).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from nasopt.spaces.tables.importing.bz2_file import open_bz2
from nasopt.spaces.tables.importing.content import MalformedError, entry, number, reading
from nasopt.spaces.tables.importing.inert_pickle import read_pickle
from nasopt.spaces.tables.release import Release

__all__ = ["NUMBERED", "nats_release", "read_nats_file", "read_nats_folder", "summarise_trial"]

ACCURACIES = {
    "valid_cifar10": ("cifar10-valid", "x-valid"),
    "valid_split_test_cifar10": ("cifar10-valid", "ori-test"),
    "test_cifar10": ("cifar10", "ori-test"),
    "valid_cifar100": ("cifar100", "x-valid"),
    "test_cifar100": ("cifar100", "x-test"),
    "valid_ImageNet16-120": ("ImageNet16-120", "x-valid"),
    "test_ImageNet16-120": ("ImageNet16-120", "x-test"),
}
"""Column: data set and evaluation set in the API's terms (``cifar10-valid`` trains on one half of the training set)."""

DATA_SETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
CURVES = ("train_acc1es", "train_acc5es", "train_losses", "train_times", "eval_acc1es", "eval_losses", "eval_times")
TOTAL = "total"
"""Key of the sum that takes the place of the times."""

BUDGETS = {"less": 12, "full": 200}
FULL_EPOCHS = 200
"""Of the topology space: its columns have no prefix, as in the table that nasopt finds under ``NASOPT_DATA``."""

NUMBERED = re.compile(r"(\d+)\.pickle\.pbz2")
META = "meta.pickle.pbz2"
EXPECTED = "a file of NATS-Bench (a pickle in bz2)"

Row = dict[str, float]


def summarise_trial(part: dict[object, object]) -> None:
    """Leaves of a trial's curves the last epoch, of its times their sum, and none of its weights; other dicts stay as they are."""
    epochs = part.get("epochs")
    if "eval_acc1es" not in part or not isinstance(epochs, int):
        return
    part["net_state_dict"] = None
    for name in CURVES:
        curve = part.get(name)
        if not isinstance(curve, dict):
            continue
        if name == "train_times":
            kept = {TOTAL: curve[TOTAL] if TOTAL in curve else sum(map(_value, curve.values()))}
        else:
            kept = {key: value for key, value in curve.items() if key == epochs - 1 or str(key).endswith(f"@{epochs - 1}")}
        curve.clear()  # in place: the pickle's memo holds it, too
        curve.update(kept)


def read_nats_file(path: Path) -> Release:
    """All architectures in one file, ``NATS-tss-v1_0-3ffb9.pickle.pbz2``.

    Raises:
        UsageError: for a file that is not one.
    """
    with reading(path, EXPECTED):
        return nats_release(read_pickle(open_bz2(path), summarise=summarise_trial), "nats_bench")


def read_nats_folder(path: Path) -> Release:
    """A file per architecture, ``NATS-tss-v1_0-3ffb9-simple/000000.pickle.pbz2``, and ``meta.pickle.pbz2``, which names them.

    Raises:
        UsageError: for a folder without them, or a file that is not one of them.
    """
    files = {int(match[1]): file for file in sorted(path.iterdir()) if (match := NUMBERED.fullmatch(file.name))}
    with reading(path / META, EXPECTED):
        names = entry(read_pickle(open_bz2(path / META)), "meta_archs", list)

    def infos() -> Iterator[tuple[int, object]]:
        for index, file in sorted(files.items()):
            with reading(file, EXPECTED):
                yield index, read_pickle(open_bz2(file), summarise=summarise_trial)

    with reading(path, "a folder of NATS-Bench"):
        return _release(names, infos(), "nats_bench")


def nats_release(data: object, name: str) -> Release:
    """The table of what one file holds: ``meta_archs`` and ``arch2infos``.

    Raises:
        MalformedError: when it holds something else.
    """
    infos = entry(data, "arch2infos", dict)
    if not all(isinstance(index, int) for index in infos):
        raise MalformedError("architectures that are not numbered")
    return _release(entry(data, "meta_archs", list), sorted(infos.items()), name)


def _release(names: list[object], infos: Iterator[tuple[int, object]] | list[tuple[int, object]], name: str) -> Release:
    rows: list[Row] = []
    indices: list[int] = []
    for index, info in infos:
        if not isinstance(info, dict) or not 0 <= index < len(names) or not isinstance(names[index], str):
            raise MalformedError(f"no results, or no name, of architecture {index}")
        rows.append(_row(info))
        indices.append(index)
    texts = [str(names[index]) for index in indices]
    size_space = bool(texts) and "|" not in texts[0]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns = {key: np.array([row.get(key, np.nan) for row in rows]) for key in keys}
    return Release(
        name="nats_bench_size" if size_space else name,
        space="nats_size" if size_space else "nasbench201",
        columns={"index": np.array(indices, np.int32), "arch_str": texts, **columns},
        units={key: _unit(key) for key in keys if _unit(key)},
        source="D-X-Y/NATS-Bench and D-X-Y/NAS-Bench-201 (Dong and Yang, ICLR 2020; Dong et al., TPAMI 2021)",
        licence="MIT",
        notes=(
            f"{len(rows)} of {len(names)} architectures. Mean over seeds (seeds_* says how many) after the last epoch; e12_* after "
            "training for 12 epochs, no prefix for 200. valid_cifar10 and valid_split_test_cifar10 are of networks trained on one half "
            "of the training set. Latency is that of a batch of 256 on a GPU."
        ),
    )


def _row(info: Mapping[object, object]) -> Row:
    """The columns of one architecture, by budget; costs are those of the longest."""
    row: Row = {}
    budgets = {BUDGETS.get(str(key)) or int(str(key)): results for key, results in info.items()}
    for epochs, results in sorted(budgets.items()):
        prefix = "" if epochs == FULL_EPOCHS else f"e{epochs}_"
        trials = {data_set: _trials(results, data_set) for data_set in DATA_SETS}
        for column, (data_set, evaluated) in ACCURACIES.items():
            _put(row, prefix + column, [_accuracy(trial, evaluated) for trial in trials[data_set]])
        for data_set, found in trials.items():
            if found:
                row[f"{prefix}seeds_{data_set}"] = len(found)
                _put(row, f"{prefix}train_time_{data_set}", [_time(trial) for trial in found])
                _put(row, f"flops_m_{data_set}", [_value(trial.get("flop")) for trial in found])
                _put(row, f"params_m_{data_set}", [_value(trial.get("params")) for trial in found])
                _put(row, f"latency_{data_set}", [_latency(trial) for trial in found])
    return row


def _put(row: Row, column: str, values: list[float]) -> None:
    known = [value for value in values if not np.isnan(value)]
    if known:
        row[column] = float(np.mean(known))


def _trials(results: object, data_set: str) -> list[dict[object, object]]:
    seeds = entry(results, "dataset_seed", dict).get(data_set, [])
    if not isinstance(seeds, (list, tuple)):
        raise MalformedError(f"the seeds of {data_set} are {type(seeds).__name__}")
    trials = entry(results, "all_results", dict)
    return [entry(trials, (data_set, int(number(seed))), dict) for seed in seeds]


def _accuracy(trial: Mapping[object, object], evaluated: str) -> float:
    curve = trial.get("eval_acc1es")
    last = f"{evaluated}@{entry(trial, 'epochs', int) - 1}"
    return _value(curve.get(last)) if isinstance(curve, dict) else np.nan


def _time(trial: Mapping[object, object]) -> float:
    times = trial.get("train_times")
    return _value(times.get(TOTAL)) if isinstance(times, dict) else np.nan


def _value(value: object) -> float:
    return np.nan if value is None else number(value)


def _latency(trial: Mapping[object, object]) -> float:
    """In ms, of seconds; the API takes the mean of the measurements, and -1 for none."""
    values = trial.get("latency")
    if not isinstance(values, (list, tuple)) or not values:
        return np.nan
    mean = sum(map(number, values)) / len(values)
    return 1000 * mean if mean > 0 else np.nan


def _unit(column: str) -> str:
    kind = re.sub(r"^e\d+_", "", column)
    if kind in ACCURACIES:
        return "%"
    return {"train": "s", "flops": "millions", "params": "millions", "latency": "ms"}.get(kind.split("_")[0], "")
