"""What the distillation loss feels of each unit: derivatives by a gate on its channels, or along its weights.

The distillation loss itself has no slope at the original, which answers as it does. What it has is a curvature. With z the outputs on the
scale of the loss (`OutputLoss.coordinates`) and J the derivative of z, the loss of a small change d is ``|z(d) - z(0)|² ≈ dᵀ JᵀJ d``
(Gauss-Newton), and ``JᵀJ = E[(vᵀJ)ᵀ(vᵀJ)]`` for random signs v (Hutchinson, 1989): a pass backwards from ``v·z`` is one draw, and the mean
square of its derivative by a gate is what shutting that gate costs. It is also the gate's Fisher information where outputs are
distributed as N(z, ½) and labels are drawn from what the network itself answers, as the Fisher information asks for: Theis et al., "Faster
gaze prediction with dense networks and Fisher pruning", 2018, and Liu et al., "Group Fisher pruning", ICML 2021, put the labels of
the data in their place.

A gate is a factor of 1 on the channels that a product reads; what else reads them keeps them. All gates of a unit are one: derivatives
are added up over everything that goes with it, for each input, before they are squared (Liu et al. on coupled channels).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
from onnx.helper import make_node, make_tensor_value_info

from nasopt.errors import MissingExtraError
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.units import Ints, Mask, Units
from nasopt.runtime.samples import Feeds, Samples, Teacher

try:
    import torch
    from torch import Tensor
except ModuleNotFoundError:
    raise MissingExtraError("this needs PyTorch: pip install 'nasopt[torch]'") from None

from nasopt.runtime.bridge import TorchNetwork, to_torch
from nasopt.runtime.calibration import first_of
from nasopt.runtime.losses import OutputLoss, output_losses
from nasopt.runtime.torch_ops import TORCH_TYPES

__all__ = ["gate_derivatives", "weight_derivatives"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Progress = Callable[[float, str], None]

INPUTS = 256
"""To look at, about: each costs a pass forwards and several backwards."""

DRAWS = 1024
"""Rows to gather, about: a mean of so many squares of normal numbers is right to 4 %."""

PASSES = 8
"""Backwards, at most, for one forwards."""

SUMMED = 8
"""Inputs whose gradients by weights are one row: a pass gives no more than their sum."""

MEMORY = 1 << 28
"""Bytes that the values between may take in a batch."""


class _Probe(Protocol):
    """What is differentiated by."""

    network: TorchNetwork
    known: Mask
    """Units that it says something about."""
    most: int
    """Inputs in a batch."""
    summed: int
    """Inputs that make one row."""

    def leaves(self, count: int, /) -> tuple[list[Tensor], dict[str, Tensor]]:
        """For so many inputs, what to differentiate by, and which of it is fed to the network, by name."""

    def rows(self, gradients: Sequence[Tensor], count: int) -> Floats:
        """The derivatives by each unit: (rows, units)."""


def gate_derivatives(units: Units, batches: Feeds, *, seed: int = 0, threads: int = 1, progress: Progress | None = None) -> Floats:
    """Derivatives of the outputs by a gate on each unit, a row for every input and draw of signs.

    Args:
        units: the solved couplings.
        batches: inputs of the network, once a batch; about `INPUTS` of them are looked at.
        seed: of the signs.
        threads: of PyTorch and ONNX Runtime.
        progress: is told the share that is done, and of what.

    Returns:
        (rows, units); NaN for units that no product reads. The mean square is in shares of the outputs' variance.

    Raises:
        UsageError: there is nothing in the outputs to compare.
        ModelNotSupportedError: the network cannot run in PyTorch.
    """
    with _threads(threads):
        return _gather(units, _Gates(units), batches, seed, threads, progress)


def weight_derivatives(units: Units, batches: Feeds, *, seed: int = 0, threads: int = 1, progress: Progress | None = None) -> Floats:
    """Derivatives of the outputs along all weights of a unit: sums of weight x gradient over its slices (Molchanov et al., CVPR 2019).

    They are the first-order change when all slices become zero, less its sign. A row is the sum over `SUMMED` inputs, each with signs
    of its own, over the root of their number: the mean square over rows is that over single inputs.

    Args, Returns, Raises:
        As `gate_derivatives`; NaN for units without a weight.
    """
    with _threads(threads):
        return _gather(units, _Weights(units), batches, seed, threads, progress)


def _gather(units: Units, probe: _Probe, batches: Feeds, seed: int, threads: int, progress: Progress | None) -> Floats:
    graph = units.graph
    if not probe.known.any():
        return np.zeros((0, units.count))
    rows = bool(graph.inputs) and probe.network.batchable and all(graph.bound.values())
    height = graph.bound[graph.inputs[0]][0] if rows else 1
    samples = Samples(first_of(batches, INPUTS), graph, Teacher(graph, threads), rows=rows, size=probe.most * height)
    losses = output_losses(samples.examples(), graph.origin)
    passes = min(max(DRAWS * probe.summed // len(samples), 1), PASSES)
    rng, found = np.random.default_rng(seed), []
    for part in samples.parts():
        leaves, fed = probe.leaves(len(part))
        outputs = dict(zip(probe.network.outputs, probe.network({**samples.inputs(part), **fed}), strict=True))
        scores = [score for loss in losses if (score := _score(loss, outputs[loss.output], len(part), len(losses))).requires_grad]
        for left in reversed(range(passes if scores else 0)):
            signs = [torch.from_numpy(rng.choice((-1.0, 1.0), score.shape)).to(score.dtype) for score in scores]
            found.append(probe.rows(torch.autograd.grad(scores, leaves, signs, retain_graph=left > 0, materialize_grads=True), len(part)))
        if progress:
            progress((part[-1] + 1) / len(samples), "derivatives")
    every = np.concatenate([np.zeros((0, units.count)), *found])
    every = np.asarray(every[np.isfinite(every).all(axis=1)])  # an input whose numbers overflow says nothing
    every[:, ~probe.known] = np.nan
    return every


def _score(loss: OutputLoss, value: Tensor, inputs: int, outputs: int) -> Tensor:
    """An output as a vector whose square changes add up to the distillation loss of single inputs."""
    compared = loss.coordinates(value)
    return compared / math.sqrt(compared.numel() / inputs * outputs)


def _room(graph: Graph) -> int:
    """How many inputs a batch may have: values between are kept for the way back, and once more behind a gate."""
    return max(MEMORY // max(2 * totals(graph).activation_bytes, 1), 1)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Threads of PyTorch belong to the process: they are put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# -- gates


@dataclass(frozen=True)
class _Gate:
    """Where a product reads channels: a slot of a node, an axis of the value there, and which unit each of its slices belongs to."""

    node: Node
    slot: int
    axis: int
    classes: tuple[Ints, ...]

    @property
    def value(self) -> str:
        return self.node.inputs[self.slot]

    def shape(self, graph: Graph) -> list[int]:
        """One number a channel and a row of the batch."""
        return [size if axis in (0, self.axis) else 1 for axis, size in enumerate(graph.shape(self.value))]


class _Gates:
    """A network with gates as inputs, all open."""

    summed = 1

    def __init__(self, units: Units) -> None:
        self._graph, self._gates = units.graph, list(_gates(units))
        gated, self._names = _with_gates(units.graph, self._gates)
        self.network = to_torch(gated).requires_grad_(False)
        self.known = np.zeros(units.count, np.bool_)
        for gate in self._gates:
            for classes in gate.classes:
                self.known[classes] = True
        self.most = _room(units.graph)

    def leaves(self, count: int, /) -> tuple[list[Tensor], dict[str, Tensor]]:
        made = {}
        for name, gate in zip(self._names, self._gates, strict=True):
            first, *rest = gate.shape(self._graph)
            made[name] = torch.ones(first * count, *rest, dtype=TORCH_TYPES[self._graph.dtypes[gate.value]], requires_grad=True)
        return list(made.values()), made

    def rows(self, gradients: Sequence[Tensor], count: int) -> Floats:
        total = torch.zeros(count, len(self.known), dtype=torch.float64)
        for gate, gradient in zip(self._gates, gradients, strict=True):
            own = gradient.double().movedim(gate.axis, -1)
            own = own.reshape(count, -1, own.shape[-1]).sum(1)
            for classes in gate.classes:
                total.index_add_(1, torch.from_numpy(classes), own)
        return total.numpy()


def _gates(units: Units) -> Iterator[_Gate]:
    """Everything that a product sums over and that has units."""
    graph = units.graph
    for node in graph.nodes:
        place = None if node.domain or not all(name in graph.shapes for name in node.inputs if name) else _summed_over(graph, node)
        if place is None:
            continue
        slot, axis = place
        classes = tuple(row.classes for row in units.axes.get((node.inputs[slot], axis), ()))
        if classes and graph.dtypes.get(node.inputs[slot]) in TORCH_TYPES and not _passes_on(units, node, classes):
            yield _Gate(node, slot, axis, classes)


def _summed_over(graph: Graph, node: Node) -> tuple[int, int] | None:
    """The operand of a product that is gated, and its axis that is summed over."""
    if node.op in ("Conv", "ConvTranspose"):
        return 0, 1
    if node.op == "Gemm":
        return 0, 0 if node.attrs.get("transA", 0) else 1
    if node.op == "MatMul":
        # Of two computed operands, queries and keys, one is enough: a gate on both would shut twice.
        left, right = (len(graph.shape(name)) for name in node.inputs)
        return (0, left - 1) if node.inputs[0] not in graph.weights else (1, max(right - 2, 0))
    return None


def _passes_on(units: Units, node: Node, classes: Sequence[Ints]) -> bool:
    """Whether a convolution in groups keeps its channels apart, as a depthwise one: what reads its output has the gates."""
    if int(node.attrs.get("group", 1)) == 1:
        return False
    after = [row.classes for row in units.axes.get((node.outputs[0], 1), ())]
    return any(np.intersect1d(before, made).size for before in classes for made in after)


def _with_gates(graph: Graph, gates: Sequence[_Gate]) -> tuple[Graph, list[str]]:
    """The network with a factor at every gate, and the names of the factors: they are inputs."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    prefix = "gate"
    while any(name.startswith(prefix) for name in (*graph.shapes, *graph.producers, *graph.weights)):
        prefix += "_"
    before: dict[int, list[onnx.NodeProto]] = {}
    names, shapes = [], dict(graph.bound)
    for number, gate in enumerate(gates):
        name, shut = f"{prefix}{number}", f"{prefix}{number}/product"
        names.append(name)
        shapes[name] = tuple(gate.shape(graph))
        model.graph.input.append(make_tensor_value_info(name, graph.dtypes[gate.value], shapes[name]))
        before.setdefault(gate.node.index, []).append(make_node("Mul", [gate.value, name], [shut], name=f"{shut}/node"))
        model.graph.node[gate.node.index].input[gate.slot] = shut
    nodes = [made for index, node in enumerate(model.graph.node) for made in (*before.get(index, ()), node)]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    return Graph(model, shapes, origin=graph.origin), names


