"""The network that proxies look at: a copy, what it is fed, and what it should answer."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from nasopt.errors import MissingExtraError, ModelNotSupportedError, UsageError

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise MissingExtraError("this needs PyTorch: pip install 'nasopt[torch]'") from None

from nasopt.predictors.proxies.observed import Observer

__all__ = ["Subject"]


class Subject:
    """A copy of a network in evaluation mode, so that dropout is off (what norms do is up to `Observer`), every parameter with a gradient.

    Attributes:
        network: the copy.
        inputs: tensors, the batch first.
        rows: of the batch.
        whole: the network takes this batch only, and not a single row of it.
        seed: of all that is drawn.
    """

    def __init__(
        self, network: nn.Module, inputs: Sequence[Tensor], labels: Tensor | None = None, *, seed: int = 0, whole: bool = False
    ) -> None:
        """Copies the network.

        Args:
            network: any; what it answers first is taken for (batch, classes) or (batch, classes, ...).
            inputs: its arguments, two rows or more.
            labels: integers (batch,) or (batch, ...); drawn by the seed where None.
            seed: of labels, and of the weights and inputs of zen.
            whole: the network takes this batch only.

        Raises:
            UsageError: the batch has fewer than two rows, or inputs differ in their rows.
        """
        rows = {len(value) if value.ndim else 0 for value in inputs}
        if len(rows) != 1 or min(rows) < 2:
            raise UsageError("proxies need a batch of two rows or more, the same number in every input")
        self.network = copy.deepcopy(network).eval()
        for parameter in self.network.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
        self.inputs, self.rows, self.seed, self.whole = tuple(inputs), rows.pop(), seed, whole
        self._labels = labels

    def one(self) -> tuple[Tensor, ...]:
        """The first row as a batch of its own; all of them where the network takes no single one."""
        return self.inputs if self.whole else tuple(value[:1] for value in self.inputs)

    def run(self, observer: Observer, inputs: tuple[Tensor, ...] | None = None, network: nn.Module | None = None) -> Tensor:
        """The first output, before a softmax if the network ends in one.

        Args:
            observer: watches.
            inputs: instead of the subject's own.
            network: instead of the subject's.

        Raises:
            ModelNotSupportedError: the network answers no float tensor.
        """
        answer = observer.run(self.network if network is None else network, self.inputs if inputs is None else inputs)
        output = _first(answer)
        if output is None:
            raise ModelNotSupportedError("proxies need a network that answers a float tensor")
        return observer.logits(output)

    def labels(self, logits: Tensor) -> Tensor | None:
        """Classes for a batch of logits (batch, classes, ...); None if logits have other axes, or fewer than two classes.

        Raises:
            UsageError: the labels do not fit.
        """
        if logits.ndim < 2 or logits.shape[1] < 2 or logits.shape[0] != self.rows:
            return None
        shape, classes = (logits.shape[0], *logits.shape[2:]), logits.shape[1]
        if self._labels is None:
            return torch.randint(classes, shape, generator=torch.Generator().manual_seed(self.seed))
        if tuple(self._labels.shape) != shape:
            raise UsageError(f"labels are {tuple(self._labels.shape)}; the network's answers ask for {shape}")
        if int(self._labels.min()) < 0 or int(self._labels.max()) >= classes:
            raise UsageError(f"labels run from {int(self._labels.min())} to {int(self._labels.max())}, the network has {classes} classes")
        return self._labels


def _first(answer: Any) -> Tensor | None:
    """The first float tensor of what a network answers."""
    if isinstance(answer, Tensor):
        return answer if answer.is_floating_point() else None
    parts = answer.values() if isinstance(answer, Mapping) else answer if isinstance(answer, (tuple, list)) else ()
    return next((found for part in parts if (found := _first(part)) is not None), None)
