"""``train``: predictors learn from benchmark tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.errors import MissingExtraError, UsageError
from nasopt.predictor_results import Agreement, TrainResult
from nasopt.predictors.aiop.checkpoint import CARD, Checkpoint
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.predictors.aiop.labels import MODES, Mode, Scale
from nasopt.predictors.aiop.likeness import Likeness, description
from nasopt.spaces.registry import get_space
from nasopt.spaces.space import Genes, Space
from nasopt.spaces.tables.query import join

__all__ = ["AIOPTraining", "train_aiop"]

Progress = Callable[[str, float | None, str], None]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

DEV = 5
"""One label in as many is a member's dev part; members take different ones."""
FEWEST = 10
"""Labels below which no dev part says anything."""
DELTA = 0.05
"""Deviations beyond which errors count linearly. Settled on 156 labels of NAS-Bench-201, CIFAR-10, seeds 1 and 2: Kendall's tau 0.68 on
average, 0.65 with 0.25, 0.50 with squares."""
STEPS = 2000
"""Of each member: on 156 labels of NAS-Bench-201 more change nothing."""


@dataclass(frozen=True)
class AIOPTraining:
    """How to train AIO-P's network.

    Attributes:
        space: whose architectures have labels.
        metric: of the space's tables, as ``nasopt tables query`` takes it.
        settings: of the space, those under which the metric was measured.
        labels: how many architectures to learn from, drawn by seed; None: all but those to test on.
        test: how many others to test on, at most.
        members: of the ensemble.
        scaling: of labels: ``stand`` (Eq. 4), ``stand_flops`` (Eq. 5 and 4), ``none``.
        robust: large errors count linearly (Huber, `DELTA`); else squared, as in the paper.
        epochs: at most; None: 2,000 steps.
        batch: graphs a step.
        rate: of Adam, falling to 0.
        seed: of all randomness.
    """

    space: str
    metric: str
    settings: Mapping[str, Any]
    labels: int | None = None
    test: int = 1000
    members: int = 3
    scaling: Mode = "stand"
    robust: bool = True
    epochs: int | None = None
    batch: int = 32
    rate: float = 2e-3
    seed: int = 0


def train_aiop(asked: AIOPTraining, output: str | Path, *, force: bool = False, progress: Progress | None = None) -> TrainResult:
    """Trains an ensemble, tests it on architectures that it has not seen, and writes a checkpoint.

    A run that was interrupted is taken up by the same call. Needs the extras ``torch`` and ``tables``.

    Args:
        asked: what, on what, and how.
        output: a folder for the checkpoint, logs (SQLite) and states.
        force: replace what a finished run left there.
        progress: is told what happens.

    Raises:
        UsageError: an unknown space, metric or setting, too few labels, or a folder that holds another run.
        MissingExtraError: PyTorch, PyTorch Geometric or pyarrow is not installed.
    """
    report = progress or (lambda _stage, _share, _detail: None)
    folder = Path(output)
    _check(asked, folder, force=force)
    space = get_space(asked.space, **asked.settings)
    genes, keys, values, unit, source = _labelled(space, asked.metric)
    learned, test = _split(asked, len(keys))
    _prepare(folder)
    chosen = np.concatenate([learned, test])
    corpus = _graphs(space, [genes[row] for row in chosen], [keys[row] for row in chosen], folder, report)
    factor = 100.0 if unit == "%" else 1.0
    labels = values[chosen] / factor
    seen = np.arange(len(learned))
    members, scales, epochs = zip(
        *(_member(asked, corpus, labels, seen, member, folder, report) for member in range(asked.members)), strict=True
    )
    described = np.stack([description(*one) for one in zip(corpus.graphs, corpus.gflops, corpus.params, strict=True)])
    checkpoint = Checkpoint(
        members, scales, Likeness.of(described[seen], asked.seed), {"task": asked.metric, "unit": unit, "factor": factor}
    )
    rest = corpus.take(np.arange(len(seen), len(corpus)))
    truth = labels[len(seen) :] * factor
    mean = checkpoint.predict(rest.graphs, rest.gflops).mean(axis=0)
    constant = np.full(len(truth), np.median(labels[seen]) * factor)
    baselines = {
        "flops": _agreement(rest.gflops, truth, same_unit=False),
        "params": _agreement(rest.params, truth, same_unit=False),
        "constant": Agreement(0.0, 0.0, float(np.abs(constant - truth).mean())),
    }
    result = TrainResult(
        folder, asked.space, asked.metric, unit, len(seen), asked.members, epochs, len(truth), _agreement(mean, truth), baselines
    )  # fmt: skip
    card = {**checkpoint.card, **_card(asked, result, source)}
    replace(checkpoint, card=card).save(folder)
    return result


def _check(asked: AIOPTraining, folder: Path, *, force: bool) -> None:
    try:
        import torch_geometric  # noqa: F401 - a line now is better than one after minutes
    except ImportError:
        raise MissingExtraError("training needs PyTorch and PyTorch Geometric: pip install 'nasopt[torch]'") from None
    if asked.scaling not in MODES:
        raise UsageError(f"'{asked.scaling}' is no scaling of labels; there are {', '.join(MODES)}")
    if (asked.labels is not None and asked.labels < FEWEST) or min(asked.test, asked.members, asked.batch) < 1 or (asked.epochs or 1) < 1:
        raise UsageError(f"at least {FEWEST} labels, and 1 row to test on, member, epoch and graph a step are needed")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder")
    if (folder / CARD).exists() and not force:
        raise UsageError(f"{folder}: holds a trained predictor already; --force trains anew")


