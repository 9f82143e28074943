"""Short distillation: a smaller network is trained to answer as its original does. Inputs are all it takes; labels are not needed.

The run is a function of its arguments: batches and augmentation are drawn from the seed and the number of the step, so that nothing random
has to be remembered between steps. With the same number of threads, equal calls give equal bits, interrupted or not; only a limit in
minutes depends on the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.errors import MissingExtraError, UsageError
from nasopt.graphs.graph import Graph
from nasopt.runtime.augment import Augment
from nasopt.runtime.samples import Feeds, Samples, Teacher
from nasopt.runtime.trainable import running_statistics

try:
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file
    from torch import Tensor
except ModuleNotFoundError:
    raise MissingExtraError("this needs PyTorch and safetensors: pip install 'nasopt[torch]'") from None

from nasopt.runtime.bridge import TorchNetwork, to_torch
from nasopt.runtime.hints import hints, in_rows
from nasopt.runtime.losses import LEAST, OutputLoss, output_losses, total_loss, value_losses
from nasopt.runtime.norms import settle, steady

__all__ = ["Distilled", "distil"]

Array = np.ndarray[Any, Any]
Progress = Callable[[float, str], None]

RATE, GUIDED_RATE, WEIGHT_DECAY, CLIP = 1e-3, 2e-3, 1e-2, 5.0
"""Of AdamW, whose steps have the same size whatever the scale of a loss: one setting for logits, boxes and heatmaps. With values
between to hold on to, the steps may be twice as large."""

WARM_UP = 10
"""Steps until the rate is reached; from there it falls along a cosine."""

GUIDANCE = 5.0
"""Weight of the values between, the outputs having 1. On a ResNet-56 with half its MACs 1 brought less, 20 as much."""

SETTLING = 4
"""Batches whose statistics the normalisations begin with."""

EVALUATIONS = 5
"""Looks at the held-out inputs, evenly spaced."""

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Distilled:
    """What a distillation brought.

    Attributes:
        tensors: weights and running statistics of the best network that was seen, by ONNX name: `write_weights` puts them into the file.
            Where nothing was better than the start, those of the start.
        steps: optimiser steps done.
        before: loss on the held-out inputs at the start.
        after: the least loss on the held-out inputs at any later evaluation.
        kept: whether that is better than the start.
        curve: at each evaluation the step, the mean training loss since the one before, and the loss on the held-out inputs.
    """

    tensors: dict[str, Array]
    steps: int
    before: float
    after: float
    kept: bool
    curve: tuple[tuple[int, float, float], ...]


def distil(
    original: Graph,
    smaller: Graph,
    fit: Feeds,
    held_out: Feeds,
    *,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    batch: int = 128,
    seed: int = 0,
    threads: int = 1,
    checkpoint: Path | None = None,
    augment: Augment | None = None,
    labels: Sequence[Array] | None = None,
    progress: Progress | None = None,
) -> Distilled:
    """Trains a smaller network to give its original's outputs.

    Args:
        original: the teacher.
        smaller: what was made of it: same inputs, same outputs.
        fit: inputs to train on: arrays by name, of the bound shapes or of several such one after the other.
        held_out: inputs that decide which network is kept; not among those of `fit`.
        steps: of the optimiser.
        epochs: rounds through `fit`.
        minutes: of time. Of several limits the first that is reached ends the run; there must be one.
        batch: rows of the inputs in a step.
        seed: of batches and augmentation.
        threads: of PyTorch and ONNX Runtime.
        checkpoint: a safetensors file that is written every minute. If it is there, the run goes on from it.
        augment: how images are changed; the original then answers to the changed ones.
        labels: classes as integers, an array for each of `fit`: the cross-entropy is added to the training loss. What is kept is
            still decided by the original's answers.
        progress: is told the share that is done, and how it stands.

    Raises:
        UsageError: no limit, no inputs, no weights, no output to learn from; or the checkpoint is of another run.
        ModelNotSupportedError: a network cannot run in PyTorch.
    """
    if steps is None and epochs is None and minutes is None:
        raise UsageError("distillation needs a limit: steps, epochs or minutes")
    started = time.monotonic()
    with _torch_settings(threads):
        # Channels last in memory, if not in the graph: a step of a ResNet then takes two thirds of the time.
        network = to_torch(steady(smaller))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        rows = network.batchable and all(smaller.bound.values())
        between = hints(original, smaller)
        if rows:
            between = in_rows(network, smaller, between)
        teachers = Teacher(original, threads, between), Teacher(original, threads)
        parts = [Samples(feeds, smaller, teacher, rows=rows, size=batch) for feeds, teacher in zip((fit, held_out), teachers, strict=True)]
        parts[0].label(labels)
        examples = parts[0].examples()
        losses = output_losses({name: examples[name] for name in original.outputs}, original.origin)
        guides = value_losses({name: examples[name] for name in between})
        per_epoch = max(len(parts[0]) // parts[0].size, 1)
        limits = [limit for limit in (steps, None if epochs is None else max(round(epochs * per_epoch), 1)) if limit is not None]
        budget = _Budget(min(limits, default=None), None if minutes is None else 60 * minutes)
        training = _Training(smaller, network, losses, guides, *parts, budget=budget, seed=seed, augment=augment, started=started)
        training.run(checkpoint, progress)
        names = {name for name, _ in network.named_parameters()} | running_statistics(smaller)
        tensors = {name: tensor.numpy() for name, tensor in training.best.items() if name in names}
        state = training.state
        return Distilled(tensors, state.step, state.before, state.after, state.after < state.before, tuple(state.curve))


@contextlib.contextmanager
def _torch_settings(threads: int) -> Iterator[None]:
    """Threads and random numbers of PyTorch belong to the process: they are put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)


