"""AIO-P across tasks and spaces: a backbone on NAS-Bench-101, adapters on two other tasks, targets that nothing was trained on.

    python -m benchmarks.aiop_across [--seeds 5] [--method ours]

Backbone: 3,000 cells of NAS-Bench-101 (CIFAR-10). Adapters: 1,500 cells of NAS-Bench-201 (CIFAR-10) and 1,500 of TransNAS-Bench-101 micro
(class_scene). Targets (`TARGETS`): other tasks of the two spaces, on architectures that were in no training, and other spaces. Of
each, 20 architectures give mean and deviation (zero-shot) and, fine-tuned, their labels; up to 1,000 others are judged.

Methods: `gnn` (the backbone on raw labels), `gnn_eq45` (Eqs. 5 and 4), `aiop` (adapters on that, averaged), all as in the paper, and
`ours` (Eq. 4, Huber's loss, heads that read descriptions). Ablations of `aiop` (Tables 6 to 11): `adapters` on raw labels, `adaproxy`
(those, with AdaProxy for fine-tuning), `adapters_eq4`, `one_adapter`, `joint` (one head). `ours_mnasnet` has its
second adapter on the MnasNet space (ImageNet). With all three, `nearest` lets each target be answered by the adapter whose networks its
own resemble, by descriptions of the 20; `matched` has, beside that, its answers to the 20 standardised, which looks at no label.

Errors are shares of the best constant's (the test rows' median). Beside them: rank correlations of FLOPs, parameters, and the best of the
tabled proxies (chosen on the test rows: a bound). Resumable: what was measured stays in $NASOPT_BENCH_CACHE.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from benchmarks.cache import cache_dir, remembered
from benchmarks.document import document, say
from nasopt.predictors.agreement import agreement
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.predictors.aiop.ensemble import DELTA
from nasopt.predictors.aiop.labelled import labelled
from nasopt.predictors.aiop.labels import Mode, Scale
from nasopt.predictors.aiop.likeness import Likeness, descriptions, usual
from nasopt.spaces.registry import get_space
from nasopt.spaces.tables.query import join

Row = dict[str, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

FEW, TESTED, DEV = 20, 1000, 5
BATCH, RATE, STEPS, ADAPTER_STEPS = 32, 2e-3, 2000, 1500


@dataclass(frozen=True)
class Task:
    """Labels of one space.

    Attributes:
        space: whose architectures they are.
        metric: of its tables.
        settings: under which it was measured.
        learned: architectures that are kept for training, by position after the space's own shuffle; targets take later ones.
        proxies: table of zero-cost proxies of the same architectures, and the suffix of its columns.
    """

    space: str
    metric: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    learned: int = 0
    proxies: tuple[str, str] | None = None


NAMES = ("synflow", "jacov", "nwot", "snip", "grasp", "fisher", "grad_norm", "epe_nas", "l2_norm", "plain", "zen")
BACKBONE = Task("nasbench101", "valid_acc_e108", learned=3000)
ADAPTERS = (
    Task("nasbench201", "nats_test_cifar10", learned=1500),
    Task("transnasbench101_micro", "valid_class_scene", {"task": "class_scene"}, learned=1500),
)
ON_MNASNET = (ADAPTERS[0], Task("mnasnet", "val_top1", learned=1500))
MICRO = ("class_object", "room_layout", "jigsaw", "segmentsemantic", "normal", "autoencoder")
TARGETS: dict[str, Task] = {
    "nasbench201 cifar100": Task("nasbench201", "nats_test_cifar100", {"classes": 100}, 1500, ("zcp_subset_725", "@cifar100")),
    "nasbench201 ImageNet16-120": Task(
        "nasbench201", "nats_test_ImageNet16-120", {"resolution": 16, "classes": 120}, 1500, ("zcp_ImageNet16-120_9445", "")
    ),
    **{f"transnas micro {task}": Task("transnasbench101_micro", f"valid_{task}", {"task": task}, 1500) for task in MICRO},
    **{
        f"transnas macro {task}": Task("transnasbench101_macro", f"valid_{task}", {"task": task})
        for task in ("class_scene", "segmentsemantic", "jigsaw")
    },
    **{
        f"ofa_mbv3 {resolution}": Task("ofa_mbv3", f"imagenet_accuracy_moofa/top1@MIT_OFA@r={resolution}", {"resolution": resolution})
        for resolution in (128, 160, 192)
    },
    "nasbench_macro": Task("nasbench_macro", "mean_acc"),
}


@dataclass(frozen=True)
class Part:
    """Architectures, aligned."""

    corpus: Corpus
    labels: Floats
    described: Floats
    factor: float


@cache
def drawn(task: Task, begin: int, count: int) -> Part:
    """Architectures of a task from a place in its shuffle on; the same for all metrics of a table."""
    space = get_space(task.space, **task.settings)
    data = labelled(space, task.metric)
    rows = np.random.default_rng(7).permutation(len(data.keys))[begin : begin + count]
    about = f"{task.space} {space.settings} {begin} {len(rows)} {len(data.keys)}"
    file = cache_dir() / "aiop_across" / f"{abs(hash_of(about))}.safetensors"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        from_space(space, [data.genes[row] for row in rows], [data.keys[row] for row in rows]).save(file, about)
    corpus = Corpus.load(file, about)
    described = descriptions(corpus.graphs, corpus.gflops, corpus.params)
    return Part(corpus, data.labels[rows], described, data.factor)


def hash_of(text: str) -> int:
    import hashlib

    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def data_of(part: Part, rows: Ints, scale: Scale) -> Any:
    from nasopt.predictors.aiop.training import Data

    return Data(
        [part.corpus.graphs[row] for row in rows], scale.apply(part.labels[rows], part.corpus.gflops[rows]), part.described[rows]
    )  # fmt: skip


@cache
def trained(task: Task, seed: int, mode: Mode, delta: float | None, *, describe: bool, backbone: Any = None) -> Any:
    """A network on a task, or an adapter beside a backbone; the same for all methods that want it."""
    import torch

    from nasopt.predictors.aiop.network import About, Adapter, Network
    from nasopt.predictors.aiop.training import Recipe, fit

    part = drawn(task, 0, task.learned)
    order = np.random.default_rng(seed).permutation(task.learned)
    dev, train = order[: task.learned // DEV], order[task.learned // DEV :]
    scale = Scale.fit(mode, part.labels[train], part.corpus.gflops[train])
    steps = STEPS if backbone is None else ADAPTER_STEPS
    epochs = round(steps * BATCH / len(train))
    torch.manual_seed(seed)
    about = About(*usual(part.described[train])) if describe else None
    network = Network(about) if backbone is None else Adapter(about)
    fit(
        network if backbone is None else (backbone, network),  # type: ignore[arg-type]
        data_of(part, train, scale), data_of(part, dev, scale), Recipe(epochs, BATCH, RATE, patience=epochs, seed=seed, delta=delta),
    )  # fmt: skip
    return network


@dataclass(frozen=True)
class Method:
    """How to predict.

    Attributes:
        mode: of scaling.
        delta: of Huber's loss; None: squares.
        describe: heads read descriptions.
        adapters: tasks of theirs.
        answers: ``mean`` over adapters, one ``joint`` head, or of the ``nearest`` adapter alone.
        ada_proxy: AdaProxy in place of fine-tuning.
        match: answers are standardised on the target's networks.
    """

    mode: Mode = "stand_flops"
    delta: float | None = None
    describe: bool = False
    adapters: tuple[Task, ...] = ADAPTERS
    answers: Literal["mean", "joint", "nearest"] = "mean"
    ada_proxy: bool = False
    match: bool = False


OURS = Method("stand", DELTA, describe=True)
METHODS: dict[str, Method] = {
    "gnn": Method("none", adapters=()),
    "gnn_eq45": Method(adapters=()),
    "aiop": Method(),
    "ours": OURS,
    "adapters": Method("none"),
    "adaproxy": Method("none", ada_proxy=True),
    "adapters_eq4": Method("stand"),
    "one_adapter": Method(adapters=ADAPTERS[:1]),
    "joint": Method(answers="joint"),
    "ours_mnasnet": replace(OURS, adapters=ON_MNASNET),
    "nearest": replace(OURS, adapters=(*ADAPTERS, ON_MNASNET[1]), answers="nearest"),
    "matched": replace(OURS, adapters=(*ADAPTERS, ON_MNASNET[1]), answers="nearest", match=True),
}


def transferred(how: Method, seed: int) -> Any:
    """Backbone and adapters."""
    from nasopt.predictors.aiop.finetune import Transfer
    from nasopt.predictors.aiop.joint import joined
    from nasopt.predictors.aiop.training import Recipe

    recipe = {"mode": how.mode, "delta": how.delta, "describe": how.describe}
    network = trained(BACKBONE, seed, **recipe)
    transfer = Transfer(network, tuple(trained(task, seed, **recipe, backbone=network) for task in how.adapters))
    if how.answers != "joint":
        return transfer
    parts = []
    for task in how.adapters:
        part, rows = drawn(task, 0, task.learned), np.arange(task.learned)
        parts.append(data_of(part, rows, Scale.fit(how.mode, part.labels, part.corpus.gflops)))
    epochs = round(ADAPTER_STEPS * BATCH / sum(task.learned for task in how.adapters))
    return joined(transfer, parts, Recipe(epochs, BATCH, RATE, seed=seed, delta=how.delta))


def nearest(adapters: Sequence[Task], part: Part, rows: Ints) -> int:
    """Whose networks these resemble most, by descriptions."""
    known = [Likeness.of(drawn(task, 0, task.learned).described) for task in adapters]
    return int(np.argmin([np.median([likeness.unlikeness(part.described[row]) for row in rows]) for likeness in known]))


def measured(seed: int, method: str) -> Row:
    """All targets."""
    from nasopt.predictors.aiop.adaproxy import ada_proxied
    from nasopt.predictors.aiop.finetune import Few, fine_tuned, matched

    how = METHODS[method]
    every = transferred(how, seed)
    told: Row = {}
    for name, task in TARGETS.items():
        part = drawn(task, task.learned, TESTED + 5 * FEW)
        order = np.random.default_rng(seed).permutation(len(part.labels))
        few, test = order[:FEW], order[FEW : FEW + TESTED]
        scale = Scale.fit(how.mode, part.labels[few], part.corpus.gflops[few])
        asked, learned = data_of(part, test, scale), data_of(part, few, scale)
        transfer = every if how.answers != "nearest" else replace(every, adapters=(every.adapters[nearest(how.adapters, part, few)],))
        if how.match:
            transfer = matched(transfer, learned)
        truth = part.labels[test]
        constant = np.abs(truth - np.median(truth)).mean()
        told[name] = {"rows": len(test)}
        tuned = ada_proxied(transfer, learned) if how.ada_proxy else fine_tuned(transfer, learned, Few(seed=seed))
        for way, one in (("zero_shot", transfer), ("fine_tuned", tuned)):
            found = scale.invert(one.outputs(asked), part.corpus.gflops[test])
            error = float(np.abs(found - truth).mean())
            told[name][way] = {"srcc": agreement(found, truth).srcc, "mae": error * part.factor, "mae_share": error / float(constant)}
        say(seed, method, name, told[name])
    return told


def baselines(seed: int) -> Row:
    """What needs no training."""
    told: Row = {}
    for name, task in TARGETS.items():
        part = drawn(task, task.learned, TESTED + 5 * FEW)
        test = np.random.default_rng(seed).permutation(len(part.labels))[FEW : FEW + TESTED]
        truth = part.labels[test]
        told[name] = {cost: agreement(getattr(part.corpus, cost)[test], truth).srcc for cost in ("gflops", "params")}
        if task.proxies is not None:
            table, suffix = task.proxies
            known = join(task.space, [f"{table}/{proxy}{suffix}" for proxy in NAMES])
            place = {key: row for row, key in enumerate(known.keys)}
            here = [row for row in range(len(test)) if part.corpus.keys[test[row]] in place]
            rows = [place[part.corpus.keys[test[row]]] for row in here]
            each = {
                proxy: agreement(np.asarray(known.values[f"{table}/{proxy}{suffix}"], float)[rows], truth[here]).srcc for proxy in NAMES
            }  # fmt: skip
            best = max(each, key=lambda proxy: each[proxy])
            told[name]["best_proxy"] = {"name": best, "srcc": each[best], "rows": len(here)}
    return told


def summary(methods: Mapping[str, Sequence[Row]], costs: Sequence[Row]) -> Row:
    """Means and deviations over seeds, and how many targets reach the bars."""
    told: Row = {}
    for name in TARGETS:
        told[name] = {"rows": next(iter(methods.values()))[0][name]["rows"]}
        for cost in ("gflops", "params"):
            told[name][cost] = float(np.mean([row[name][cost] for row in costs]))
        if "best_proxy" in costs[0][name]:
            told[name]["best_proxy"] = costs[0][name]["best_proxy"]
        for method, rows in methods.items():
            told[name][method] = {
                way: {what: spread([row[name][way][what] for row in rows]) for what in ("srcc", "mae", "mae_share")}
                for way in ("zero_shot", "fine_tuned")
            }
    reached = {method: bars(told, method) for method in methods}
    return {"targets": told, "of": len(told), "reached": reached}


def bars(told: Row, method: str) -> Row:
    """On how many targets a method is as good as it should be, and its mean rank correlation."""
    found: Row = {}
    for way, bar in (("zero_shot", 0.7), ("fine_tuned", 0.5)):
        found[f"{way}_mae_at_most_{bar}"] = sum(one[method][way]["mae_share"][0] <= bar for one in told.values())
        found[f"{way}_srcc_above_costs"] = above_costs(told, method, way)
        found[f"{way}_mean_srcc"] = float(np.mean([one[method][way]["srcc"][0] for one in told.values()]))
    return found


def spread(values: Sequence[float]) -> list[float]:
    return [float(np.mean(values)), float(np.std(values))]


def above_costs(told: Row, method: str, way: str) -> int:
    """Targets on which it ranks better than FLOPs, parameters, and the best proxy where there is one."""
    return sum(
        one[method][way]["srcc"][0] > max(one["gflops"], one["params"], one.get("best_proxy", {}).get("srcc", -1)) for one in told.values()
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="AIO-P across tasks; prints one JSON document.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--method", choices=METHODS, action="append", help="all without it")
    a = parser.parse_args()
    methods: dict[str, list[Row]] = {method: [] for method in a.method or METHODS}
    costs = []
    for seed in range(a.seeds):
        costs.append(remembered("aiop_across", ("baselines", seed), lambda s=seed: baselines(s)))  # type: ignore[misc]
        trained.cache_clear()  # of another seed
        for method, rows in methods.items():
            key = (method, STEPS, ADAPTER_STEPS, seed)
            rows.append(remembered("aiop_across", key, lambda s=seed, m=method: measured(s, m)))  # type: ignore[misc]
    print(document({"seeds": a.seeds, "results": summary(methods, costs)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
