"""Multi-Predict's latency predictors: pre-trained on several devices, taken to others by a few measurements (its Tables 1 to 4, Figure 4).

    python -m benchmarks.multipredict [--case nasbench201-default:vec:table] [--seeds 3] [--protocol paper] [--pretrain 50] [--few 20]

A case is a task (`nasopt.predictors.multipredict.devices`), an encoding (`vec`, `zcpvec`: proxies beside it, `hwlvec`: latencies on the
devices of pre-training beside it) and how devices are told apart (`table`, `index`, `sample`).

Honest protocol (the default): by seed, architectures to pre-train on, others to measure on each test device, and all the rest to
judge on; scaling is fitted on the first. `paper`: pre-training on the first architectures of the table, scaled by all of them, measured
anywhere, judged on all. Figures are Spearman's correlations, means and deviations over seeds; beside them, on the same rows, those of FLOPs
and of gradient-boosted trees (scikit-learn) on "Vec" and the same few measurements. Resumable: what was measured stays in
$NASOPT_BENCH_CACHE.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks.cache import remembered
from benchmarks.document import document, say
from nasopt.predictors.agreement import agreement
from nasopt.predictors.multipredict.devices import TASKS, DeviceTask, metric
from nasopt.predictors.multipredict.encodings import MinMax, adjacency, structures
from nasopt.spaces.registry import get_space
from nasopt.spaces.tables.query import join

Row = dict[str, Any]
Values = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

MEMBERS = 5
"""Adaptations whose answers are summed (the published code has 10, on the same samples)."""
PROXIES = {"nasbench201": "zcp_cifar10_9445", "fbnet": "zcp_nasflat"}
NAMES = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow zen".split()
FLOPS = {"nasbench201": "accuracy/flops_m", "fbnet": "zcp_nasflat/flops"}
ENCODINGS, KINDS = ("vec", "zcpvec", "hwlvec"), ("table", "index", "sample")
CASES = tuple(f"{task}:{encoding}:{kind}" for task in TASKS for encoding in ENCODINGS for kind in KINDS)


@dataclass(frozen=True)
class Measured:
    """Architectures of a space, aligned; missing values are NaN."""

    structure: np.ndarray[Any, np.dtype[np.float32]]
    train: Values
    test: Values
    proxies: Values
    flops: Values


@cache
def measured(task: DeviceTask, *, with_proxies: bool) -> Measured:
    """Of the architectures that all devices of pre-training have, and all proxies if they are asked for."""
    devices = [metric(device) for device in task.train]
    proxies = [f"{PROXIES[task.space]}/{name}" for name in NAMES] if with_proxies else []
    found = join(task.space, [*devices, FLOPS[task.space], *proxies])
    space, place = get_space(task.space), {key: row for row, key in enumerate(found.keys)}
    test = np.full((len(found.keys), len(task.test)), np.nan)
    for column, device in enumerate(task.test):
        other = join(task.space, [metric(device)])
        rows = [(place[key], row) for row, key in enumerate(other.keys) if key in place]
        here, there = np.array(rows).T
        test[here, column] = other.values[metric(device)][there]
    values = {name: np.asarray(column, float) for name, column in found.values.items()}
    return Measured(
        structures(task.space, [space.parse(key) for key in found.keys]), np.stack([values[name] for name in devices], 1), test,
        np.stack([values[name] for name in proxies], 1) if proxies else np.empty((len(found.keys), 0)), values[FLOPS[task.space]],
    )  # fmt: skip


def once(name: str, encoding: str, kind: str, seed: int, protocol: str, pretrain: int | None, few: int | None) -> Row:
    """One pre-training and an adaptation to each test device."""
    import torch

    from nasopt.predictors.multipredict.network import DenseTrunk, GraphTrunk, LatencyPredictor, index_vectors
    from nasopt.predictors.multipredict.transfer import ADAPT, PRETRAIN, Inputs, adapted, most_alike, predicted, trained

    task = TASKS[name]
    data = measured(task, with_proxies=encoding == "zcpvec")
    count, honest = len(data.structure), protocol == "honest"
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    learned = order[: pretrain or task.pretrain] if honest else np.arange(pretrain or task.pretrain)
    fitted = learned if honest else np.arange(count)
    scale = MinMax.fit(data.train[fitted])
    latencies = scale.apply(data.train)
    read = {"vec": np.empty((count, 0)), "zcpvec": data.proxies, "hwlvec": data.train}[encoding]
    metrics = MinMax.fit(read[fitted], log=encoding == "zcpvec").apply(read) if read.shape[1] else None
    inputs = Inputs.of(data.structure, metrics)
    references = learned[rng.permutation(len(learned))[: few or task.few]]
    vectors = {"table": None, "index": index_vectors(len(task.train)), "sample": latencies[references].T.copy()}[kind]
    torch.manual_seed(seed)
    beside = inputs.metrics.shape[1]
    if data.structure.ndim == 3:
        trunk: Any = GraphTrunk(data.structure.shape[2], adjacency(), beside)
    else:
        trunk = DenseTrunk(data.structure.shape[1], beside)
    network = LatencyPredictor(trunk, len(task.train), vectors=vectors)
    trained(network, inputs.rows(learned), latencies[learned], replace(PRETRAIN, seed=seed))
    told: Row = {}
    for column, device in enumerate(task.test):
        known = np.flatnonzero(~np.isnan(data.test[:, column]))
        free = rng.permutation(np.setdiff1d(known, learned) if honest else known)
        rows = free[: few or task.few]
        test = np.setdiff1d(free, rows) if honest else known
        truth = data.test[:, column]
        like = most_alike(truth[rows], data.train[rows])
        own = like if kind == "table" else None
        vector = device_vector(kind, network, own, column + len(task.train), truth, references)
        answers = np.zeros(len(test))
        for member in range(MEMBERS):
            how = replace(ADAPT, seed=seed * MEMBERS + member, batch=max(1, len(rows) // 2))
            one = adapted(network, inputs.rows(rows), truth[rows], latencies[rows, like].astype(float), vector, how)
            answers += predicted(one, inputs.rows(test))[:, 0]
        told[device] = {
            "srcc": rank(answers, truth[test]), "flops": rank(data.flops[test], truth[test]),
            "trees": rank(trees(data.structure, truth, rows, test, seed), truth[test]), "alike": task.train[like],
            "alike_srcc": rank(data.train[test, like], truth[test]), "rows": len(test),
        }  # fmt: skip
        say(name, encoding, kind, seed, device, told[device])
    return told


def device_vector(kind: str, network: Any, alike: int | None, index: int, truth: Values, references: Ints) -> Any:
    """What stands for a new device: the row of the one most alike (Eq. 1), its own number, or its latencies of the reference networks."""
    import torch

    from nasopt.predictors.multipredict.network import index_vectors

    if kind == "table":
        return network.devices[alike]
    if kind == "index":
        return torch.from_numpy(index_vectors(index + 1)[-1])
    sample = truth[references]
    spread = np.nanmax(sample) - np.nanmin(sample)
    return torch.from_numpy(((np.nan_to_num(sample, nan=np.nanmean(sample)) - np.nanmin(sample)) / spread).astype(np.float32))


def trees(structure: Any, truth: Values, rows: Ints, test: Ints, seed: int) -> Values:
    from sklearn.ensemble import GradientBoostingRegressor

    flat = structure.reshape(len(structure), -1)
    return np.asarray(GradientBoostingRegressor(random_state=seed).fit(flat[rows], truth[rows]).predict(flat[test]))


def rank(found: Values, truth: Values) -> float:
    return agreement(found, truth, same_unit=False).srcc


def summary(rows: Sequence[Row]) -> Row:
    """Means and deviations over seeds, by device and of the mean over devices."""
    told: Row = {}
    for device in rows[0]:
        told[device] = {what: float(np.mean([row[device][what] for row in rows])) for what in ("srcc", "flops", "trees", "alike_srcc")}
        told[device] |= {"std": float(np.std([row[device]["srcc"] for row in rows])), "rows": rows[0][device]["rows"]}
    means = [[np.mean([one[what] for one in row.values()]) for what in ("srcc", "flops", "trees", "alike_srcc")] for row in rows]
    told["mean"] = {
        **dict(zip(("srcc", "flops", "trees", "alike_srcc"), np.mean(means, 0).tolist(), strict=True)),
        "std": float(np.std([row[0] for row in means])),
    }
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description="Latency predictors taken to other devices; prints one JSON document.")
    parser.add_argument("--case", action="append", choices=CASES, metavar="TASK:ENCODING:KIND", help="all without it")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--protocol", choices=("honest", "paper"), default="honest")
    parser.add_argument("--pretrain", type=int, help="architectures; the task's without it")
    parser.add_argument("--few", type=int, help="measurements on a test device; the task's without it")
    a = parser.parse_args()
    results: Row = {}
    for case in a.case or CASES:
        rows = []
        for seed in range(a.seeds):
            key = (*case.split(":"), a.protocol, a.pretrain or "as-published", a.few or "as-published", seed)
            rows.append(remembered("multipredict", key, lambda s=seed, c=case: once(*c.split(":"), s, a.protocol, a.pretrain, a.few)))  # type: ignore[misc]
        results[case] = summary(rows)
    print(document({"protocol": a.protocol, "pretrain": a.pretrain, "few": a.few, "seeds": a.seeds, "results": results}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
