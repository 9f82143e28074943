"""Real networks: does AIO-P's network rank families that it has not seen?

    python -m benchmarks.aiop_zoos [--part families] [--part foreign] [--seeds 5]

`families`: the zoo (`nasopt/predictors/zoo`, timm's networks) in five parts by family (timm's module), each in turn the test: all families
of a part are unseen. `foreign`: the zoos of AIO-P's Table 12 (TF-slim's published accuracies), their kin (`KIN`) left out of training.

The network with and without the description that its head reads; FLOPs, parameters, and gradient-boosted trees (scikit-learn) on that
description (shares of operations, size, cost) beside it. Error in points of top-1; the constant is the median of what was learned from.
Intervals: 95 %, bootstrap over networks of the first seed. Resumable: what was measured stays in $NASOPT_BENCH_CACHE.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.cache import remembered
from benchmarks.document import document, say
from nasopt.predictors.agreement import agreement
from nasopt.predictors.aiop.checkpoint import Checkpoint
from nasopt.predictors.aiop.ensemble import Ensemble, train_members
from nasopt.predictors.aiop.likeness import Likeness, descriptions
from nasopt.predictors.aiop.zoo import FILE, Zoo, load_zoo

Row = dict[str, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

KIN = ("resnet", "resnetv2", "senet", "res2net", "resnest", "sknet", "inception", "xception", "mobilenetv3", "efficientnet", "hardcorenas")
"""Beginnings of timm's modules that hold the foreign networks, or blocks of theirs."""
PARTS, STEPS, MEMBERS, BOOTSTRAPS = 5, 2000, 1, 1000
RANKS = ("flops", "params")
PAPER = {"slim-resnets": 0.92, "slim-inception": 0.98, "slim-mobilenets": 0.40, "slim-efficientnets": 1.00}
"""AIO-P, Table 12."""


@cache
def labelled_zoo() -> tuple[Zoo, Ints, Floats, Floats]:
    """The zoo, its rows with a label, their labels and descriptions."""
    zoo = load_zoo()
    rows = np.flatnonzero(np.isfinite(zoo.top1))
    corpus = zoo.corpus.take(rows)
    return zoo, rows, zoo.top1[rows] / 100, descriptions(corpus.graphs, corpus.gflops, corpus.params)


def folds(seed: int) -> list[Ints]:
    """Rows of each part: families are dealt out in random order, always to the smallest part."""
    zoo, rows, _, _ = labelled_zoo()
    families = np.array(zoo.families)[rows]
    parts: list[list[int]] = [[] for _ in range(PARTS)]
    for family in np.random.default_rng(seed).permutation(np.unique(families)):
        min(parts, key=len).extend(np.flatnonzero(families == family).tolist())
    return [np.array(sorted(part)) for part in parts]


def predicted(learned: Ints, asked: Zoo | None, test: Ints, seed: int, *, describe: bool) -> Floats:
    """Labels of rows of the zoo, or of all networks of another one."""
    zoo, rows, labels, described = labelled_zoo()
    corpus = zoo.corpus.take(rows)
    how = Ensemble(members=MEMBERS, steps=STEPS, seed=seed, describe=describe)
    order = np.random.default_rng(seed).permutation(learned)
    with TemporaryDirectory() as folder:
        members = train_members(how, corpus, labels, order, Path(folder))
    checkpoint = Checkpoint(
        tuple(member.weights for member in members), tuple(member.scale for member in members), Likeness.of(described[learned]),
        {"factor": 1.0},
    )  # fmt: skip
    rest = corpus.take(test) if asked is None else asked.corpus
    return checkpoint.predict(rest.graphs, rest.gflops, rest.params).mean(axis=0)


def trees(learned: Ints, described: Floats) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor

    _, _, labels, known = labelled_zoo()
    model = HistGradientBoostingRegressor(random_state=0, min_samples_leaf=5).fit(known[learned], labels[learned])
    return np.asarray(model.predict(described))


