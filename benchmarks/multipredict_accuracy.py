"""Multi-Predict's accuracy predictors on zero-cost proxies: transfer between sets (Figure 9), and proxies against graphs (Figure 8).

    python -m benchmarks.multipredict_accuracy [--part transfer] [--part samples] [--seeds 3]

`transfer`: every pair of 18 sets (NAS-Bench-201 on three tasks, NAS-Bench-301, TransNAS-Bench-101 micro and macro on seven), some 700
rows each, twelve proxies. A fifth of the source's rows is learned from, and 20 labels of the target adapt it. "From scratch" the same
net learns from these 20 alone, on proxies or on the space's "Vec" (the paper's baseline). All are judged on the target's other rows:
Spearman's correlation, means over seeds. Labels are scaled by the rows that are learned from; the target's proxies by these 20 (`few`), or
by all of the target's architectures (`pool`: proxies need no labels).

`samples`: NAS-Bench-201, CIFAR-10 (9,445 cells with proxies): nothing pre-trained, N labels, all others judged; dense layers on proxies
(13), a graph network on "Vec" (as BRP-NAS has), gradient-boosted trees on proxies, and the same dense layers with one proxy left
out (Figure 15).
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
from nasopt.predictors.multipredict.encodings import MinMax, adjacency, structures
from nasopt.spaces.registry import get_space
from nasopt.spaces.tables.query import join

Row = dict[str, Any]
Values = np.ndarray[Any, np.dtype[np.float64]]

NAMES = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow".split()
TASKS = ("class_scene", "class_object", "room_layout", "jigsaw", "segmentsemantic", "normal", "autoencoder")
SETS: dict[str, tuple[str, str, str]] = {
    **{f"nb201 {task}": ("nasbench201/zcp_subset_725", "val_accuracy", f"@{task}") for task in ("cifar10", "cifar100", "ImageNet16-120")},
    "nb301": ("nasbench301/zcp_subset_725", "val_accuracy", ""),
    **{f"micro {task}": ("transnasbench101_micro/micro_zcp_subset", "valid_best", f"@{task}") for task in TASKS},
    **{f"macro {task}": ("transnasbench101_macro/macro_zcp_subset", "valid_best", f"@{task}") for task in TASKS},
}
SHARE, FEW = 5, 20
COUNTS = (10, 20, 40, 80, 160, 320)
GRAPH_EPOCHS = 250


@cache
def rows_of(name: str) -> tuple[Values, Values, Values]:
    """Proxies, "Vec" and labels of a set; rows without a value are left out, and a proxy without any (synflow of some tasks) is 0."""
    table, label, suffix = SETS[name]
    found = join(table, [f"{label}{suffix}", *(f"{proxy}{suffix}" for proxy in NAMES)], complete=False)
    values = {key: np.asarray(column, float) for key, column in found.values.items()}
    proxies, labels = np.stack([values[f"{proxy}{suffix}"] for proxy in NAMES], 1), values[f"{label}{suffix}"]
    proxies[:, np.isnan(proxies).all(axis=0)] = 0
    kept = np.flatnonzero(np.isfinite(proxies).all(axis=1) & np.isfinite(labels))
    space = get_space(found.space)
    vectors = np.stack([space.vec(space.parse(found.keys[row])) for row in kept])
    return proxies[kept], vectors, labels[kept]


def transfer(source: str, seed: int) -> Row:
    """From one set to all others, with what was learned there, and from scratch on proxies and on "Vec"."""
    import torch

    from nasopt.predictors.multipredict.accuracy import ADAPT, PRETRAIN, ProxyPredictor, taken_to

    def scratch(columns: int) -> ProxyPredictor:
        torch.manual_seed(seed)
        return ProxyPredictor(columns)

    begin, go_on = replace(PRETRAIN, seed=seed), replace(ADAPT, seed=seed)
    proxies, _, labels = rows_of(source)
    learned = np.random.default_rng(seed).permutation(len(labels))[: len(labels) // SHARE]
    known = taken_to(scratch(len(NAMES)), MinMax.fit(proxies[learned], log=True).apply(proxies[learned]), labels[learned], begin)
    told: Row = {}
    for target in SETS:
        if target == source:
            continue
        asked, vectors, truth = rows_of(target)
        order = np.random.default_rng((seed, 1)).permutation(len(truth))
        few, test = order[:FEW], order[FEW:]
        read = {"vec": vectors.astype(np.float32)}
        read |= {scale: MinMax.fit(asked[rows], log=True).apply(asked) for scale, rows in (("few", few), ("pool", order))}
        told[target] = {
            f"{way} {name}": rank(taken_to(start, values[few], truth[few], go_on).answers(values[test]), truth[test])
            for name, values in read.items()
            for way, start in (("transfer", known), ("scratch", scratch(values.shape[1])))
            if (way, name) != ("transfer", "vec")
        }
    say(source, seed, told)
    return told


def samples(count: int, seed: int) -> Row:
    """From one space's own labels alone."""
    import torch
    from sklearn.ensemble import GradientBoostingRegressor

    from nasopt.predictors.multipredict.accuracy import PRETRAIN, ProxyPredictor, centred, taken_to
    from nasopt.predictors.multipredict.network import GraphTrunk, LatencyPredictor
    from nasopt.predictors.multipredict.transfer import Inputs, Recipe, predicted, trained

    names = [f"zcp_cifar10_9445/{proxy}" for proxy in (*NAMES, "zen")]
    found = join("nasbench201", [*names, "accuracy/nbsz_valid_cifar10"])
    proxies, truth = np.stack([found.values[name] for name in names], 1), found.values["accuracy/nbsz_valid_cifar10"]
    order = np.random.default_rng(seed).permutation(len(truth))
    learned, test = order[:count], order[count:]
    scaled = MinMax.fit(proxies[learned], log=True).apply(proxies)
    recipe = replace(PRETRAIN, seed=seed, batch=max(5, count // 8))

    def dense(columns: Sequence[int]) -> float:
        torch.manual_seed(seed)
        read = scaled[:, columns]
        one = taken_to(ProxyPredictor(len(columns)), read[learned], truth[learned], recipe)
        return rank(one.answers(read[test]), truth[test])

    every = list(range(len(names)))
    told: Row = {"proxies": dense(every)}
    for place, proxy in enumerate((*NAMES, "zen")):
        told[f"without {proxy}"] = dense([one for one in every if one != place])
    space = get_space("nasbench201")
    graphs = Inputs.of(structures("nasbench201", [space.parse(key) for key in found.keys]))
    torch.manual_seed(seed)
    graph = LatencyPredictor(GraphTrunk(8, adjacency()), 1)
    trained(graph, graphs.rows(learned), centred(truth[learned])[:, None], Recipe(GRAPH_EPOCHS, max(5, count // 8), 4e-4, seed=seed))
    told["graph"] = rank(predicted(graph, graphs.rows(test))[:, 0], truth[test])
    trees = GradientBoostingRegressor(random_state=seed, min_samples_leaf=2).fit(scaled[learned], truth[learned])
    told["trees on proxies"] = rank(trees.predict(scaled[test]), truth[test])
    told["best proxy alone"] = max(rank(proxies[test, place], truth[test]) for place in every)
    say(count, seed, told)
    return told


def pairs(rows: dict[str, list[Row]]) -> Row:
    """How often transfer gains over learning from scratch, and by how much."""
    ways = list(next(iter(rows["nb301"][0].values())))
    each: Row = {
        f"{source} -> {target}": {way: float(np.mean([one[target][way] for one in seeds])) for way in ways}
        for source, seeds in rows.items()
        for target in seeds[0]
    }
    told: Row = {"pairs": len(each), "mean": {way: float(np.mean([one[way] for one in each.values()])) for way in ways}}
    for scale in ("few", "pool"):
        for other in (f"scratch {scale}", "scratch vec"):
            gains = np.array([one[f"transfer {scale}"] - one[other] for one in each.values()])
            told[f"transfer {scale} over {other}"] = {
                "gain": float((gains > 0).mean()), "gain_of_0.01": float((gains >= 0.01).mean()), "median": float(np.median(gains)),
            }  # fmt: skip
    return {**told, "each": each}


def main() -> int:
    parser = argparse.ArgumentParser(description="Accuracy predictors on zero-cost proxies; prints one JSON document.")
    parser.add_argument("--part", choices=("transfer", "samples"), action="append")
    parser.add_argument("--seeds", type=int, default=3)
    a = parser.parse_args()
    results: Row = {}
    parts = a.part or ["transfer", "samples"]
    if "transfer" in parts:
        results["transfer"] = pairs(
            {
                source: [
                    remembered("multipredict_transfer", (source, seed), lambda n=source, s=seed: transfer(n, s)) for seed in range(a.seeds)
                ]  # type: ignore[misc]
                for source in SETS
            }
        )
    if "samples" in parts:
        results["samples"] = {}
        for count in COUNTS:
            rows = [remembered("multipredict_samples", (count, seed), lambda c=count, s=seed: samples(c, s)) for seed in range(a.seeds)]  # type: ignore[misc]
            results["samples"][count] = {name: [float(f([row[name] for row in rows])) for f in (np.mean, np.std)] for name in rows[0]}
    print(document({"seeds": a.seeds, "results": results}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