def _prepare(folder: Path) -> None:
    """Makes the folder, and clears away a finished run; one that was interrupted stays."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror})") from None
    if (folder / CARD).exists():
        for left in (
            *folder.glob("member-*/state.safetensors"),
            *folder.glob("member-*/log.sqlite*"),
            folder / "graphs.safetensors",
            folder / CARD,
        ):
            left.unlink(missing_ok=True)


def _labelled(space: Space, metric: str) -> tuple[list[Genes], tuple[str, ...], Floats, str, str]:
    """Architectures that have a value, their keys, the values, their unit and source."""
    spec = ("accuracy_30001/adjacency", "accuracy_30001/ops") if space.name == "nasbench101" else ()  # its keys are hashes
    found = join(space.name, [metric, *spec])
    values = found.values[metric]
    if not np.issubdtype(values.dtype, np.number) or np.issubdtype(values.dtype, np.bool_):
        raise UsageError(f"{space.name}: '{metric}' is not a number that could be learned")
    texts = map("|".join, zip(*(found.values[one] for one in spec), strict=True)) if spec else found.keys
    return [space.parse(text) for text in texts], found.keys, np.asarray(values, np.float64), found.units[metric], found.sources[metric]


def _split(asked: AIOPTraining, count: int) -> tuple[Ints, Ints]:
    """Rows to learn from, and others to test on."""
    order = np.random.default_rng(asked.seed).permutation(count)
    labels = asked.labels if asked.labels is not None else count - min(asked.test, count // DEV)
    if labels >= count or labels < FEWEST:
        raise UsageError(
            f"{asked.space}: {asked.metric} has {count} labels; {labels} to learn from leave too few, ask for {FEWEST} to {count - 1}"
        )
    return order[:labels], order[labels : labels + asked.test]


def _graphs(space: Space, genes: list[Genes], keys: list[str], folder: Path, report: Progress) -> Corpus:
    """Computational graphs, made once a folder."""
    file, about = folder / "graphs.safetensors", f"{space.name} {space.settings} {len(keys)} {_hash(keys)}"
    if not file.exists():
        made = from_space(space, genes, keys, progress=lambda share: report("graphs", share, f"{len(keys):,} networks"))
        made.save(file, about)
    return Corpus.load(file, about)


def _hash(keys: list[str]) -> str:
    """Tells selections of architectures apart."""
    import hashlib

    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


def _member(
    asked: AIOPTraining, corpus: Corpus, labels: Floats, seen: Ints, member: int, folder: Path, report: Progress
) -> tuple[dict[str, Any], Scale, int]:
    """One network: its weights, its scale, and the epoch that was kept."""
    import torch

    from nasopt.predictors.aiop.network import Network, parameters
    from nasopt.predictors.aiop.training import Data, Recipe, fit

    aside = seen % DEV == member % DEV
    train, dev = seen[~aside], seen[aside]
    scale = Scale.fit(asked.scaling, labels[train], corpus.gflops[train])
    scaled = scale.apply(labels, corpus.gflops)
    epochs = asked.epochs or max(1, round(STEPS * asked.batch / len(train)))
    delta = DELTA if asked.robust and asked.scaling != "none" else None  # in deviations, which raw labels are not counted in
    recipe = Recipe(epochs, asked.batch, asked.rate, patience=max(20, epochs // 3), seed=asked.seed + member, delta=delta)
    torch.manual_seed(recipe.seed)
    network = Network()
    learn, judge = (Data([corpus.graphs[row] for row in rows], scaled[rows]) for rows in (train, dev))
    stage = f"member {member + 1}/{asked.members}"
    place = folder / f"member-{member}"
    fit(
        network,
        learn,
        judge,
        recipe,
        folder=place,
        progress=lambda epoch, error: report(stage, epoch / epochs, f"error on the dev part {error:.3f} deviations"),
    )
    return parameters(network), scale, _best_epoch(place)


def _best_epoch(place: Path) -> int:
    """The epoch whose weights a finished run kept, by its log."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(place / "log.sqlite")) as log:
        return int(log.execute("SELECT MAX(epoch) FROM epochs WHERE best").fetchone()[0])


def _agreement(found: Floats, truth: Floats, *, same_unit: bool = True) -> Agreement:
    from scipy.stats import kendalltau, spearmanr

    tau, srcc = (float(np.nan_to_num(statistic(found, truth)[0])) for statistic in (kendalltau, spearmanr))
    return Agreement(tau, srcc, float(np.abs(found - truth).mean()) if same_unit else None)


def _card(asked: AIOPTraining, result: TrainResult, source: str) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "method": "AIO-P (Mills et al., AAAI 2023): GNN without adapters, an ensemble",
        "training": {**asdict(asked), "settings": dict(asked.settings)},
        "data": {"space": asked.space, "metric": asked.metric, "source": source},
        "split": f"{result.labels} labels drawn by the seed, one in {DEV} of them a dev part; tested on {result.test_rows} others",
        "test": {"agreement": asdict(result.agreement), "baselines": {name: asdict(one) for name, one in result.baselines.items()}},
    }
