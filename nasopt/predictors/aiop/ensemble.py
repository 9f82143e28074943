"""Several networks trained on the same labels, each with a dev part of its own (extra ``torch``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.predictors.aiop.corpus import Corpus
from nasopt.predictors.aiop.inference import ADAPTER
from nasopt.predictors.aiop.labels import Mode, Scale
from nasopt.predictors.aiop.likeness import descriptions, usual

if TYPE_CHECKING:
    from nasopt.predictors.aiop.network import Network

__all__ = ["DELTA", "DEV", "Ensemble", "Member", "train_members"]

Progress = Callable[[str, float | None, str], None]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

DEV = 5
"""One label in as many is a member's dev part; members take different ones."""
DELTA = 0.05
"""Deviations beyond which errors count linearly. Settled on 156 labels of NAS-Bench-201, CIFAR-10, seeds 1 and 2: Kendall's tau 0.68 on
average, 0.65 with 0.25, 0.50 with squares."""
STEPS = 2000
"""Of each member: on 156 labels of NAS-Bench-201 more change nothing."""


@dataclass(frozen=True)
class Ensemble:
    """How to train one.

    Attributes:
        members: how many networks.
        scaling: of labels.
        robust: large errors count linearly (Huber, `DELTA`); else squared, as in the paper.
        epochs: at most; None: `steps`.
        batch: graphs a step.
        rate: of Adam, falling to 0.
        seed: of all randomness.
        steps: where epochs are not given.
        describe: heads read descriptions of whole networks (shares of operations, size, cost) beside the mean over nodes; not in the paper.
    """

    members: int = 3
    scaling: Mode = "stand"
    robust: bool = True
    epochs: int | None = None
    batch: int = 32
    rate: float = 2e-3
    seed: int = 0
    steps: int = STEPS
    describe: bool = True


@dataclass(frozen=True)
class Member:
    """A trained network.

    Attributes:
        weights: by the names of `nasopt.predictors.aiop.network`; those of an adapter begin with ``adapter.``.
        scale: of its labels.
        epoch: whose weights were kept.
    """

    weights: dict[str, Any]
    scale: Scale
    epoch: int


def train_members(
    how: Ensemble,
    corpus: Corpus,
    labels: Floats,
    learned: Ints,
    folder: Path,
    report: Progress = lambda _stage, _share, _detail: None,
    *,
    backbone: Network | None = None,
) -> list[Member]:
    """Trains all members; a run that was interrupted is taken up.

    Args:
        how: to train.
        corpus: graphs.
        labels: fractions, of all of the corpus; only those of `learned` are read.
        learned: places in it.
        folder: for logs and states.
        report: is told what happens.
        backbone: a trained network that stays as it is, beside which adapters are trained (Eq. 1); without it whole networks are.
    """
    return [_member(how, corpus, labels, learned, member, folder, report, backbone) for member in range(how.members)]


def _member(
    how: Ensemble, corpus: Corpus, labels: Floats, learned: Ints, member: int, folder: Path, report: Progress, backbone: Network | None
) -> Member:
    import torch

    from nasopt.predictors.aiop.network import About, Adapter, Network, parameters
    from nasopt.predictors.aiop.training import Data, Recipe, fit

    aside = np.arange(len(learned)) % DEV == member % DEV
    train = learned[~aside]
    scale = Scale.fit(how.scaling, labels[train], corpus.gflops[train])
    epochs = how.epochs or max(1, round(how.steps * how.batch / len(train)))
    delta = DELTA if how.robust and how.scaling != "none" else None  # in deviations, which raw labels are not counted in
    recipe = Recipe(epochs, how.batch, how.rate, patience=max(20, epochs // 3), seed=how.seed + member, delta=delta)
    described = descriptions([corpus.graphs[row] for row in learned], corpus.gflops[learned], corpus.params[learned])
    learn, judge = (
        Data(
            [corpus.graphs[row] for row in learned[part]], scale.apply(labels[learned[part]], corpus.gflops[learned[part]]), described[part]
        )
        for part in (~aside, aside)
    )
    stage, place = f"member {member + 1}/{how.members}", folder / f"member-{member}"
    torch.manual_seed(recipe.seed)
    about = About(*usual(described[~aside])) if how.describe else None
    adapter = None if backbone is None else Adapter(about)
    network = Network(about) if backbone is None else backbone
    fit(
        network if adapter is None else (network, adapter),
        learn,
        judge,
        recipe,
        folder=place,
        progress=lambda epoch, error: report(stage, epoch / epochs, f"error on the dev part {error:.3f} deviations"),
    )
    weights = parameters(network, None if adapter is None else {ADAPTER: adapter})
    return Member(weights, scale, _best_epoch(place))


def _best_epoch(place: Path) -> int:
    """The epoch whose weights a finished run kept, by its log."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(place / "log.sqlite")) as log:
        return int(log.execute("SELECT MAX(epoch) FROM epochs WHERE best").fetchone()[0])
