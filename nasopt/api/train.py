"""``train``: predictors learn from benchmark tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.api.predicted import read_predictor
from nasopt.errors import MissingExtraError, UsageError
from nasopt.predictor_results import Agreement, ReproduceResult, TrainResult
from nasopt.predictors.agreement import agreement
from nasopt.predictors.aiop.checkpoint import CARD, Checkpoint
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.predictors.aiop.ensemble import DEV, Ensemble, likeness_of, train_members
from nasopt.predictors.aiop.labelled import Labelled, labelled
from nasopt.predictors.aiop.labels import MODES
from nasopt.spaces.registry import get_space
from nasopt.spaces.space import Genes, Space

__all__ = ["AIOPTraining", "reproduce_aiop", "train_aiop"]

Progress = Callable[[str, float | None, str], None]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

FEWEST = 10
"""Labels below which no dev part says anything."""


@dataclass(frozen=True, kw_only=True)
class AIOPTraining(Ensemble):
    """What to train AIO-P's network on, beside how (`Ensemble`).

    Attributes:
        space: whose architectures have labels.
        metric: of the space's tables, as ``nasopt tables query`` takes it.
        settings: of the space, those under which the metric was measured.
        labels: how many architectures to learn from, drawn by seed; None: all but those to test on.
        test: how many others to test on, at most.
        backbone: a folder of a trained predictor, or a task of one that ships: its first network stays as it is, and adapters are trained
            beside it (Eq. 1); without it whole networks are trained.
    """

    space: str
    metric: str
    settings: Mapping[str, Any]
    labels: int | None = None
    test: int = 1000
    backbone: str | Path | None = None


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
    backbone = None if asked.backbone is None else _backbone(asked.backbone)
    space = get_space(asked.space, **asked.settings)
    data = labelled(space, asked.metric)
    learned, test = _split(asked, len(data.keys))
    _prepare(folder, folder / CARD, ("member-*/state.safetensors", "member-*/log.sqlite*", "graphs.safetensors"))
    chosen = np.concatenate([learned, test])
    corpus = _graphs(space, [data.genes[row] for row in chosen], [data.keys[row] for row in chosen], folder, report)
    labels, seen = data.labels[chosen], np.arange(len(learned))
    members = train_members(asked, corpus, labels, seen, folder, report, backbone=backbone)
    checkpoint = Checkpoint(
        tuple(member.weights for member in members), tuple(member.scale for member in members),
        likeness_of(asked, corpus, seen), {"task": asked.metric, "unit": data.unit, "factor": data.factor},
    )  # fmt: skip
    rest = corpus.take(np.arange(len(seen), len(corpus)))
    truth = labels[len(seen) :] * data.factor
    mean = checkpoint.predict(rest.graphs, rest.gflops, rest.params).mean(axis=0)
    constant = np.full(len(truth), np.median(labels[seen]) * data.factor)
    baselines = {
        "flops": agreement(rest.gflops, truth, same_unit=False),
        "params": agreement(rest.params, truth, same_unit=False),
        "constant": Agreement(0.0, 0.0, float(np.abs(constant - truth).mean())),
    }
    result = TrainResult(
        folder, asked.space, asked.metric, data.unit, len(seen), asked.members, tuple(member.epoch for member in members), len(truth),
        agreement(mean, truth), baselines,
    )  # fmt: skip
    card = {**checkpoint.card, **_card(asked, result, data)}
    replace(checkpoint, card=card).save(folder)
    return result


def reproduce_aiop(
    caches: str | Path, output: str | Path, *, seeds: int = 5, force: bool = False, progress: Progress | None = None
) -> ReproduceResult:
    """AIO-P's Tables 3, 4, 21 and 22 from its authors' caches, which are read as data: nothing in them is executed.

    A run that was interrupted is taken up by the same call. Needs the extra ``torch``.

    Args:
        caches: a folder with the authors' ``gpi_*_comp_graph_cache.pkl``.
        output: a folder for states, logs and the cells (``reproduction.json``).
        seeds: of the published ten, how many; the tables have five.
        force: replace what a finished run left there.
        progress: is told what happens.

    Raises:
        UsageError: a cache is missing or is none, or the folder cannot be used.
        MissingExtraError: PyTorch or PyTorch Geometric is not installed.
    """
    import json
    from dataclasses import asdict

    from nasopt.files import write_atomically

    source, folder = Path(caches), Path(output)
    _check_extra()
    from nasopt.predictors.aiop.reproduce import SEEDS, missing, reproduced

    if not 1 <= seeds <= len(SEEDS):
        raise UsageError(f"{seeds} seeds: the published code has {len(SEEDS)}")
    if not source.is_dir():
        raise UsageError(f"{source}: is no folder; name the one that holds the authors' caches")
    if lost := missing(source):
        raise UsageError(f"{source}: {len(lost)} caches are missing: {', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}")
    record = folder / "reproduction.json"
    _check_folder(folder, record, force=force)
    _prepare(folder, record, ("seed-*/*/state.safetensors", "seed-*/*/log.sqlite*"))
    result = ReproduceResult(folder, source, tuple(reproduced(source, folder, seeds, progress or (lambda _stage, _share, _detail: None))))
    write_atomically(record, json.dumps([asdict(cell) for cell in result.cells], indent=1).encode())
    return result


def _backbone(name: str | Path) -> Any:
    """The first network of a predictor."""
    from nasopt.predictors.aiop.network import restored

    return restored(read_predictor(name).members[0])


def _check_extra() -> None:
    try:
        import torch_geometric  # noqa: F401 - a line now is better than one after minutes
    except ImportError:
        raise MissingExtraError("training needs PyTorch and PyTorch Geometric: pip install 'nasopt[torch]'") from None


def _check_folder(folder: Path, finished: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder")
    if finished.exists() and not force:
        raise UsageError(f"{folder}: holds a finished run already; --force trains anew")


def _check(asked: AIOPTraining, folder: Path, *, force: bool) -> None:
    _check_extra()
    if asked.scaling not in MODES:
        raise UsageError(f"'{asked.scaling}' is no scaling of labels; there are {', '.join(MODES)}")
    if (asked.labels is not None and asked.labels < FEWEST) or min(asked.test, asked.members, asked.batch) < 1 or (asked.epochs or 1) < 1:
        raise UsageError(f"at least {FEWEST} labels, and 1 row to test on, member, epoch and graph a step are needed")
    _check_folder(folder, folder / CARD, force=force)


def _prepare(folder: Path, finished: Path, left: Sequence[str]) -> None:
    """Makes the folder, and clears away a finished run and what it left; one that was interrupted stays."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror})") from None
    if finished.exists():
        for file in (*(file for pattern in left for file in folder.glob(pattern)), finished):
            file.unlink(missing_ok=True)


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


def _card(asked: AIOPTraining, result: TrainResult, data: Labelled) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "method": f"AIO-P (Mills et al., AAAI 2023): an ensemble of {'networks' if asked.backbone is None else 'adapters on one backbone'}",
        "training": {
            **asdict(asked),
            "settings": dict(asked.settings),
            "backbone": None if asked.backbone is None else str(asked.backbone),
        },
        "data": {"space": asked.space, "metric": asked.metric, "source": data.source, "licence": data.licence},
        "split": f"{result.labels} labels drawn by the seed, one in {DEV} of them a dev part; tested on {result.test_rows} others",
        "test": {"agreement": asdict(result.agreement), "baselines": {name: asdict(one) for name, one in result.baselines.items()}},
    }