# -- weights


class _Weights:
    """A network, and of each weight which units its slices belong to."""

    summed = SUMMED

    def __init__(self, units: Units) -> None:
        self.most = min(SUMMED, _room(units.graph))
        self.network = to_torch(units.graph).requires_grad_(False)
        self.known = np.zeros(units.count, np.bool_)
        self._weights: list[tuple[Tensor, list[tuple[int, Ints]]]] = []
        for name, weight in self.network.named_parameters():
            rows = [(axis, row.classes) for axis in range(weight.ndim) for row in units.axes.get((name, axis), ())]
            for _, classes in rows:
                self.known[classes] = True
            if rows:
                self._weights.append((weight.requires_grad_(), rows))

    def leaves(self, _: int, /) -> tuple[list[Tensor], dict[str, Tensor]]:
        return [weight for weight, _ in self._weights], {}

    def rows(self, gradients: Sequence[Tensor], count: int) -> Floats:
        total = torch.zeros(1, len(self.known), dtype=torch.float64)
        for (weight, rows), gradient in zip(self._weights, gradients, strict=True):
            change = weight.detach().double() * gradient
            for axis, classes in rows:
                total[0].index_add_(0, torch.from_numpy(classes), change.movedim(axis, 0).flatten(1).sum(1) if change.ndim > 1 else change)
        return total.numpy() / math.sqrt(count)
