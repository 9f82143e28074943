"""The predictors that ship with the package, a task each.

    python -m training.checkpoints --state FOLDER [--task imagenet]    # resumable; writes nasopt/predictors/checkpoints/TASK/

Labels are those of `$NASOPT_DATA/data` and of the zoo (`training/zoo.py`). Of every source some architectures are set aside before anything
is learned; the card has what the ensemble says of them, beside FLOPs, parameters and gradient-boosted trees on the same rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.document import say
from nasopt.predictors.agreement import agreement
from nasopt.predictors.aiop.checkpoint import Checkpoint
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.predictors.aiop.ensemble import DEV, Ensemble, likeness_of, train_members
from nasopt.predictors.aiop.folding import folded
from nasopt.predictors.aiop.labelled import labelled
from nasopt.predictors.aiop.likeness import descriptions
from nasopt.predictors.aiop.zoo import load_zoo
from nasopt.predictors.shipped import FOLDER
from nasopt.spaces.registry import get_space

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

SEED = 0
TEST = 500
"""Architectures of each source that are tested on; a tenth of small ones."""


@dataclass(frozen=True)
class Source:
    """Labels of one space.

    Attributes:
        space: whose architectures they are.
        metric: of its tables.
        settings: under which it was measured.
        most: how many to learn from.
    """

    space: str
    metric: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    most: int = 8000


@dataclass(frozen=True)
class Task:
    """What is predicted.

    Attributes:
        about: what the figure means.
        sources: labels; the zoo where there are none.
        how: it is trained.
    """

    about: str
    sources: tuple[Source, ...]
    how: Ensemble = field(default_factory=lambda: Ensemble(steps=8000))


TRANSNAS = {
    "class_scene": "top-1 %, scenes",
    "class_object": "top-1 %, objects",
    "room_layout": "negative loss, layout of rooms",
    "jigsaw": "top-1 %, jigsaw",
    "segmentsemantic": "accuracy of pixels %, semantic segmentation",
    "normal": "SSIM, surface normals",
    "autoencoder": "SSIM, autoencoding",
}
NB201 = {"cifar100": {"classes": 100}, "imagenet16-120": {"resolution": 16, "classes": 120}}
TASKS = {
    "imagenet": Task("ImageNet-1k top-1, the best recipe without other data or teacher (timm)", ()),
    "cifar10": Task(
        "CIFAR-10 accuracy as NAS benchmarks train (NAS-Bench-101 108 epochs, validation; NAS-Bench-201 200, NAS-Bench-Macro, test)",
        (
            Source("nasbench201", "nats_test_cifar10"),
            Source("nasbench101", "valid_acc_e108", most=6000),
            Source("nasbench_macro", "mean_acc", most=4000),
        ),
    ),
    "cifar100": Task(
        "CIFAR-100 test accuracy as NAS-Bench-201 trains", (Source("nasbench201", "nats_test_cifar100", NB201["cifar100"]),)
    ),
    "imagenet16-120": Task(
        "ImageNet16-120 test accuracy as NAS-Bench-201 trains",
        (Source("nasbench201", "nats_test_ImageNet16-120", NB201["imagenet16-120"]),),
    ),
    **{
        task: Task(
            f"Taskonomy as TransNAS-Bench-101 trains: {about} (validation)",
            tuple(Source(f"transnasbench101_{kind}", f"valid_{task}", {"task": task}) for kind in ("micro", "macro")),
            Ensemble(steps=3000),
        )
        for task, about in TRANSNAS.items()
    },
}  # fmt: skip


@dataclass(frozen=True)
class Gathered:
    """All rows of a task.

    Attributes:
        corpus: graphs.
        labels: as they are learned.
        learned: rows to learn from.
        tested: others, by source.
        unit: of the figures.
        factor: the unit's value of a label of 1.
        sources: what the card says of them.
        together: of each learned row: which belong to one architecture.
    """

    corpus: Corpus
    labels: Floats
    learned: Ints
    tested: dict[str, Ints]
    unit: str
    factor: float
    sources: list[dict[str, Any]]
    together: Ints | None = None


def from_tables(name: str, task: Task, state: Path) -> Gathered:
    """Networks of spaces."""
    corpora, labels, learned, tested, told, begin = [], [], [], {}, [], 0
    unit, factor = "", 1.0
    for source in task.sources:
        space = get_space(source.space, **source.settings)
        data = labelled(space, source.metric)
        order = np.random.default_rng(SEED).permutation(len(data.keys))
        test = min(TEST, len(order) // 10)
        rows = order[: test + min(source.most, len(order) - test)]
        file, about = state / f"cg-{name}-{source.space}.safetensors", f"{source.space} {space.settings} {len(rows)} {SEED}"
        if not file.exists():
            say(f"{name}: {len(rows):,} networks of {source.space}")
            from_space(space, [data.genes[row] for row in rows], [data.keys[row] for row in rows]).save(file, about)
        corpora.append(Corpus.load(file, about))
        fraction = data.unit == "fraction"  # which percents become, too
        labels.append(data.labels[rows])
        unit, factor = ("%", 100.0) if fraction else (data.unit, data.factor)
        tested[source.space] = begin + np.arange(test)
        learned.append(begin + np.arange(test, len(rows)))
        told.append(
            {"space": source.space, "metric": source.metric, "learned": len(rows) - test, "source": data.source, "licence": data.licence}
        )
        begin += len(rows)
    return Gathered(Corpus.joined(corpora), np.concatenate(labels), np.concatenate(learned), tested, unit, factor, told)


def from_zoo() -> Gathered:
    """timm's networks; an architecture is learned from at all image sizes or at none."""
    zoo = load_zoo()
    rows = np.flatnonzero(np.isfinite(zoo.top1))
    names = np.array(zoo.names)[rows]
    different = np.random.default_rng(SEED).permutation(np.unique(names))
    aside = np.isin(names, different[: len(different) // 10])
    told = [
        {"zoo": "timm", "learned": int((~aside).sum()), "source": "huggingface/pytorch-image-models, results/", "licence": "Apache-2.0"}
    ]
    return Gathered(
        zoo.corpus.take(rows), zoo.top1[rows] / 100, np.flatnonzero(~aside), {"timm": np.flatnonzero(aside)}, "%", 100.0, told,
        np.unique(names[~aside], return_inverse=True)[1],
    )  # fmt: skip


def make(name: str, state: Path) -> None:
    """Trains, tests and writes one task's predictor."""
    task = TASKS[name]
    state.mkdir(parents=True, exist_ok=True)
    data = from_tables(name, task, state) if task.sources else from_zoo()
    corpus, learned = data.corpus, data.learned
    members = train_members(
        task.how, corpus, data.labels, learned, state / name, lambda *told: say(name, *told), together=data.together
    )  # fmt: skip
    described = descriptions(corpus.graphs, corpus.gflops, corpus.params)
    card = {
        "task": name, "about": task.about, "unit": data.unit, "factor": data.factor, "labels": len(learned),
        "method": "AIO-P's graph network (Mills et al., AAAI 2023) whose head reads a description of the network as well; an ensemble",
        "data": {"text": ", ".join(str(one.get("space", one.get("zoo"))) for one in data.sources), "sources": data.sources},
        "split": f"seed {SEED}; one in {DEV} of the learned architectures is a member's dev part; the test rows were in no training",
        "training": asdict(task.how), "made_by": f"python -m training.checkpoints --task {name}",
    }  # fmt: skip
    checkpoint = Checkpoint(
        tuple(member.weights for member in members), tuple(member.scale for member in members), likeness_of(task.how, corpus, learned), card
    )
    card["test"] = judged(checkpoint, data, described)
    checkpoint.save(FOLDER / name)
    say(name, card["test"])


def judged(checkpoint: Checkpoint, data: Gathered, described: Floats) -> dict[str, Any]:
    """Agreement on what was set aside, all together and by source."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    test = np.concatenate(list(data.tested.values()))
    rest = data.corpus.take(test)
    said = checkpoint.predict(rest.graphs, rest.gflops, rest.params)
    other = checkpoint.predict([folded(graph) for graph in rest.graphs], rest.gflops, rest.params).mean(axis=0)
    trees = HistGradientBoostingRegressor(random_state=SEED, min_samples_leaf=5).fit(described[data.learned], data.labels[data.learned])
    truth = data.labels[test] * data.factor
    found = {
        "ensemble": said.mean(axis=0), "norms_folded": other, "one_member": said[0], "flops": rest.gflops, "params": rest.params,
        "trees_on_description": trees.predict(described[test]) * data.factor,
        "constant": np.full(len(test), np.median(data.labels[data.learned]) * data.factor),
    }  # fmt: skip
    where = {name: np.isin(test, rows) for name, rows in data.tested.items()}
    told = {name: asdict(agreement(values, truth, same_unit=name not in ("flops", "params"))) for name, values in found.items()}
    by_source = {
        name: {
            each: asdict(agreement(values[rows], truth[rows], same_unit=each not in ("flops", "params"))) for each, values in found.items()
        }
        for name, rows in where.items()
    }
    return {
        "rows": len(test), "agreement": told.pop("ensemble"), "baselines": told,
        "spread": float(said.std(axis=0, ddof=1).mean()) if len(said) > 1 else None, **({"by_source": by_source} if len(where) > 1 else {}),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The predictors that ship with nasopt.")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--task", choices=TASKS, action="append")
    a = parser.parse_args(arguments)
    for name in a.task or TASKS:
        make(name, a.state)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
