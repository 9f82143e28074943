"""Multi-Predict from scratch: how many measurements other encodings need (its Figures 6, 8 and 15, on NAS-Bench-201).

    python -m benchmarks.multipredict_scratch [--part latency accuracy removal] [--seeds 3]

`latency` (Figure 6): networks that are trained on a few latencies of the test device alone, by what they read: "Vec", proxies, latencies on
the nine devices of pre-training (HWL), or HWL and Vec; mean over the six devices of NAS-Bench-201 Default. `accuracy` (Figure 8):
validation accuracy on CIFAR-10 from a few labels by proxies, Vec, both, or a graph network on the cell (as BRP-NAS has). `removal`
(Figure 15): the same from `KEPT` labels, proxies taken away one by one, the best (by their own correlation with the labels learned from) or
the worst first.

Honest: scaling is fitted on architectures that are learned from; all others that have proxies are judged on. Spearman, means and deviations
over seeds. Resumable: what was measured stays in $NASOPT_BENCH_CACHE.
"""

from __future__ import annotations

import argparse
from functools import cache
from typing import Any

import numpy as np

from benchmarks.cache import remembered
from benchmarks.document import document, say
from benchmarks.multipredict import NAMES, PROXIES, measured
from benchmarks.multipredict_accuracy import unit
from nasopt.predictors.agreement import agreement
from nasopt.predictors.multipredict.devices import TASKS
from nasopt.predictors.multipredict.encodings import MinMax, adjacency, structures
from nasopt.spaces.registry import get_space
from nasopt.spaces.tables.query import join

Values = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

SPACE, TASK = "nasbench201", "nasbench201-default"
LATENCIES, LABELS, KEPT = (5, 10, 20, 40, 80), (25, 50, 100, 200, 400), 100
EPOCHS, BATCH, RATE, GRAPH_RATE = 200, 16, 1e-3, 1e-4
"""A graph network dies (all its answers are equal) at the rate that suits dense ones, and now and then at the published 4e-4."""


@cache
def labelled() -> tuple[Values, Any, Values, Values]:
    """Of the cells that have proxies: proxies, structures for the graph network, Vec, labels."""
    proxies = [f"{PROXIES[SPACE]}/{name}" for name in NAMES]
    found = join(SPACE, ["nbsz_valid_cifar10", *proxies])
    space = get_space(SPACE)
    genes = [space.parse(key) for key in found.keys]
    values = np.stack([np.asarray(found.values[name], float) for name in proxies], 1)
    vec = np.stack([space.vec(one) for one in genes]).astype(float)
    return values, structures(SPACE, genes), vec, np.asarray(found.values["nbsz_valid_cifar10"], float)


def recipe(seed: int, rate: float = RATE) -> Any:
    from nasopt.predictors.multipredict.transfer import Recipe

    return Recipe(epochs=EPOCHS, batch=BATCH, rate=rate, seed=seed)


def dense(values: Values, targets: Values, rows: Ints, test: Ints, seed: int, *, log: int = 0) -> float:
    """A network on numbers, from scratch; the first `log` columns are scaled by their logarithms."""
    import torch

    from nasopt.predictors.multipredict.across import MetricPredictor
    from nasopt.predictors.multipredict.transfer import Inputs, predicted, trained

    parts = [(values[:, :log], True), (values[:, log:], False)]
    scaled = np.concatenate([MinMax.fit(part[rows], log=how).apply(part) for part, how in parts if part.shape[1]], 1)
    torch.manual_seed(seed)
    network = MetricPredictor(scaled.shape[1])
    trained(network, Inputs.measured(scaled[rows]), unit(targets[rows])[:, None], recipe(seed))
    return float(agreement(predicted(network, Inputs.measured(scaled[test]))[:, 0], targets[test], same_unit=False).srcc)


def graph(structure: Any, targets: Values, rows: Ints, test: Ints, seed: int) -> float:
    """A graph network on the cell, from scratch."""
    import torch

    from nasopt.predictors.multipredict.network import GraphTrunk, LatencyPredictor
    from nasopt.predictors.multipredict.transfer import Inputs, predicted, trained

    torch.manual_seed(seed)
    network = LatencyPredictor(GraphTrunk(structure.shape[2], adjacency(), 0), 1)
    trained(network, Inputs.of(structure[rows], None), unit(targets[rows])[:, None], recipe(seed, GRAPH_RATE))
    return float(agreement(predicted(network, Inputs.of(structure[test], None))[:, 0], targets[test], same_unit=False).srcc)


def latency(seed: int) -> dict[str, Any]:
    """Figure 6."""
    data, space = measured(TASKS[TASK], with_proxies=True), get_space(SPACE)
    vec = data.structure.reshape(len(data.structure), -1).astype(float)
    assert space.name == SPACE
    ways = {
        "vec": (vec, 0), "zcp": (data.proxies, data.proxies.shape[1]), "hwl": (data.train, data.train.shape[1]),
        "hwlvec": (np.concatenate([data.train, vec], 1), data.train.shape[1]),
    }  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(vec))
    told: dict[str, Any] = {}
    for few in LATENCIES:
        rows, test = order[:few], order[few:]
        told[str(few)] = {
            way: float(np.mean([dense(values, column, rows, test, seed, log=log) for column in data.test.T]))
            for way, (values, log) in ways.items()
        }
        say(seed, few, told[str(few)])
    return told


def accuracy(seed: int) -> dict[str, Any]:
    """Figure 8."""
    proxies, structure, vec, labels = labelled()
    order = np.random.default_rng(seed).permutation(len(labels))
    told: dict[str, Any] = {}
    for few in LABELS:
        rows, test = order[:few], order[few:]
        count = proxies.shape[1]
        told[str(few)] = {
            "zcp": dense(proxies, labels, rows, test, seed, log=count), "vec": dense(vec, labels, rows, test, seed),
            "zcpvec": dense(np.concatenate([proxies, vec], 1), labels, rows, test, seed, log=count),
            "graph": graph(structure, labels, rows, test, seed),
        }  # fmt: skip
        say(seed, few, told[str(few)])
    return told


def removal(seed: int) -> dict[str, Any]:
    """Figure 15."""
    proxies, _, _, labels = labelled()
    order = np.random.default_rng(seed).permutation(len(labels))
    rows, test = order[:KEPT], order[KEPT:]
    worth = [abs(agreement(column[rows], labels[rows], same_unit=False).srcc) for column in proxies.T]
    best_last = np.argsort(worth)
    told: dict[str, Any] = {}
    for way, going in (("worst first", best_last), ("best first", best_last[::-1])):
        told[way] = {}
        for gone in (0, 2, 4, 6, 8, 10, 12):
            kept = np.sort(going[gone:])
            told[way][str(len(kept))] = dense(proxies[:, kept], labels, rows, test, seed, log=len(kept))
        say(seed, way, told[way])
    return told


def spread(runs: list[Any]) -> Any:
    """Means and deviations of numbers in nested records."""
    if isinstance(runs[0], dict):
        return {name: spread([run[name] for run in runs]) for name in runs[0]}
    return [round(float(np.mean(runs)), 4), round(float(np.std(runs)), 4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"latency": latency, "accuracy": accuracy, "removal": removal}
    parser.add_argument("--part", nargs="*", choices=sorted(parts), default=sorted(parts))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    found = {
        part: spread([remembered("multipredict_scratch", (part, seed), lambda part=part, seed=seed: parts[part](seed))
                      for seed in range(arguments.seeds)])
        for part in arguments.part
    }  # fmt: skip
    print(document({"seeds": arguments.seeds, "results": found}))


if __name__ == "__main__":
    main()
