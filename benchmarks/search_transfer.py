"""Whether an earlier search on another task spares measurements on the next (`nasopt search --init-from`).

    python -m benchmarks.search_transfer [--seeds 10]

Ordered pairs of tasks: TransNAS-Bench-101 micro (seven), NAS-Bench-201 (three). An earlier one asked about 40 architectures of the source.
How many does one on the target ask about, with and without it, until it has one of the best `BEST` of all, in the median over seeds (60
where it never has)?
"""

from __future__ import annotations

import argparse
from itertools import permutations
from typing import Any

import numpy as np

from benchmarks.document import document, say
from nasopt.search.knowledge import informed
from nasopt.search.loop import searched
from nasopt.search.pool import ACCURACIES, Pool, read_pool

SAMPLES, EARLIER, BEST, STEP = 60, 40, 0.002, 5
SETS = {"transnasbench101_micro": "vec", "nasbench201": "zcpvec"}


def needed(pool: Pool, seed: int) -> int:
    """Architectures asked about until one is among the best."""
    least = np.quantile(pool.values[:, 0], 1 - BEST)
    _, values = searched(pool, "predictor", SAMPLES, seed, lambda _number, row: [float(pool.values[row, 0])], STEP)
    reached = np.flatnonzero(values[:, 0] >= least)
    return int(reached[0]) + 1 if len(reached) else SAMPLES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    told: dict[str, Any] = {}
    for space, predictor in SETS.items():
        pools = {task: read_pool(space, task, ["accuracy"], predictor) for other, task in ACCURACIES if other == space}
        alone = {task: float(np.median([needed(pool, seed) for seed in seeds])) for task, pool in pools.items()}
        for source, target in permutations(pools, 2):
            counts = []
            for seed in seeds:
                rows, values = searched(
                    pools[source], "predictor", EARLIER, 100 + seed, lambda _number, row, pool=pools[source]: [float(pool.values[row, 0])]
                )
                knowledge = {
                    "space": space, "task": source, "objectives": ["accuracy"], "architectures": [pools[source].text(row) for row in rows],
                    "values": values.tolist(),
                }  # fmt: skip
                counts.append(needed(informed(pools[target], knowledge, predictor), seed))
            told[f"{space}: {source} to {target}"] = {"alone": alone[target], "after": float(np.median(counts))}
            say(space, source, target, told[f"{space}: {source} to {target}"])
    shares = [one["after"] / one["alone"] for one in told.values()]
    print(document({"pairs": told, "median_share": float(np.median(shares)), "halved": float(np.mean(np.array(shares) <= 0.5))}))


if __name__ == "__main__":
    main()
