"""Multi-Predict's accuracy predictors across spaces and tasks by zero-cost proxies (its Figure 9).

    python -m benchmarks.multipredict_accuracy [--seeds 3]

Sets (`SETS`): TransNAS-Bench-101 micro and macro (seven tasks each), NAS-Bench-201 (three) and NAS-Bench-301 (one), of each the some 700
architectures for which one run has eleven proxies (synflow is missing for six tasks of TransNAS). For each ordered pair: pre-training on
15 % of the source's architectures, adaptation by 10 of the target's; beside it, from scratch on the same 10, the same network on "Vec" (the
paper's comparison) and on proxies.

Honest: by seed a space's architectures fall into three parts, whatever the task: 15 % to pre-train on, 15 % from which the 10 are drawn
and on which a target's proxies are scaled, without labels, and the rest, which is judged on. Labels are scaled by those learned from. Nets
from scratch get pre-training's epochs and rate. Figures are Spearman's
correlations. Resumable: what was measured stays in $NASOPT_BENCH_CACHE.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np

from benchmarks.cache import remembered
from benchmarks.document import document, say
from nasopt.predictors.agreement import agreement
from nasopt.predictors.multipredict.encodings import MinMax
from nasopt.spaces.registry import get_space
from nasopt.spaces.tables.query import join

Row = dict[str, Any]
Values = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

NAMES = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip".split()
SHARE, FEW, GAIN = 0.15, 10, 0.01
TRANSNAS = "class_scene class_object room_layout jigsaw segmentsemantic normal autoencoder".split()
SETS: dict[str, tuple[str, str, str]] = {
    **{
        f"{size}:{task}": (f"transnasbench101_{size}", f"{size}_zcp_subset/{{}}@{task}", "valid_best")
        for size in ("micro", "macro")
        for task in TRANSNAS
    },
    **{
        f"nb201:{task}": ("nasbench201", f"zcp_subset_725/{{}}@{task}", "val_accuracy")
        for task in ("cifar10", "cifar100", "ImageNet16-120")
    },
    "nb301:cifar10": ("nasbench301", "zcp_subset_725/{}", "val_accuracy"),
}
"""Space, pattern of metrics, label."""


@dataclass(frozen=True)
class Set:
    """Architectures of one space and task: proxies (n, 11), Vec, labels, and each row's part: 0 to pre-train, 1 to adapt, 2 to judge."""

    proxies: Values
    structure: Values
    labels: Values
    part: Ints


@cache
def drawn(name: str, seed: int) -> Set:
    space, pattern, label = SETS[name]
    found = join(space, [pattern.format(metric) for metric in (label, *NAMES)])
    known = get_space(space)
    # One split for all tasks of a space: an architecture that one task learns from is judged in none.
    keys = sorted({key for other, form, target in SETS.values() if other == space for key in join(space, [form.format(target)]).keys})
    order = np.random.default_rng(seed).permutation(len(keys))
    side = dict(zip(keys, np.searchsorted([SHARE, 2 * SHARE], order / len(keys), side="right").tolist(), strict=True))
    proxies = np.stack([np.asarray(found.values[pattern.format(metric)], float) for metric in NAMES], 1)
    kept = np.flatnonzero(np.isfinite(proxies).all(axis=1))
    return Set(
        proxies[kept], np.stack([known.vec(known.parse(found.keys[row])) for row in kept]).astype(float),
        np.asarray(found.values[pattern.format(label)], float)[kept], np.array([side[found.keys[row]] for row in kept]),
    )  # fmt: skip


def once(seed: int) -> Row:
    """All pairs."""
    import torch

    from nasopt.predictors.multipredict.across import ACCURACY, ACCURACY_FEW, MetricPredictor, carried
    from nasopt.predictors.multipredict.transfer import Inputs, predicted, trained

    def learned(values: Values, labels: Values) -> Any:
        torch.manual_seed(seed)
        network = MetricPredictor(values.shape[1])
        trained(network, Inputs.measured(values), unit(labels)[:, None], replace(ACCURACY, seed=seed))
        return network

    sources = {}
    for name in SETS:
        one = drawn(name, seed)
        rows = np.flatnonzero(one.part == 0)
        sources[name] = learned(MinMax.fit(one.proxies[rows], log=True).apply(one.proxies[rows]), one.labels[rows])
    told: Row = {}
    for name in SETS:
        one = drawn(name, seed)
        pool, test = np.flatnonzero(one.part == 1), np.flatnonzero(one.part == 2)
        few = np.random.default_rng(seed).permutation(pool)[:FEW]
        proxies, labels = MinMax.fit(one.proxies[pool], log=True).apply(one.proxies), unit(one.labels[few])

        def judged(network: Any, values: Values, test: Ints = test, one: Set = one) -> float:
            return agreement(predicted(network, Inputs.measured(values[test]))[:, 0], one.labels[test], same_unit=False).srcc

        told[name] = {
            "rows": len(test), "vec": judged(learned(one.structure[few], one.labels[few]), one.structure),
            "zcp": judged(learned(proxies[few], one.labels[few]), proxies),
            "from": {
                other: judged(carried(network, Inputs.measured(proxies[few]), labels, replace(ACCURACY_FEW, seed=seed)), proxies)
                for other, network in sources.items()
                if other != name
            },
        }  # fmt: skip
        say(seed, name, told[name])
    return told


def unit(labels: Values) -> Values:
    """Of rows that are learned from, to [0, 1]."""
    return MinMax.fit(labels[:, None]).apply(labels[:, None])[:, 0].astype(float)


def summary(runs: Sequence[Row]) -> Row:
    """Of means over seeds: in how many pairs transfer gains a hundredth or more."""
    told: Row = {}
    for beside in ("vec", "zcp"):
        pairs = [(source, target) for source, target in permutations(SETS, 2)]
        gains = {pair: float(np.mean([run[pair[1]]["from"][pair[0]] - run[pair[1]][beside] for run in runs])) for pair in pairs}
        groups = {
            "all": pairs, "transnas": [pair for pair in pairs if all(name.startswith("m") for name in pair)],
            "from_micro": [pair for pair in pairs if pair[0].startswith("micro") and pair[1].startswith("m")],
            "nasbench": [pair for pair in pairs if all(name.startswith("nb") for name in pair)],
        }  # fmt: skip
        told[beside] = {
            group: {
                "pairs": len(chosen),
                "gain": sum(gains[pair] >= GAIN for pair in chosen),
                "mean": float(np.mean([gains[p] for p in chosen])),
            }
            for group, chosen in groups.items()
        }
    told["mean_srcc"] = {way: float(np.mean([run[name][way] for run in runs for name in SETS])) for way in ("vec", "zcp")}
    told["mean_srcc"]["transfer"] = float(np.mean([value for run in runs for name in SETS for value in run[name]["from"].values()]))
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description="Accuracy by proxies across spaces and tasks; prints one JSON document.")
    parser.add_argument("--seeds", type=int, default=3)
    a = parser.parse_args()
    runs = [remembered("multipredict_accuracy", (seed,), lambda s=seed: once(s)) for seed in range(a.seeds)]  # type: ignore[misc]
    print(document({"seeds": a.seeds, "results": summary(runs), "runs": runs}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