def families(seed: int) -> Row:
    """Every network predicted by what has not seen its family."""

    def measure() -> Row:
        zoo, rows, labels, described = labelled_zoo()
        found = {name: np.zeros(len(rows)) for name in ("aiop", "plain", "trees", "constant")}
        for test in folds(seed):
            learned = np.setdiff1d(np.arange(len(rows)), test)
            found["aiop"][test] = predicted(learned, None, test, seed, describe=True)
            found["plain"][test] = predicted(learned, None, test, seed, describe=False)
            found["trees"][test] = trees(learned, described[test])
            found["constant"][test] = np.median(labels[learned])
        corpus = zoo.corpus.take(rows)
        found |= {"flops": corpus.gflops, "params": corpus.params}
        say("families", seed, {name: spoken(values, labels, name) for name, values in found.items()})
        return {name: values.tolist() for name, values in found.items()}

    return remembered("aiop_zoos", ("families", labelled_zoo()[0].top1.size, STEPS, MEMBERS, seed), measure)


def foreign(seed: int) -> Row:
    """The foreign networks, their kin unseen."""

    def measure() -> Row:
        zoo, rows, labels, _ = labelled_zoo()
        other = load_zoo(FILE.with_name("foreign.npz"))
        kin = np.array([family.startswith(KIN) for family in np.array(zoo.families)[rows].tolist()])
        learned = np.flatnonzero(~kin)
        corpus = other.corpus
        found = {
            "aiop": predicted(learned, other, np.arange(0), seed, describe=True),
            "plain": predicted(learned, other, np.arange(0), seed, describe=False),
            "trees": trees(learned, descriptions(corpus.graphs, corpus.gflops, corpus.params)),
            "constant": np.full(len(corpus), np.median(labels[learned])),
            "flops": corpus.gflops, "params": corpus.params,
        }  # fmt: skip
        say("foreign", seed, len(learned))
        return {"learned": len(learned), **{name: values.tolist() for name, values in found.items()}}

    return remembered("aiop_zoos", ("foreign", labelled_zoo()[0].top1.size, STEPS, MEMBERS, seed), measure)


def spoken(found: Sequence[float] | Floats, truth: Floats, name: str) -> Row:
    """Rank correlation, and error in points where the figure is one of accuracy."""
    one = agreement(np.asarray(found), truth, same_unit=name not in RANKS)
    return {"srcc": one.srcc} if one.mae is None else {"srcc": one.srcc, "mae": 100 * one.mae}


def summary(rows: Sequence[Row], truth: Floats, places: Ints) -> Row:
    """Means and deviations over seeds, and the interval of the first seed, on some of the networks."""
    told: Row = {"networks": len(places), "seeds": len(rows)}
    rng = np.random.default_rng(0)
    draws = [rng.choice(places, len(places)) for _ in range(BOOTSTRAPS)]
    for name in [name for name in rows[0] if name != "learned"]:
        each = [spoken(np.asarray(row[name])[places], truth[places], name) for row in rows]
        told[name] = {what: [float(np.mean([one[what] for one in each])), float(np.std([one[what] for one in each]))] for what in each[0]}
        drawn = [spoken(np.asarray(rows[0][name])[draw], truth[draw], name)["srcc"] for draw in draws]
        told[name]["srcc_interval"] = [float(end) for end in np.percentile(drawn, [2.5, 97.5])]
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description="AIO-P's network on real networks of unseen families; prints one JSON document.")
    parser.add_argument("--part", choices=("families", "foreign"), action="append")
    parser.add_argument("--seeds", type=int, default=5)
    a = parser.parse_args()
    results: Row = {}
    for part in a.part or ("families", "foreign"):
        if part == "families":
            truth = labelled_zoo()[2]
            results[part] = summary([families(seed) for seed in range(a.seeds)], truth, np.arange(len(truth)))
        else:
            other, rows = load_zoo(FILE.with_name("foreign.npz")), [foreign(seed) for seed in range(a.seeds)]
            zoos = np.array(other.families)
            each = {name: summary(rows, other.top1 / 100, np.flatnonzero(zoos == name)) | {"paper": PAPER[name]} for name in PAPER}
            means = {name: float(np.mean([one[name]["srcc"][0] for one in each.values()])) for name in ("aiop", "plain", "trees", *RANKS)}
            results[part] = {
                "learned": rows[0]["learned"],
                "zoos": each,
                "mean_srcc": means | {"paper": float(np.mean(list(PAPER.values())))},
            }
        say(part, results[part])
    print(document({"steps": STEPS, "members": MEMBERS, "results": results}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
