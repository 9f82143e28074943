"""AIO-P's network within one search space: trained on some labels, judged on all the others.

    python -m benchmarks.aiop_within [--case nasbench201:cifar10:156] [--seeds 5]

Labels are drawn by seed; a fifth of them is the dev part that says which epoch was best, so that nothing but the labels counted is
used. "plain" is the GNN on raw labels, "eq4" on standardised ones, "eq45" on those after the division by FLOPs, all with squared errors;
"robust" is "eq4" with Huber's loss; "described" is that with heads that read a description of the network, too, as `nasopt train` has it.

Beside it, on the same rows: FLOPs, parameters, and gradient-boosted trees (scikit-learn) on the space's own encoding "Vec", trained on the
same labels. Tabled proxies are judged on those of the rows that have them; so is the last method once more. Intervals: 95 %, bootstrap
over test rows of the first seed. Resumable: what was measured stays in $NASOPT_BENCH_CACHE.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.cache import cache_dir, remembered
from benchmarks.document import document, say
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.predictors.aiop.ensemble import DELTA
from nasopt.predictors.aiop.labelled import labelled as table_of
from nasopt.predictors.aiop.labels import Mode, Scale
from nasopt.predictors.aiop.likeness import descriptions, usual
from nasopt.spaces.registry import get_space
from nasopt.spaces.tables.query import join

Row = dict[str, Any]
Array = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

METRICS = {
    ("nasbench201", "cifar10"): "nats_test_cifar10",
    ("nasbench201", "cifar100"): "nats_test_cifar100",
    ("nasbench201", "ImageNet16-120"): "nats_test_ImageNet16-120",
    ("nasbench101", "cifar10"): "valid_acc_e108",
}
PERCENT = {"nasbench201": 100.0, "nasbench101": 1.0}
LABELS = {"nasbench201": (156, 1562), "nasbench101": (300, 3000)}
CASES = tuple(f"{space}:{task}:{count}" for space, task in METRICS for count in LABELS[space])
SETTINGS = {"cifar10": {}, "cifar100": {"classes": 100}, "ImageNet16-120": {"resolution": 16, "classes": 120}}
METHODS: dict[str, tuple[Mode, float | None, bool]] = {
    "plain": ("none", None, False), "eq4": ("stand", None, False), "eq45": ("stand_flops", None, False), "robust": ("stand", DELTA, False),
    "described": ("stand", DELTA, True),
}  # fmt: skip
"""Scaling, Huber's delta, and whether heads read descriptions."""
PROXIES = ("synflow", "jacov", "nwot", "snip", "grasp", "fisher", "grad_norm", "epe_nas", "l2_norm", "plain", "zen")
DEV = 5
"""One in as many labels is the dev part."""
BATCH, RATE, STEPS = 32, 2e-3, 2000
"""Recipe, settled on labels of NAS-Bench-201 on CIFAR-10 under seed 0; epochs follow from steps."""
BOOTSTRAPS = 200


@dataclass(frozen=True)
class Labelled:
    corpus: Corpus
    labels: Array
    vecs: np.ndarray[Any, np.dtype[np.float32]]
    described: Array


@cache
def labelled(name: str, task: str) -> Labelled:
    """All networks of a table; their computational graphs are made once."""
    space = get_space(name, **SETTINGS[task])
    metric = METRICS[name, task]
    found = table_of(space, metric)
    file, about = cache_dir() / f"cg-{name}-{task}.safetensors", f"{name} {space.settings}"
    if not file.exists():
        say(f"{name} on {task}: {len(found.genes):,} computational graphs, minutes")
        from_space(space, found.genes, found.keys).save(file, about)
    corpus = Corpus.load(file, about)
    assert corpus.keys == tuple(found.keys)
    described = descriptions(corpus.graphs, corpus.gflops, corpus.params)
    return Labelled(corpus, found.values / PERCENT[name], np.stack([space.vec(one) for one in found.genes]), described)


def predicted(data: Labelled, method: str, train: Ints, dev: Ints, test: Ints, seed: int) -> Array:
    """Labels of the test rows, by one network."""
    import torch

    from nasopt.predictors.aiop.network import About, Network
    from nasopt.predictors.aiop.training import Data, Recipe, fit, outputs

    corpus = data.corpus
    mode, delta, describe = METHODS[method]
    scale = Scale.fit(mode, data.labels[train], corpus.gflops[train])
    scaled = scale.apply(data.labels, corpus.gflops)

    def part(rows: Ints) -> Data:
        return Data([corpus.graphs[row] for row in rows], scaled[rows], data.described[rows])

    torch.manual_seed(seed)
    network = Network(About(*usual(data.described[train])) if describe else None)
    epochs = round(STEPS * BATCH / len(train))
    fit(network, part(train), part(dev), Recipe(epochs=epochs, batch=BATCH, rate=RATE, patience=epochs, seed=seed, delta=delta))
    return scale.invert(outputs(network, [corpus.graphs[row] for row in test], data.described[test]), corpus.gflops[test])


def trees(data: Labelled, learned: Ints, test: Ints, seed: int) -> Array:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(random_state=seed, min_samples_leaf=5).fit(data.vecs[learned], data.labels[learned])
    return np.asarray(model.predict(data.vecs[test]))


