"""Training AIO-P's networks: seeded, stopped early by a dev part, taken up where it was interrupted (extra ``torch``).

An epoch's order depends on seed and epoch alone, and the state holds everything else, so that a run that was killed ends with the same
weights, bit for bit, as one that was not. What happens is logged in SQLite.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nasopt.errors import UsageError
from nasopt.predictors.aiop.block import Block
from nasopt.predictors.aiop.network import Adapter, Network, tensors

if TYPE_CHECKING:
    from nasopt.graphs.computational_graph import CGFeatures

__all__ = ["Data", "Recipe", "fit", "lost", "outputs"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Forward = Callable[[dict[str, Tensor]], Tensor]

CLIP = 5.0
"""Norm at which gradients are clipped (AIO-P's code)."""
LARGE = 256
"""Graphs in a block when nothing is learned."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: at most.
        batch: graphs a step.
        rate: of Adam, at the start.
        cosine: whether the rate falls to 0 over the epochs; AIO-P's code keeps it.
        patience: epochs without a better dev part after which training ends.
        delta: error, in units of the targets, beyond which it counts linearly (Huber); None: squared throughout, as in the paper. Labels
            of NAS benchmarks have a long tail of networks that failed, which squares let rule the rest.
        seed: of weights and order.
    """

    epochs: int = 40
    batch: int = 32
    rate: float = 1e-3
    cosine: bool = True
    patience: int = 40
    delta: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Data:
    """Graphs and what is to be learned of them, scaled.

    Attributes:
        graphs: features.
        targets: (n,).
        described: descriptions of the networks, (n, 31), where heads read them.
    """

    graphs: Sequence[CGFeatures]
    targets: Floats
    described: Floats | None = None

    def block(self, rows: Sequence[int] | np.ndarray[Any, Any]) -> dict[str, Tensor]:
        """These rows, as modules take them."""
        return tensors(Block.of([self.graphs[row] for row in rows]), None if self.described is None else self.described[rows])

    def blocks(self, size: int) -> Iterator[dict[str, Tensor]]:
        """All of them in order, so many at a time."""
        places = np.arange(len(self.graphs))
        return (self.block(places[first : first + size]) for first in range(0, len(places), size))


def fit(
    network: Network | tuple[Network, Adapter],
    train: Data,
    dev: Data,
    recipe: Recipe,
    *,
    folder: str | Path | None = None,
    progress: Callable[[int, float], None] = lambda _epoch, _error: None,
) -> float:
    """Trains in place, and leaves the weights of the best epoch.

    Args:
        network: all of it is trained; of a backbone with an adapter only the adapter is (Eq. 1: the backbone is frozen).
        train: what is learned from.
        dev: what says which epoch was best, by mean absolute error; the training part where it is empty.
        recipe: how.
        folder: for log (``log.sqlite``) and state (``state.safetensors``); a run that was interrupted there is taken up.
        progress: is told each epoch and its dev error.

    Returns:
        The best dev error, in units of the targets.

    Raises:
        UsageError: the folder is another run's.
    """
    module, forward = _parts(network)
    judged = dev if len(dev.graphs) else train
    run = _Run(module, recipe, _marks(train, dev, recipe))
    if folder is not None:
        run.take_up(Path(folder))
    steps = -(-len(train.graphs) // recipe.batch)
    while run.epoch < recipe.epochs and run.epoch - run.best_epoch < recipe.patience:
        order = np.random.default_rng((recipe.seed, run.epoch)).permutation(len(train.graphs))
        total = 0.0
        module.train()
        for step in range(steps):
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            if recipe.cosine:
                done = (run.epoch * steps + step) / (recipe.epochs * steps)
                run.optimizer.param_groups[0]["lr"] = recipe.rate * 0.5 * (1 + float(np.cos(np.pi * done)))
            total += len(rows) * _step(run, forward, train.block(rows), train.targets[rows], recipe.delta)
        error = float(np.abs(outputs(network, judged.graphs, judged.described) - judged.targets).mean())
        run.finish_epoch(total / len(train.graphs), error)
        progress(run.epoch, error)
    module.load_state_dict(run.best)
    return run.best_error


def outputs(network: Network | tuple[Network, Adapter], graphs: Sequence[CGFeatures], described: Floats | None = None) -> Floats:
    """What a network says of graphs, (n,); `described` as in `Data`."""
    module, forward = _parts(network)
    module.eval()
    with torch.no_grad():
        found = [forward(block).numpy() for block in Data(graphs, np.empty(0), described).blocks(LARGE)]
    return np.concatenate(found).astype(np.float64)


def _parts(network: Network | tuple[Network, Adapter]) -> tuple[nn.Module, Forward]:
    """What is trained, and what its outputs are."""
    if isinstance(network, Network):
        return network, network
    backbone, adapter = network

    def forward(block: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            states = backbone.states(block)
        result: Tensor = adapter(block, states)
        return result

    return adapter, forward


def _step(run: _Run, forward: Forward, block: dict[str, Tensor], targets: Floats, delta: float | None) -> float:
    loss = lost(forward(block), torch.from_numpy(targets.astype(np.float32)), delta)
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch
    nn.utils.clip_grad_norm_(run.module.parameters(), CLIP)
    run.optimizer.step()
    return float(loss.detach())


def lost(found: Tensor, wanted: Tensor, delta: float | None) -> Tensor:
    """Squared errors, or Huber's loss of this delta."""
    return nn.functional.mse_loss(found, wanted) if delta is None else nn.functional.huber_loss(found, wanted, delta=delta)


def _marks(train: Data, dev: Data, recipe: Recipe) -> str:
    """What tells runs apart."""
    sums = [[len(part.graphs), float(np.sum(part.targets)), sum(len(graph.resolutions) for graph in part.graphs)] for part in (train, dev)]
    return json.dumps({"recipe": asdict(recipe), "data": sums})


class _Run:
    """What changes while training, and its copy on disk."""

    def __init__(self, module: nn.Module, recipe: Recipe, marks: str) -> None:
        self.module, self.marks = module, marks
        self.optimizer = torch.optim.Adam(module.parameters(), lr=recipe.rate)
        self.epoch = self.best_epoch = 0
        self.best_error = float("inf")
        self.best = self._weights()
        self._state: Path | None = None
        self._log: Path | None = None

    def take_up(self, folder: Path) -> None:
        """Goes on where the run of this folder stopped, if there is one."""
        from safetensors import SafetensorError, safe_open

        folder.mkdir(parents=True, exist_ok=True)
        self._state, self._log = folder / "state.safetensors", folder / "log.sqlite"
        if self._state.exists():
            try:
                with safe_open(self._state, "pt") as file:
                    told = file.metadata() or {}
                    arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            except (OSError, SafetensorError) as error:
                raise UsageError(f"{self._state}: not a training run's state ({error}): give another folder, or delete this one") from None
            if told.get("marks") != self.marks:
                raise UsageError(f"{folder}: holds a run of other data or settings: give another folder, or delete this one")
            self._restore(told, arrays)
        with self._logged() as log:
            log.execute("CREATE TABLE IF NOT EXISTS run (marks TEXT)")
            log.execute("CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY, train_loss REAL, dev_error REAL, best INTEGER)")
            log.execute("INSERT INTO run SELECT ? WHERE NOT EXISTS (SELECT 1 FROM run)", (self.marks,))
            log.execute("DELETE FROM epochs WHERE epoch > ?", (self.epoch,))

    def finish_epoch(self, loss: float, error: float) -> None:
        """Remembers the weights if they are the best, and writes all down."""
        self.epoch += 1
        if error < self.best_error:
            self.best_error, self.best_epoch, self.best = error, self.epoch, self._weights()
        if self._state is None:
            return
        from safetensors.torch import save_file

        # Before the state: an epoch too many is deleted when the run is taken up, one too few would stay lost.
        with self._logged() as log:
            log.execute("INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?)", (self.epoch, loss, error, int(self.best_epoch == self.epoch)))
        arrays = {f"now.{name}": value for name, value in self._weights().items()}
        arrays |= {f"best.{name}": value for name, value in self.best.items()}
        for place, values in self.optimizer.state_dict()["state"].items():
            arrays |= {f"adam.{place}.{name}": value.clone() for name, value in values.items()}
        told = {"marks": self.marks, "epoch": self.epoch, "best_epoch": self.best_epoch, "best_error": self.best_error}
        part = self._state.with_suffix(".part")
        save_file(arrays, part, {name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()})
        part.replace(self._state)

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.module.state_dict().items()}

    def _restore(self, told: dict[str, str], arrays: dict[str, Tensor]) -> None:
        self.epoch, self.best_epoch, self.best_error = (json.loads(told[name]) for name in ("epoch", "best_epoch", "best_error"))
        self.module.load_state_dict({name[4:]: value for name, value in arrays.items() if name.startswith("now.")})
        self.best = {name[5:]: value for name, value in arrays.items() if name.startswith("best.")}
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in arrays.items():
            if name.startswith("adam."):
                _, place, part = name.split(".")
                states.setdefault(int(place), {})[part] = value
        self.optimizer.load_state_dict({"state": states, "param_groups": self.optimizer.state_dict()["param_groups"]})

    @contextlib.contextmanager
    def _logged(self) -> Iterator[sqlite3.Connection]:
        assert self._log is not None
        with contextlib.closing(sqlite3.connect(self._log)) as log, log:
            log.execute("PRAGMA journal_mode=WAL")
            yield log
