"""Several networks trained on the same labels, each with a dev part of its own (extra ``torch``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.predictors.aiop.corpus import Corpus
from nasopt.predictors.aiop.folding import folded
from nasopt.predictors.aiop.inference import ADAPTER
from nasopt.predictors.aiop.labels import Mode, Scale
from nasopt.predictors.aiop.likeness import Likeness, descriptions, usual

if TYPE_CHECKING:
    from nasopt.predictors.aiop.network import Network
    from nasopt.predictors.aiop.training import Data

__all__ = ["DELTA", "DEV", "Ensemble", "Member", "likeness_of", "train_members"]

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
        fold: every network is learned in two forms, as it was trained and with its norms folded, as most files have it
            (`nasopt.predictors.aiop.folding`).
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
    fold: bool = True


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
    together: Ints | None = None,
) -> list[Member]:
    """Trains all members; a run that was interrupted is taken up.

    Args:
        how: to train.
        corpus: graphs.
        labels: fractions, of all of the corpus; only those of `learned` are read.
        learned: places in it.
        folder: for logs and states.
        report: is told what happens.
        together: for each of `learned` a number; those of one number are all in the dev part or all not. Without it each is its own.
        backbone: a trained network that stays as it is, beside which adapters are trained (Eq. 1); without it whole networks are.
    """
    parts = np.arange(len(learned)) if together is None else np.unique(together, return_inverse=True)[1]
    sides = [(learned[parts % DEV != member % DEV], learned[parts % DEV == member % DEV]) for member in range(how.members)]
    return [_member(how, corpus, labels, side, member, folder, report, backbone) for member, side in enumerate(sides)]


def _member(
    how: Ensemble,
    corpus: Corpus,
    labels: Floats,
    sides: tuple[Ints, Ints],
    member: int,
    folder: Path,
    report: Progress,
    backbone: Network | None,
) -> Member:
    import torch

    from nasopt.predictors.aiop.network import About, Adapter, Network, parameters
    from nasopt.predictors.aiop.training import Recipe, fit

    train, _ = sides
    scale = Scale.fit(how.scaling, labels[train], corpus.gflops[train])
    epochs = how.epochs or max(1, round(how.steps * how.batch / (len(train) * (2 if how.fold else 1))))
    delta = DELTA if how.robust and how.scaling != "none" else None  # in deviations, which raw labels are not counted in
    recipe = Recipe(epochs, how.batch, how.rate, patience=max(20, epochs // 3), seed=how.seed + member, delta=delta)
    learn, judge = (_data(how, corpus, scale.apply(labels[rows], corpus.gflops[rows]), rows) for rows in sides)
    stage, place = f"member {member + 1}/{how.members}", folder / f"member-{member}"
    torch.manual_seed(recipe.seed)
    about = About(*usual(learn.described)) if how.describe and learn.described is not None else None
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


def likeness_of(how: Ensemble, corpus: Corpus, learned: Ints) -> Likeness:
    """Of networks to those that were learned from, in the forms in which they were."""
    graphs, costs = [corpus.graphs[row] for row in learned], (corpus.gflops[learned], corpus.params[learned])
    also = descriptions([folded(graph) for graph in graphs], *costs) if how.fold else None
    return Likeness.of(descriptions(graphs, *costs), how.seed, also=also)


def _data(how: Ensemble, corpus: Corpus, targets: Floats, rows: Ints) -> Data:
    """These networks, in one form or both."""
    from nasopt.predictors.aiop.training import Data

    graphs = [corpus.graphs[row] for row in rows]
    described = descriptions(graphs, corpus.gflops[rows], corpus.params[rows])
    if how.fold:
        other = [folded(graph) for graph in graphs]
        described = np.concatenate([described, descriptions(other, corpus.gflops[rows], corpus.params[rows])])
        graphs, targets = graphs + other, np.concatenate([targets, targets])
    return Data(graphs, targets, described)


def _best_epoch(place: Path) -> int:
    """The epoch whose weights a finished run kept, by its log."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(place / "log.sqlite")) as log:
        return int(log.execute("SELECT MAX(epoch) FROM epochs WHERE best").fetchone()[0])
