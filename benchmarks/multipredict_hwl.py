"""Multi-Predict's latency predictors between NAS-Bench-201 and FBNet: an architecture is its latencies on other devices (its Figure 7).

    python -m benchmarks.multipredict_hwl [--seeds 3] [--device pixel3]

For every device that both spaces' tables (HELP's) have, and both directions: inputs are latencies on the 16 other common devices that rank
the source's architectures least like it (as published). Pre-training on 100 architectures of the source, adaptation by a few of the target;
beside it the same network from scratch on these few, and ridge regression (scikit-learn) on them. Judged on all architectures of the
target that are neither among the few nor in the pool of 100 that scales the inputs; labels are scaled by those that are learned from.
Spearman's correlations, means and medians over devices and seeds, and how often transfer is ahead. Resumable: what was measured stays in
$NASOPT_BENCH_CACHE.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks.cache import remembered
from benchmarks.document import document, say
from benchmarks.multipredict import rank
from benchmarks.multipredict_accuracy import unit
from nasopt.api.tables import show_tables
from nasopt.predictors.multipredict.devices import metric
from nasopt.predictors.multipredict.encodings import MinMax
from nasopt.spaces.tables.query import join

Row = dict[str, Any]
Values = np.ndarray[Any, np.dtype[np.float64]]

SPACES = ("nasbench201", "fbnet")
PRETRAIN_ROWS, POOL, READ = 100, 100, 16
COUNTS = (2, 5, 10, 20, 40)
WAYS = ("transfer", "scratch", "ridge")


@cache
def devices() -> tuple[str, ...]:
    """That both tables have, in the first one's order."""
    names = [
        [column.name for column in show_tables(f"{space}/latency_help").tables[0].columns if column.kind == "latency"] for space in SPACES
    ]
    return tuple(name for name in names[0] if name in names[1])


@cache
def latencies(space: str) -> Values:
    """Of all architectures on the common devices."""
    found = join(space, [metric(device) for device in devices()])
    return np.stack([np.asarray(found.values[metric(device)], float) for device in devices()], 1)


def once(source: str, target: str, device: str, seed: int) -> Row:
    """One device and direction: correlations by samples and way."""
    import torch
    from sklearn.linear_model import RidgeCV

    from nasopt.predictors.multipredict.across import LATENCY, LATENCY_FEW, LATENCY_WIDTH, MetricPredictor, carried
    from nasopt.predictors.multipredict.transfer import Inputs, predicted, trained

    def drawn() -> MetricPredictor:
        torch.manual_seed(seed)
        return MetricPredictor(READ, LATENCY_WIDTH)

    place = devices().index(device)
    here, there = latencies(source), latencies(target)
    alike = [rank(here[:, one], here[:, place]) if one != place else 2.0 for one in range(len(devices()))]
    read = np.argsort(alike)[:READ]
    learned = np.random.default_rng(seed).permutation(len(here))[:PRETRAIN_ROWS]
    network = drawn()
    values = MinMax.fit(here[learned][:, read]).apply(here[learned][:, read])
    trained(network, Inputs.measured(values), unit(here[learned, place])[:, None], replace(LATENCY, seed=seed))
    order = np.random.default_rng((seed, 1)).permutation(len(there))
    pool, rest = order[:POOL], order[POOL:]
    scaled, truth = MinMax.fit(there[pool][:, read]).apply(there[:, read]), there[:, place]
    how, whole = replace(LATENCY_FEW, seed=seed), replace(LATENCY, seed=seed)
    told: Row = {}
    for count in COUNTS:
        few, test = rest[:count], rest[max(COUNTS) :]
        learn, asked = (Inputs.measured(scaled[rows]) for rows in (few, test))
        answers = {
            "transfer": predicted(carried(network, learn, unit(truth[few]), how), asked)[:, 0],
            "scratch": predicted(carried(drawn(), learn, unit(truth[few]), whole), asked)[:, 0],
            "ridge": RidgeCV(np.logspace(-3, 3, 7)).fit(scaled[few], truth[few]).predict(scaled[test]),
        }  # fmt: skip
        told[str(count)] = {way: rank(one, truth[test]) for way, one in answers.items()}
    say(source, device, seed, told)
    return told


def summary(rows: Sequence[Row]) -> Row:
    """Over devices and seeds."""
    told: Row = {}
    for count in map(str, COUNTS):
        found = np.array([[row[count][way] for way in WAYS] for row in rows])
        told[count] = {way: [float(found[:, place].mean()), float(np.median(found[:, place]))] for place, way in enumerate(WAYS)}
        told[count]["transfer_ahead_of_scratch"] = float((found[:, 0] > found[:, 1]).mean())
        told[count]["transfer_ahead_of_ridge"] = float((found[:, 0] > found[:, 2]).mean())
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description="Latency between spaces by latencies on other devices; prints one JSON document.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", action="append", help="all common ones without it")
    a = parser.parse_args()
    results: Row = {"devices": len(a.device or devices())}
    for source, target in (SPACES, SPACES[::-1]):
        rows = [
            remembered("multipredict_hwl", (source, device, seed), lambda f=source, t=target, d=device, s=seed: once(f, t, d, s))  # type: ignore[misc]
            for seed in range(a.seeds)
            for device in a.device or devices()
        ]
        results[f"{source} -> {target}"] = summary(rows)
    print(document({"seeds": a.seeds, "results": results}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
