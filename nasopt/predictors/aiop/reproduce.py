"""AIO-P's Tables 3, 4, 21 and 22 from its authors' caches: three families, six tasks, zero-shot and with 20 labels (extra ``torch``).

A backbone learns NAS-Bench-101's accuracies, on raw labels and on those of Eqs. 5 and 4; adapters learn a family's pseudo-labels of human
pose (LSP) and object detection (OD). Targets are individually trained networks. Twenty of each give mean and deviation, and are what
fine-tuning learns from; the others are judged, so no row that is judged was learned from. One thing differs from the published code: labels
of the dev part are scaled like those of the training part, since they say which epoch was best.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nasopt.errors import UsageError
from nasopt.predictor_results import Reproduced
from nasopt.predictors.agreement import agreement
from nasopt.predictors.aiop.caches import CachedNetwork, read_cache
from nasopt.predictors.aiop.finetune import Few, Transfer, fine_tuned
from nasopt.predictors.aiop.labels import Mode, Scale
from nasopt.predictors.aiop.network import Adapter, Network
from nasopt.predictors.aiop.training import Data, Recipe, fit

__all__ = ["ADAPTERS", "BACKBONE", "FAMILIES", "SEEDS", "TASKS", "Recipes", "cache_file", "missing", "reproduced"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Progress = Callable[[str, float | None, str], None]

BACKBONE = "nb101"
FAMILIES = {"ofa_pn": "ProxylessNAS", "ofa_mbv3": "MobileNetV3", "ofa_resnet": "ResNet-50"}
TASKS = {
    "LSP": "val_PCK_lsp", "MPII": "val_PCK_mpii", "OD": "obj_det_coco", "IS": "inst_seg_coco", "SS": "sem_seg_coco", "PS": "pan_seg_coco",
}  # fmt: skip
ADAPTERS = ("LSP", "OD")
SEEDS = (12345, 1, 2, 3, 4, 5, 6, 7, 8, 9)
"""Those of the published code; the tables have the first five."""
FEW = 20
DEV, TEST = 10, 10
"""One in as many of a training family, from the front of its cache, is the dev part, and as many after them are not looked at."""
METHODS: dict[str, tuple[Mode, bool]] = {"GNN": ("none", False), "GNN, Eqs. 4 & 5": ("stand_flops", False), "AIO-P": ("stand_flops", True)}


@dataclass(frozen=True)
class Recipes:
    """How to train; the defaults are the paper's and its code's."""

    backbone: Recipe = field(default_factory=lambda: Recipe(epochs=40, rate=1e-4, cosine=False, patience=40))
    adapter: Recipe = field(default_factory=lambda: Recipe(epochs=100, rate=1e-4, cosine=False, patience=100))
    few: Few = field(default_factory=lambda: Few(epochs=100, batch=1, rate=1e-4))


def cache_file(name: str) -> str:
    """A cache's file, as the authors' scripts name it."""
    return f"gpi_{name}_comp_graph_cache.pkl"


def missing(folder: Path) -> list[str]:
    """Files that should be in the folder and are not."""
    names = [BACKBONE]
    for family in FAMILIES:
        names += [f"{family}_{TASKS[task]}_shared" for task in ADAPTERS] + [f"{family}_{task}_ind" for task in TASKS.values()]
    return [cache_file(name) for name in names if not (folder / cache_file(name)).is_file()]


@dataclass(frozen=True)
class _Cache:
    data: Data
    """Raw labels."""
    gflops: Floats
    names: Sequence[str]

    def part(self, rows: Ints, scale: Scale) -> Data:
        labels = scale.apply(self.data.targets[rows], self.gflops[rows])
        return Data([self.data.graphs[row] for row in rows], labels)

    def scale(self, mode: Mode, rows: Ints) -> Scale:
        return Scale.fit(mode, self.data.targets[rows], self.gflops[rows])


def reproduced(folder: Path, output: Path, seeds: int, report: Progress, recipes: Recipes | None = None) -> list[Reproduced]:
    """All cells of the tables; a run that was interrupted is taken up.

    Args:
        folder: with the caches (`missing`).
        output: for states and logs of training.
        seeds: how many of `SEEDS`.
        report: is told what happens.
        recipes: how to train.

    Raises:
        UsageError: a cache cannot be read, or has too few networks.
    """
    recipes = recipes or Recipes()
    found: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    read = functools.cache(functools.partial(_read, folder))  # of all seeds, each file once

    def trained(network: Any, name: str, mode: Mode, recipe: Recipe, seed: int) -> None:
        _train(network, read(name, 2 * DEV), mode, replace(recipe, seed=seed), output / f"seed-{seed}" / f"{name}-{mode}")
        report(f"seed {seed}", None, name)

    for seed in SEEDS[:seeds]:
        backbones = {}
        for mode in dict.fromkeys(mode for mode, _ in METHODS.values()):
            torch.manual_seed(seed)
            backbones[mode] = Network()
            trained(backbones[mode], BACKBONE, mode, recipes.backbone, seed)
        for family in FAMILIES:
            adapters = []
            for task in ADAPTERS:
                torch.manual_seed(seed)
                adapters.append(Adapter())
                name = f"{family}_{TASKS[task]}_shared"
                trained((backbones["stand_flops"], adapters[-1]), name, "stand_flops", recipes.adapter, seed)
            for task, metric in TASKS.items():
                target = read(f"{family}_{metric}_ind", FEW + 2)
                for method, (mode, adapt) in METHODS.items():
                    transfer = Transfer(backbones[mode], tuple(adapters) if adapt else ())
                    for way, figures in _judged(transfer, target, mode, seed, recipes.few).items():
                        found.setdefault((family, task, method, way), []).append(figures)
    cells = []
    for (family, task, method, way), rows in found.items():
        (mae, srcc), (mae_std, srcc_std) = np.mean(rows, 0).tolist(), np.std(rows, 0).tolist()
        cells.append(Reproduced(family, task, method, way, mae, mae_std, srcc, srcc_std, len(rows)))
    return cells


def _read(folder: Path, name: str, fewest: int) -> _Cache:
    networks: Sequence[CachedNetwork] = read_cache(folder / cache_file(name))
    if len(networks) < fewest:
        raise UsageError(f"{folder / cache_file(name)}: has {len(networks)} networks; {fewest} are needed")
    labels = np.array([one.accuracy for one in networks])
    names = [one.graph.name for one in networks]
    return _Cache(Data([one.graph.features() for one in networks], labels), np.array([one.gflops for one in networks]), names)


def _train(network: Any, cache: _Cache, mode: Mode, recipe: Recipe, folder: Path) -> None:
    count = len(cache.names)
    dev, train = np.arange(count // DEV), np.arange(count // DEV + count // TEST, count)
    scale = cache.scale(mode, train)
    fit(network, cache.part(train, scale), cache.part(dev, scale), recipe, folder=folder)


def _judged(transfer: Transfer, target: _Cache, mode: Mode, seed: int, few: Few) -> dict[str, tuple[float, float]]:
    """Mean absolute error in percent and Spearman's correlation, zero-shot and fine-tuned."""
    rows = np.argsort(np.array(target.names), kind="stable")
    np.random.RandomState(seed).shuffle(rows)  # as the published code draws the 20
    test, held = rows[:-FEW], rows[-FEW:]
    scale = target.scale(mode, held)
    learned, asked = target.part(held, scale), target.part(test, scale)
    told = {}
    for way, one in (("zero-shot", transfer), ("fine-tuned", fine_tuned(transfer, learned, replace(few, seed=seed)))):
        outputs = scale.invert(one.outputs(asked), target.gflops[test])
        errors = agreement(outputs, target.data.targets[test])
        told[way] = (100 * float(np.abs(outputs - target.data.targets[test]).mean()), errors.srcc)
    return told
