"""Searches on NAS-Bench-201's tables, against each other (Multi-Predict's Figure 10, and fronts of accuracy and latency).

    python -m benchmarks.search_tables --part best [--seeds 100] [--task cifar10]
    python -m benchmarks.search_tables --part fronts [--seeds 10]

`best`: the test accuracy (nats_test_*) of the cell with the best validation accuracy among those asked about, after 10, 20, 30 and 40
cells, from the cells of different function that have proxies: median, quartiles and mean over seeds. `fronts`: accuracy and latency on five
devices: hypervolume of what was asked about as a share of the whole space's, both axes scaled to [0, 1] over the space, reference point
(1.1, 1.1), accuracies as tested; after 50, 100 and 200 cells, and how many cells it takes to come to 99 %.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from pymoo.indicators.hv import HV

from benchmarks.document import document, say
from nasopt.search.loop import searched
from nasopt.search.pool import Pool, read_pool
from nasopt.search.strategies import STRATEGIES
from nasopt.spaces.tables.query import join

Row = dict[str, Any]
SPACE = "nasbench201"
DEVICES = ("pixel3", "raspi4", "eyeriss", "fpga", "1080ti_1")
WAYS = {"predictor, zcp": ("predictor", "zcp"), "predictor, vec": ("predictor", "vec"), "predictor, zcpvec": ("predictor", "zcpvec")}
REFERENCE, ENOUGH = 1.1, 0.99


def ways() -> dict[str, tuple[str, str]]:
    """By name: strategy and predictor."""
    return {**WAYS, **{name: (name, "zcp") for name in STRATEGIES if name != "predictor"}}


def rows_of(pool: Pool, strategy: str, samples: int, seed: int) -> list[int]:
    return searched(pool, strategy, samples, seed, lambda _number, row: [float(value) for value in pool.values[row]])[0]


def best(task: str, seeds: int) -> Row:
    """Of one goal."""
    told: Row = {}
    for name, (strategy, predictor) in ways().items():
        pool = read_pool(SPACE, task, ["accuracy"], predictor)
        assert pool.tests is not None
        found: dict[int, list[float]] = {10: [], 20: [], 30: [], 40: []}
        for seed in range(seeds):
            rows = np.array(rows_of(pool, strategy, max(found), seed))
            for count, tests in found.items():
                some = rows[:count]
                tests.append(float(pool.tests[some[np.argmax(pool.values[some, 0])]]))
        told[name] = {
            str(count): {
                "median": float(np.median(tests)), "quartiles": np.quantile(tests, [0.25, 0.75]).tolist(), "mean": float(np.mean(tests)),
                "within_a_tenth": float(np.mean(np.array(tests) >= pool.tests.max() - 0.1)),
            }
            for count, tests in found.items()
        }  # fmt: skip
        say(task, name, told[name]["40"])
    every = read_pool(SPACE, task, ["accuracy"], "vec")
    assert every.tests is not None
    without = [float(every.tests[row]) for row, genes in enumerate(every.genes) if genes not in pool.rows]
    left = {"functions": len(without), "best": max(without, default=None)}
    return {"best_of_pool": float(pool.tests.max()), "pool": len(pool), "without_proxies": left, "ways": told}


def fronts(seeds: int) -> Row:
    """Of two goals."""
    told: Row = {}
    for device in DEVICES:
        truth = join(SPACE, ["accuracy/nats_test_cifar10", f"latency:{device}"])
        whole = np.stack([-np.asarray(truth.values["accuracy/nats_test_cifar10"]), np.asarray(truth.values[f"latency:{device}"])], axis=1)
        low, high = whole.min(axis=0), whole.max(axis=0)
        volume = HV(np.full(2, REFERENCE))
        most = volume((whole - low) / (high - low))
        told[device] = {}
        for name, (strategy, predictor) in ways().items():
            pool = read_pool(SPACE, "cifar10", ["accuracy", f"latency:{device}"], predictor)
            assert pool.tests is not None
            scaled = (np.stack([-pool.tests, pool.values[:, 1]], axis=1) - low) / (high - low)
            curves = []
            for seed in range(seeds):
                rows = rows_of(pool, strategy, 200, seed)
                curves.append([float(volume(scaled[rows[:count]])) / most for count in range(10, 201, 10)])
            middle = np.median(curves, axis=0)
            reached = np.flatnonzero(middle >= ENOUGH)
            told[device][name] = {
                "50": float(middle[4]), "100": float(middle[9]), "200": float(middle[19]),
                "spread_at_200": float(np.std([curve[19] for curve in curves])),
                "to_99": int(10 * (reached[0] + 1)) if len(reached) else None,
            }  # fmt: skip
            say(device, name, told[device][name])
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("best", "fronts"), required=True)
    parser.add_argument("--task", default="cifar10")
    parser.add_argument("--seeds", type=int)
    arguments = parser.parse_args()
    if arguments.part == "best":
        found = best(arguments.task, arguments.seeds or 100)
    else:
        found = fronts(arguments.seeds or 10)
    print(document({"part": arguments.part, "found": found}))


if __name__ == "__main__":
    main()