def agreement(found: Array, truth: Array) -> Row:
    from scipy.stats import kendalltau, spearmanr

    return {"tau": float(kendalltau(found, truth)[0]), "srcc": float(spearmanr(found, truth)[0])}


def interval(found: Array, truth: Array) -> list[float]:
    """Of Kendall's tau."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(truth), len(truth)) for _ in range(BOOTSTRAPS)]
    return [float(end) for end in np.percentile([agreement(found[rows], truth[rows])["tau"] for rows in drawn], [2.5, 97.5])]


def split(name: str, task: str, count: int, seed: int) -> tuple[Labelled, Ints, Ints]:
    """All labels, rows to learn from, and the others."""
    data = labelled(name, task)
    order = np.random.default_rng(seed).permutation(len(data.labels))
    return data, order[:count], order[count:]


def measured(name: str, task: str, count: int, seed: int, method: str) -> Row:
    data, learned, test = split(name, task, count, seed)
    truth = data.labels[test]
    begun = time.process_time()
    found = predicted(data, method, learned[count // DEV :], learned[: count // DEV], test, seed)
    told = agreement(found, truth) | {"mae": float(np.abs(found - truth).mean()), "cpu_seconds": time.process_time() - begun}
    return told | {"tau_interval": interval(found, truth), "proxies": proxies(name, task, data, test, found)}


def baselines(name: str, task: str, count: int, seed: int) -> Row:
    data, learned, test = split(name, task, count, seed)
    truth = data.labels[test]
    told: Row = {"test_rows": len(test), "constant_mae": float(np.abs(truth - np.median(data.labels[learned])).mean())}
    found = trees(data, learned, test, seed)
    told["trees_on_vec"] = agreement(found, truth) | {"mae": float(np.abs(found - truth).mean())}
    return told | {cost: agreement(getattr(data.corpus, cost)[test], truth) for cost in ("gflops", "params")}


def once(name: str, task: str, count: int, seed: int, methods: Sequence[str]) -> Row:
    """All of a case and seed, each part of it remembered."""
    key = (name, task, count, seed)
    found = {
        method: remembered("aiop_within", (*key, method, STEPS, RATE), lambda m=method: measured(*key, m))  # type: ignore[misc]
        for method in methods
    }
    return remembered("aiop_within", (*key, "baselines"), lambda: baselines(*key)) | found


def proxies(name: str, task: str, data: Labelled, test: Ints, found: Array) -> Row:
    """Tabled proxies on the test rows that have them, and the network's own figure on the same ("own")."""
    if name != "nasbench201":
        return {}
    pattern = "zcp_subset_725/{}@cifar100" if task == "cifar100" else f"zcp_{task}_9445/{{}}"
    known = join(name, [pattern.format(proxy) for proxy in PROXIES])
    place = {key: row for row, key in enumerate(known.keys)}
    here = [row for row, key in enumerate(data.corpus.keys[one] for one in test) if key in place]
    rows = [place[data.corpus.keys[test[row]]] for row in here]
    truth = data.labels[test[here]]
    told = {proxy: agreement(np.asarray(known.values[pattern.format(proxy)], float)[rows], truth) for proxy in PROXIES}
    return told | {"own": agreement(found[here], truth), "rows": len(here)}


def summary(rows: Sequence[Row], methods: Sequence[str]) -> Row:
    """Means and deviations over seeds."""
    told: Row = {"seeds": len(rows), "test_rows": rows[0]["test_rows"]}
    told["constant_mae"] = float(np.mean([row["constant_mae"] for row in rows]))
    for method in (*methods, "trees_on_vec", "gflops", "params"):
        told[method] = {
            what: [float(np.mean(values)), float(np.std(values))]
            for what in ("tau", "srcc", "mae", "cpu_seconds")
            if (values := [row[method][what] for row in rows if what in row[method]])
        }
    for method in methods:
        told[method]["tau_interval"] = rows[0][method]["tau_interval"]
    last = methods[-1]
    if beside := [row[last]["proxies"] for row in rows if row[last]["proxies"]]:
        taus = {one: float(np.mean([row[one]["tau"] for row in beside])) for one in (*PROXIES, "own")}
        best = max(PROXIES, key=lambda proxy: taus[proxy])
        told["best_proxy"] = {"name": best, "rows": beside[0]["rows"], "tau": taus[best], f"{last}_tau": taus["own"]}
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description="AIO-P's network within search spaces; prints one JSON document.")
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--method", choices=METHODS, action="append", help="all without it")
    parser.add_argument("--seeds", type=int, default=5)
    a = parser.parse_args()
    results: Row = {}
    for case in a.case or CASES:
        name, task, count = case.split(":")
        methods = tuple(a.method or METHODS)
        rows = [once(name, task, int(count), seed, methods) for seed in range(a.seeds)]
        results[case] = summary(rows, methods)
        say(case, results[case])
    recipe = {"batch": BATCH, "rate": RATE, "steps": STEPS, "dev": f"one label in {DEV}"}
    print(document({"recipe": recipe, "results": results}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
