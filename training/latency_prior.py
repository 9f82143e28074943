"""What is believed of any device before it was measured: `nasopt/predictors/checkpoints/latency`.

    python -m training.latency_networks --state FOLDER      # encodings, an hour
    python -m training.latency_prior --state FOLDER         # minutes

A task is a device (or set-up) and a set of networks; their published latencies are `$NASOPT_DATA/data`. Of each at most `MOST` networks are
taken. The card holds what 10 and 20 measurements are worth on devices whose tasks, in all spaces, were left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_data import data_dir
from benchmarks.document import say
from nasopt.predictors.agreement import agreement
from nasopt.predictors.latency.bayes import Gaussian, adapted, learned_prior, summed
from nasopt.predictors.latency.checkpoint import save_prior
from nasopt.predictors.latency.encoding import MEASURES, names
from training.latency_networks import SPACES, latencies

Values = np.ndarray[Any, np.dtype[np.float64]]

MOST, LEAST = 150, 60
"""Networks of a task: what is taken, and below which there is none."""
OF = 600
ROUNDS = 12
USUAL = {"macs": -2.3, "full macs": -4.0, "macs off 4": -6.0, "macs off 8": -5.0, "macs off 16": -5.0, "bytes": -2.3, "weight bytes": -3.0,
         "count": -4.6}  # fmt: skip
"""Logarithms of ms a unit on an ordinary CPU core, to begin with: 10 GMAC/s, 10 GB/s, 10 µs a node."""
GPUS = {"4090": "rtx4090", "3090": "rtx3090"}


@dataclass(frozen=True)
class Task:
    """Latencies of networks on one device.

    Attributes:
        source: a space, or ``timm``.
        setup: as the table names it.
        device: what tasks share that no other should know of.
        names: of the networks.
        encodings: (n, numbers).
        log_ms: logarithms of ms, (n,).
    """

    source: str
    setup: str
    device: str
    names: tuple[str, ...]
    encodings: Values
    log_ms: Values

    def rows(self, rows: Any) -> Task:
        """Some of the networks."""
        return Task(
            self.source, self.setup, self.device, tuple(self.names[row] for row in rows), self.encodings[rows], self.log_ms[rows]
        )  # fmt: skip


def start() -> Gaussian:
    """What is believed before anything was learned: orders of magnitude, and a speed that all numbers share."""
    mean = np.array([USUAL[name.partition(": ")[2]] for name in names()])
    assert len(USUAL) == len(MEASURES)
    return Gaussian(mean, np.eye(len(mean)) + 4.0, 0.1)


def space_tasks(state: Path) -> Iterator[Task]:
    """Of cells and chains of blocks."""
    for space in SPACES:
        keys, columns = latencies(space, OF)
        encodings = np.load(state / f"{space}-{OF}.npy", allow_pickle=False)
        for metric, values in columns.items():
            told = np.flatnonzero(np.isfinite(values))
            if len(told) >= LEAST:
                device = metric.partition("/")[2]
                chip = device.rpartition("_")[0] if device.rpartition("_")[2].isdigit() and device.count("_") else device
                yield Task(space, metric, chip.replace("rice_", "").replace("eagle_", ""), tuple(keys), encodings, np.log(values)).rows(
                    told
                )


def timm_tasks(state: Path) -> Iterator[Task]:
    """Of real networks: ms an image."""
    import pyarrow.parquet as pq

    found: dict[str, dict[str, float]] = {}
    for row in pq.read_table(data_dir() / "data/timm/latency.parquet").to_pylist():
        name = f"{row['model'].partition('.')[0]}@{row['img_size']}"
        if row["samples_per_sec"]:
            found.setdefault(row["setup"], {})[name] = 1e3 / row["samples_per_sec"]
    encoded = {file.stem.removeprefix("timm-"): np.load(file, allow_pickle=False) for file in sorted(state.glob("timm-*.npy"))}
    for setup, times in sorted(found.items()):
        known = [name for name in times if name in encoded]
        if len(known) >= LEAST:
            chip = setup.removesuffix("-dynamo").rpartition("-")[2]
            stack = np.stack([encoded[name] for name in known])
            yield Task("timm", setup, GPUS.get(chip, chip), tuple(known), stack, np.log([times[name] for name in known]))


def learned(tasks: list[Task], seed: int = 0) -> Gaussian:
    """The belief that tasks leave, each cut to `MOST` networks."""
    rng = np.random.default_rng(seed)
    cut = [task.rows(rng.permutation(len(task.names))[:MOST]) for task in tasks]
    return learned_prior(start(), [(task.encodings, task.log_ms) for task in cut], rounds=ROUNDS)[0]


def worth(prior: Gaussian, task: Task, few: int, seed: int) -> dict[str, float]:
    """What a few measurements are worth on a device that the belief does not know."""
    order = np.random.default_rng(seed).permutation(len(task.names))
    known, test = task.rows(order[:few]), task.rows(order[few:])
    belief = adapted(prior, summed(known.encodings), known.log_ms)
    logs, deviations = belief.predict(summed(test.encodings))
    errors = np.abs(np.exp(logs - test.log_ms) - 1)
    return {
        "srcc": float(agreement(logs, test.log_ms).srcc), "median_error": float(np.median(errors)),
        "within_deviation": float((np.abs(logs - test.log_ms) < deviations).mean()),
    }  # fmt: skip


def held_out(tasks: list[Task], seeds: int = 3) -> dict[str, Any]:
    """Medians over devices that were left out, a fifth of all at a time, by source and number of measurements."""
    devices = sorted({task.device for task in tasks})
    folds = np.array_split(np.random.default_rng(0).permutation(devices), 5)
    found: dict[str, list[dict[str, float]]] = {}
    for fold in folds:
        prior = learned([task for task in tasks if task.device not in fold])
        for task in tasks:
            if task.device in fold:
                for few in (10, 20):
                    found.setdefault(f"{task.source}, {few} measurements", []).extend(
                        worth(prior, task, few, seed) for seed in range(seeds)
                    )
        say("left out:", *fold)
    return {name: {key: round(float(np.median([row[key] for row in rows])), 4) for key in rows[0]} for name, rows in found.items()}


def counted(tasks: list[Task]) -> Mapping[str, int]:
    return {source: sum(task.source == source for task in tasks) for source in sorted({task.source for task in tasks})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    arguments = parser.parse_args()
    tasks = [*space_tasks(arguments.state), *timm_tasks(arguments.state)]
    say(counted(tasks))
    card = {
        "about": "what is believed of a device's latencies before it was measured",
        "method": "a positive weight for every number of an encoding; mean and covariance over devices by empirical Bayes",
        "tasks": counted(tasks), "networks_of_a_task": MOST, "devices": sorted({task.device for task in tasks}),
        "held_out_devices": held_out(tasks), "made_by": "python -m training.latency_prior --state FOLDER", "split": "seed 0",
        "sources": {
            "nasbench201, fbnet": "HayeonLee/HELP (MIT); EAGLE by zheng-ningxin/brp-nas (Apache-2.0) and Ren-Research/OneProxy (MIT)",
            "mnasnet": "afzalxo/Accel-NASBench (Apache-2.0)", "timm": "huggingface/pytorch-image-models results (Apache-2.0)",
        },
    }  # fmt: skip
    save_prior(learned(tasks), card)
    say(card["held_out_devices"])


if __name__ == "__main__":
    main()
