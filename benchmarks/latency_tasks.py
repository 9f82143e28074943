"""Published few-shot tasks (Multi-Predict's Tables 1 to 4), by the predictor that `compress` uses: no search space, no training.

    python -m benchmarks.latency_tasks [--task nasbench201-default ...] [--seeds 5]

Honest protocol: by seed, `LEARNED` architectures of the pre-training devices' tables say what is believed of a device; others, as many as
the task measures (or half, or twice as many), are timed on each test device; all the rest are predicted. Spearman, and the median relative
error, means and deviations over seeds; beside them FLOPs on the same rows. `half` and `twice` are those numbers of samples.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.cache import cache_dir, remembered
from benchmarks.document import document, say
from benchmarks.multipredict import measured
from nasopt.predictors.agreement import agreement
from nasopt.predictors.latency.bayes import adapted, learned_prior, summed
from nasopt.predictors.latency.encoding import CLASSES, MEASURES
from nasopt.predictors.multipredict.devices import TASKS, metric
from nasopt.spaces.tables.query import join
from training.latency_networks import kept, space_encodings
from training.latency_prior import ROUNDS, start

Values = np.ndarray[Any, np.dtype[np.float64]]

LEARNED = 150
FEW = {"half": 0.5, "as published": 1.0, "twice": 2.0}


def encoded(space: str, keys: tuple[str, ...]) -> Values:
    """Encodings of all architectures of a table, in its order; minutes, then from the cache."""
    folder = cache_dir() / "latency"
    folder.mkdir(exist_ok=True)
    return np.asarray(kept(folder / f"{space}-all-{len(keys)}.npy", lambda: space_encodings(space, keys)))


def once(name: str, seed: int) -> dict[str, Any]:
    """One seed of a task."""
    task, data = TASKS[name], measured(TASKS[name], with_proxies=False)
    keys = join(task.space, [metric(device) for device in task.train]).keys
    encodings, rng = encoded(task.space, tuple(keys)), np.random.default_rng(seed)
    assert len(encodings) == len(data.train)
    order = rng.permutation(len(encodings))
    learned = order[:LEARNED]
    prior, _ = learned_prior(start(), [(encodings[learned], np.log(column[learned])) for column in data.train.T], rounds=ROUNDS)
    macs = encodings.reshape(-1, len(CLASSES), len(MEASURES))[:, :, MEASURES.index("macs")].sum(axis=1)
    told: dict[str, Any] = {}
    for column, device in enumerate(task.test):
        truth = data.test[:, column]
        free = np.setdiff1d(np.flatnonzero(truth > 0), learned)
        free = rng.permutation(free)
        told[device] = {"rows": len(free)}
        for label, share in FEW.items():
            few = round(task.few * share)
            rows, test = free[:few], free[few:]
            belief = adapted(prior, summed(encodings[rows]), np.log(truth[rows]))
            logs, deviations = belief.predict(summed(encodings[test]))
            gone = np.abs(logs - np.log(truth[test]))
            told[device][label] = {
                "samples": few, "srcc": float(agreement(logs, truth[test]).srcc), "median_error": float(np.median(np.exp(gone) - 1)),
                "within_deviation": float((gone < deviations).mean()), "flops": float(agreement(macs[test], truth[test]).srcc),
            }  # fmt: skip
        say(name, seed, device, {label: round(told[device][label]["srcc"], 3) for label in FEW})
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for name in arguments.task:
        runs = [remembered("latency_tasks", (name, seed), lambda name=name, seed=seed: once(name, seed)) for seed in range(arguments.seeds)]
        found[name] = {}
        for label in FEW:
            means = [float(np.mean([row[label]["srcc"] for row in run.values()])) for run in runs]
            devices = {device: round(float(np.mean([run[device][label]["srcc"] for run in runs])), 3) for device in runs[0]}
            flops = float(np.mean([row[label]["flops"] for run in runs for row in run.values()]))
            errors = [row[label]["median_error"] for run in runs for row in run.values()]
            found[name][label] = {
                "mean_srcc": [round(float(np.mean(means)), 4), round(float(np.std(means)), 4)], "devices": devices,
                "flops": round(flops, 3), "median_error": round(float(np.median(errors)), 4),
            }  # fmt: skip
    print(document({"tasks": found}))


if __name__ == "__main__":
    main()