# -- the run


@dataclass(frozen=True, slots=True)
class _Budget:
    steps: int | None
    seconds: float | None

    def share(self, step: int, elapsed: float) -> float:
        """How much of the run is over, 0 to 1."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / self.steps if self.steps else 1.0)
        if self.seconds is not None:
            shares.append(elapsed / self.seconds if self.seconds > 0 else 1.0)
        return min(max(shares), 1.0)


@dataclass
class _State:
    """Where a run stands, besides its tensors."""

    before: float
    step: int = 0
    elapsed: float = 0.0
    after: float = math.inf
    looks: int = 0
    recent: list[float] = field(default_factory=list)
    """Losses of the steps since the last look."""
    curve: list[tuple[int, float, float]] = field(default_factory=list)


class _Training:
    """A network in training, its optimiser, and the best network so far."""

    def __init__(
        self,
        graph: Graph,
        network: TorchNetwork,
        losses: Sequence[OutputLoss],
        guides: Sequence[OutputLoss],
        fit: Samples,
        held_out: Samples,
        *,
        budget: _Budget,
        seed: int,
        augment: Augment | None,
        started: float,
    ) -> None:
        self._graph, self._network, self._losses, self._guides = graph, network, losses, guides
        self._fit, self._held_out = fit, held_out
        self._budget, self._seed, self._augment = budget, seed, augment
        self._parameters = list(network.parameters())
        if not self._parameters:
            raise UsageError(f"{graph.origin}: it has no weights to train")
        groups = [
            {"params": [weight for weight in self._parameters if weight.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [weight for weight in self._parameters if weight.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW([group for group in groups if group["params"]])
        # What a single input says about means and variances is not worth knowing.
        self._in_batches = fit.together and fit.size > 1
        self._settings = self._fingerprint()
        self._started = started
        self.best = self._copy()
        self.state = _State(math.nan)

    def run(self, checkpoint: Path | None, progress: Progress | None) -> None:
        """To the end of the budget, or until the loss is no number any more."""
        if checkpoint is None or not checkpoint.exists():
            self.state = _State(self._judged())
            if self._in_batches:
                settle(self._network, self._graph, (self._fit.inputs(part) for part in islice(self._fit.parts(), SETTLING)))
        else:
            self._load(checkpoint)
        resumed, saved, state = self.state.elapsed, time.monotonic(), self.state
        share = self._budget.share(state.step, state.elapsed)
        while share < 1:
            try:
                state.recent.append(self._step(share))
            except KeyboardInterrupt:
                if checkpoint is not None:
                    self._save(checkpoint)
                raise
            state.step += 1
            state.elapsed = resumed + time.monotonic() - self._started
            share = self._budget.share(state.step, state.elapsed) if math.isfinite(state.recent[-1]) else 1.0
            if int(share * EVALUATIONS) > state.looks:
                state.looks = int(share * EVALUATIONS)
                self._look()
            if checkpoint is not None and (share == 1 or time.monotonic() - saved >= CHECKPOINT_SECONDS):
                self._save(checkpoint)
                saved = time.monotonic()
            if progress:
                best = min([state.before, *(loss for *_, loss in state.curve)])
                progress(share, f"step {state.step}, held-out loss {best:.4f}, {state.before:.4f} at the start")

    def _step(self, share: float) -> float:
        """One step of the optimiser; its loss."""
        state = self.state
        rng = np.random.default_rng([self._seed, state.step])
        torch.manual_seed(int(rng.integers(2**62)))
        chosen = self._chosen(state.step)
        pieces = self._fit.pieces(chosen)
        self._network.train(self._in_batches)
        self._optimiser.zero_grad()
        total = 0.0
        for piece in pieces:
            loss = self._training_loss(piece, rng) / len(pieces)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self._parameters, CLIP)
        for group in self._optimiser.param_groups:
            group["lr"] = (
                (GUIDED_RATE if self._guides else RATE) * min(1.0, (state.step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))
            )
        self._optimiser.step()
        return total

    def _chosen(self, step: int) -> list[int]:
        """The samples of a step: every epoch is a new order of all; what does not fill a batch at its end is left to others."""
        count, size = len(self._fit), self._fit.size
        epoch, place = divmod(step, count // size)
        order = np.random.default_rng([self._seed, epoch, count]).permutation(count)
        return [int(sample) for sample in order[place * size : (place + 1) * size]]

    def _training_loss(self, piece: Sequence[int], rng: np.random.Generator) -> Tensor:
        """Of outputs, of values between, and of labels if there are any."""
        inputs = self._fit.inputs(piece)
        if self._augment:
            inputs = self._augment(inputs, rng)
            answers = self._fit.answer(inputs)
        else:
            answers = self._fit.answers(piece)
        wanted = {loss.output: torch.from_numpy(answers[loss.output]) for loss in (*self._losses, *self._guides)}
        outputs, between = self._network.run(inputs, [guide.output for guide in self._guides])
        given = dict(zip(self._network.outputs, outputs, strict=True))
        loss = total_loss(self._losses, given, wanted)
        if self._guides:
            loss = loss + GUIDANCE * total_loss(self._guides, between, wanted)
        classes = self._fit.labels(piece)
        return loss if classes is None else loss + self._cross_entropy(given, torch.from_numpy(classes))

    def _held_out_loss(self, piece: Sequence[int]) -> Tensor:
        """Of outputs alone: they are what counts."""
        answers = self._held_out.answers(piece)
        given = dict(zip(self._network.outputs, self._network(self._held_out.inputs(piece)), strict=True))
        return total_loss(self._losses, given, {loss.output: torch.from_numpy(answers[loss.output]) for loss in self._losses})

    def _cross_entropy(self, given: Mapping[str, Tensor], classes: Tensor) -> Tensor:
        """Of the first output that may name classes."""
        for loss in self._losses:
            value = given[loss.output]
            if loss.kind == "probabilities" or value.ndim == 2:
                scores = value.clamp_min(LEAST).log() if loss.kind == "probabilities" else value
                return torch.nn.functional.cross_entropy(scores.movedim(loss.axis, 1), classes)
        raise UsageError("labels need an output that names classes; the network has none")

    def _judged(self) -> float:
        """The loss on the held-out inputs."""
        self._network.eval()
        with torch.no_grad():
            parts = [(len(part), self._held_out_loss(part).item()) for part in self._held_out.parts()]
        return sum(count * loss for count, loss in parts) / len(self._held_out)

    def _look(self) -> None:
        state = self.state
        loss = self._judged()
        state.curve.append((state.step, float(np.mean(state.recent)), loss))
        state.recent.clear()
        if loss < min(state.before, state.after):
            self.best = self._copy()
        state.after = min(state.after, loss)  # in this order a loss that is no number changes nothing

    def _copy(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in self._network.state_dict().items()}

    # -- checkpoints: one file, tensors with JSON in its header

    def _fingerprint(self) -> str:
        """What makes a run what it is."""
        digest = hashlib.sha256()
        for name, tensor in self._network.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        for samples in (self._fit, self._held_out):
            for place in (0, len(samples) - 1):
                for array in (*samples.inputs([place]).values(), samples.labels([place])):
                    digest.update(b"" if array is None else array.tobytes())
        sizes = [len(self._fit), len(self._held_out), self._fit.size]
        asked = [asdict(self._budget), self._seed, sizes, asdict(self._augment) if self._augment else None]
        return json.dumps([digest.hexdigest(), asked])

    def _save(self, path: Path) -> None:
        tensors = {f"network.{name}": tensor for name, tensor in self._copy().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for index, values in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{key}": value.contiguous() for key, value in values.items()}
        draft = path.with_name(path.name + ".part")
        save_file(tensors, draft, {"run": self._settings, "state": json.dumps(asdict(self.state))})
        draft.replace(path)

    def _load(self, path: Path) -> None:
        try:
            with safe_open(path, "pt") as file:
                told = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        except (OSError, SafetensorError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from None
        if told.get("run") != self._settings:
            raise UsageError(f"{path} is the checkpoint of another run; give another path, or delete it to start anew")
        state = json.loads(told["state"])
        self.state = _State(**state | {"curve": [tuple(point) for point in state["curve"]]})
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimiser": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        self._network.load_state_dict(parts["network"])
        self.best = parts["best"]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimiser"].items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = tensor
        self._optimiser.load_state_dict({"state": moments, "param_groups": self._optimiser.state_dict()["param_groups"]})
