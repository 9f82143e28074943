"""What a trained network knows about its own activations, without data.

Every value's channels are taken as independent Gaussians. Forwards, means and variances are propagated from unit-variance inputs; a
BatchNormalization replaces the guess by what training measured. Backwards goes the *sensitivity*: how much variance in the network's
outputs one unit of variance in a channel causes. Both are linear maps through convolutions and products, moment integrals through
activations, and index maps (`Coupling.tracks`) through everything that only rearranges. The product of the two is a data-free estimate
of the damage that removing a channel does (the mean-field analogue of the Fisher information of Theis et al., 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nasopt.graphs.channels import Coupling, Track
from nasopt.graphs.graph import Graph, Node

__all__ = ["Kernel", "MeanField", "Observed", "mean_field", "orientation", "through"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

Observed = Mapping[str, tuple[Floats, Floats]]
"""Value name → mean and variance of each index along axis 1."""

_TINY = 1e-12
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


_SINGLE = 1e12
"""Weights between one over this and this are squared in single precision: half the memory, and many times less time."""


@dataclass(frozen=True)
class Kernel:
    """The weight of a product, its window added up: (groups, outputs of one group, inputs of one group).

    Attributes:
        sums: what a mean is multiplied by.
        squares: sums of squares, which a variance is multiplied by.
    """

    sums: np.ndarray[Any, Any]
    squares: np.ndarray[Any, Any]

    @staticmethod
    def of(array: np.ndarray[Any, Any], outputs: int, ins: int, groups: int = 1) -> Kernel:
        """Reduces a weight; a view of it where there is nothing to add up."""
        peak = float(max(array.max(initial=0), -array.min(initial=0)))
        if array.dtype != np.float32 or not 1 / _SINGLE < peak < _SINGLE:
            array = array.astype(np.float64)
        matrix = np.moveaxis(array, (outputs, ins), (0, 1))
        matrix = matrix.reshape(*matrix.shape[:2], -1)
        ones = np.ones(matrix.shape[2], matrix.dtype)
        sums, squares = (matrix[..., 0], matrix[..., 0] ** 2) if len(ones) == 1 else (matrix @ ones, matrix**2 @ ones)
        if outputs < ins:  # the weight holds the inputs of one group
            return Kernel(*(part.reshape(groups, -1, part.shape[1]) for part in (sums, squares)))
        return Kernel(*(part.reshape(len(part), groups, -1).swapaxes(0, 1) for part in (sums, squares)))


def orientation(node: Node, rank: int) -> tuple[int, int]:
    """The axes of a product's weight along which its outputs and its inputs lie."""
    if node.op == "MatMul":
        return rank - 1, rank - 2
    return (1, 0) if node.op == "ConvTranspose" or (node.op == "Gemm" and not node.attrs.get("transB", 0)) else (0, 1)


@dataclass
class MeanField:
    """Moments and sensitivities by value name, one entry per atom of the value's track (one entry in all where it has none).

    Attributes:
        graph: the network.
        mean: expected activation.
        variance: its variance.
        sensitivity: output variance per unit of variance here.
    """

    graph: Graph
    mean: dict[str, Floats] = field(default_factory=dict)
    variance: dict[str, Floats] = field(default_factory=dict)
    sensitivity: dict[str, Floats] = field(default_factory=dict)
    _kernels: dict[tuple[str, int, int, int], Kernel] = field(default_factory=dict, repr=False)

    def kernel(self, node: Node) -> Kernel:
        """The kernel of a product with a stored weight of two axes or more; computed once, as every pass asks for it."""
        weight = self.graph.weights[node.inputs[1]]
        key = (weight.name, *orientation(node, len(weight.shape)), int(node.attrs.get("group", 1)))
        if key not in self._kernels:
            self._kernels[key] = Kernel.of(weight.array(), *key[1:])
        return self._kernels[key]


def mean_field(coupling: Coupling, observed: Observed | None = None) -> MeanField:
    """Propagates moments forwards and sensitivities backwards through a coupled graph.

    Args:
        coupling: atoms and tracks of a graph.
        observed: moments that were measured; they take the place of the propagated ones.
    """
    found = MeanField(coupling.graph)
    walk = _Walk(coupling, found)
    for node in coupling.graph.nodes:
        walk.forward(node)
        for name in node.outputs:
            if observed and name in observed and walk.size(name) == len(observed[name][0]):
                found.mean[name], found.variance[name] = observed[name]
    for name in coupling.graph.outputs:
        variance = walk.variance(name)
        found.sensitivity[name] = np.full(len(variance), 1.0 / max(float(variance.sum()), _TINY))
    for node in reversed(coupling.graph.nodes):
        walk.backward(node)
    return found


class _Walk:
    def __init__(self, coupling: Coupling, field: MeanField) -> None:
        self.coupling, self.field = coupling, field
        self.graph: Graph = coupling.graph

    # -- values ----------------------------------------------------------------------------------------------------------------

    def track(self, value: str) -> Track | None:
        tracks = self.coupling.tracks.get(value, ())
        return tracks[0] if len(tracks) == 1 else None

    def size(self, value: str) -> int:
        track = self.track(value)
        return 1 if track is None else track.size

    def mean(self, value: str) -> Floats:
        if value in self.graph.weights:
            return self._stored(value)
        return self.field.mean.get(value, np.zeros(self.size(value)))

    def variance(self, value: str) -> Floats:
        if value in self.graph.weights:
            return np.zeros(self.size(value))
        return self.field.variance.get(value, np.ones(self.size(value)))

    def sensitivity(self, value: str) -> Floats:
        return self.field.sensitivity.get(value, np.zeros(self.size(value)))

    def add_sensitivity(self, value: str, amount: Floats) -> None:
        if value and value not in self.graph.weights:
            size = self.size(value)
            if len(amount) != size:
                amount = np.full(size, float(amount.mean())) if size > 1 else np.array([float(amount.sum())])
            self.field.sensitivity[value] = self.sensitivity(value) + amount

    def _stored(self, value: str) -> Floats:
        weight = self.graph.weights.get(value)
        if weight is None:
            return self.mean(value)  # computed from other weights (a bias that an exporter expands from a scalar)
        if not self.graph.is_float(value):
            return np.zeros(self.size(value))
        array = weight.array().astype(np.float64)
        track = self.track(value)
        return array.reshape(-1) if track is not None and track.size == array.size else np.full(self.size(value), float(array.mean()))

    def _aligned(self, value: str, like: str, array: Floats) -> Floats:
        """An operand's entries, broadcast to those of the node's output."""
        target, own = self.track(like), self.track(value)
        if target is None:
            return np.array([float(array.mean())])
        if own is None:
            return np.full(target.size, float(array.mean()))
        shaped = array.reshape((1,) * (target.ndim - own.ndim) + own.shape)
        try:
            return np.broadcast_to(shaped, target.shape).reshape(-1)
        except ValueError:
            return np.full(target.size, float(array.mean()))

    def _put(self, value: str, mean: Floats, variance: Floats) -> None:
        size = self.size(value)
        if len(mean) != size:
            mean, variance = np.full(size, float(mean.mean())), np.full(size, float(variance.mean()))
        self.field.mean[value], self.field.variance[value] = mean, np.maximum(variance, 0.0)

    # -- one node --------------------------------------------------------------------------------------------------------------

    def forward(self, node: Node) -> None:
        if not node.outputs or node.outputs[0] in self.graph.constants or node.outputs[0] in self.graph.weights:
            return
        output = node.outputs[0]
        kernel = self.kernel(node)
        if kernel is not None:
            x, share, bias = node.inputs[0], self._share(node), self._bias(node)
            mean, variance = through(kernel.sums, self.mean(x)) / share, through(kernel.squares, self.variance(x)) / share
            self._put(output, mean + (bias if len(bias) == len(mean) else bias.mean()), variance)
        elif node.op == "BatchNormalization":
            scale, shift, running_mean, running_variance = (_spread(self._stored(n), self.size(output)) for n in node.inputs[1:5])
            self._put(node.inputs[0], running_mean, running_variance)
            self._put(output, shift, scale**2 * running_variance / (running_variance + node.attrs.get("epsilon", 1e-5)))
        elif node.op in ("LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization"):
            scale = self._aligned(node.inputs[1], output, self.mean(node.inputs[1]))
            shift = self._aligned(node.inputs[2], output, self.mean(node.inputs[2])) if len(node.inputs) > 2 else np.zeros(len(scale))
            self._put(output, shift, scale**2)
        elif node.op in _SUMS:
            parts = [(self._aligned(v, output, self.mean(v)), self._aligned(v, output, self.variance(v))) for v in node.inputs if v]
            sign = [1.0] + [-1.0 if node.op == "Sub" else 1.0] * (len(parts) - 1)
            self._put(
                output, sum(s * m for s, (m, _) in zip(sign, parts, strict=True)) + np.zeros(1), sum(v for _, v in parts) + np.zeros(1)
            )
        elif node.op in ("Mul", "Div"):
            self._product(node)
        elif (function := self._activation(node)) is not None:
            x = node.inputs[0]
            mean, variance = self._aligned(x, output, self.mean(x)), self._aligned(x, output, self.variance(x))
            values = function(mean[:, None] + np.sqrt(variance)[:, None] * _NODES[None, :])
            first_moment = values @ _WEIGHTS
            self._put(output, first_moment, values**2 @ _WEIGHTS - first_moment**2)
        else:
            for name in node.outputs:
                if name:
                    self._rearranged(node, name)

    def backward(self, node: Node) -> None:
        if not node.outputs or node.outputs[0] in self.graph.constants or node.outputs[0] in self.graph.weights:
            return
        output, x = node.outputs[0], node.inputs[0] if node.inputs else ""
        given = self.sensitivity(output)
        kernel = self.kernel(node)
        if kernel is not None:
            self.add_sensitivity(x, through(kernel.squares.swapaxes(1, 2), given) / self._share(node))
        elif node.op == "BatchNormalization":
            scale, running_variance = (_spread(self._stored(name), len(given)) for name in (node.inputs[1], node.inputs[4]))
            self.add_sensitivity(x, given * scale**2 / (running_variance + node.attrs.get("epsilon", 1e-5)))
        elif node.op in ("LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization"):
            scale = self._aligned(node.inputs[1], output, self.mean(node.inputs[1]))
            self.add_sensitivity(x, given * scale**2 / max(float(self.variance(x).mean()), _TINY))
        elif node.op in _SUMS:
            for value in node.inputs:
                if value:
                    self._collect(value, output, given)
        elif node.op in ("Mul", "Div"):
            for value, other in ((node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])):
                mean, variance = self._aligned(other, output, self.mean(other)), self._aligned(other, output, self.variance(other))
                factor = mean**2 + variance
                if node.op == "Div":
                    factor = 1.0 / np.maximum(factor, _TINY) if value == node.inputs[0] else np.zeros(len(factor))
                self._collect(value, output, given * factor)
        elif (function := self._activation(node)) is not None:
            mean, variance = self._aligned(x, output, self.mean(x)), self._aligned(x, output, self.variance(x))
            points = mean[:, None] + np.sqrt(variance)[:, None] * _NODES[None, :]
            step = 1e-3 * (1.0 + np.sqrt(variance))[:, None]
            slope = (function(points + step) - function(points - step)) / (2 * step)
            self._collect(x, output, given * (slope**2 @ _WEIGHTS))
        else:
            for name in node.outputs:
                for value in dict.fromkeys(node.inputs):
                    if name and value:
                        self._returned(value, name)

    # -- kinds of node ---------------------------------------------------------------------------------------------------------

    def kernel(self, node: Node) -> Kernel | None:
        """The kernel of a product with a stored weight."""
        if node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or node.inputs[1] not in self.graph.weights:
            return None
        rank = len(self.graph.weights[node.inputs[1]].shape)
        if rank < 2 or (rank == 2) != (node.op in ("Gemm", "MatMul")):
            return None  # a batch of matrices, or an operator that its operands contradict
        return self.field.kernel(node)

    def _bias(self, node: Node) -> Floats:
        return self.mean(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else np.zeros(1)

    @staticmethod
    def _share(node: Node) -> int:
        """One over the share of a kernel that each output position sees: stride² where a convolution is transposed."""
        return math.prod(node.attrs.get("strides", [1])) if node.op == "ConvTranspose" else 1

    def _product(self, node: Node) -> None:
        output, (a, b) = node.outputs[0], node.inputs
        mean_a, var_a = self._aligned(a, output, self.mean(a)), self._aligned(a, output, self.variance(a))
        mean_b, var_b = self._aligned(b, output, self.mean(b)), self._aligned(b, output, self.variance(b))
        if node.op == "Div":
            square = np.maximum(mean_b**2 + var_b, _TINY)
            mean_b, var_b = np.sign(mean_b) / np.sqrt(square), np.zeros(len(square))
        self._put(output, mean_a * mean_b, var_a * var_b + var_a * mean_b**2 + var_b * mean_a**2)

    def _activation(self, node: Node) -> Callable[[Floats], Floats] | None:
        attrs = node.attrs
        if node.op == "Clip":
            low, high = self.graph.operand(node, 1, "min"), self.graph.operand(node, 2, "max")
            bottom = -np.inf if low is None else float(low.reshape(-1)[0])
            top = np.inf if high is None else float(high.reshape(-1)[0])
            return lambda x: np.clip(x, bottom, top)
        if node.op == "LeakyRelu":
            return lambda x: np.where(x > 0, x, attrs.get("alpha", 0.01) * x)
        if node.op == "PRelu":
            slope = self._aligned(node.inputs[1], node.outputs[0], self.mean(node.inputs[1]))[:, None]
            return lambda x: np.where(x > 0, x, slope * x)
        if node.op == "HardSigmoid":
            return lambda x: np.clip(attrs.get("alpha", 0.2) * x + attrs.get("beta", 0.5), 0.0, 1.0)
        return _ACTIVATIONS.get(node.op)

    def _rearranged(self, node: Node, output: str) -> None:
        """Everything else keeps the moments of the atoms it passes on; atoms of its own (padding) are zero."""
        inputs = [value for value in node.inputs if value and self.graph.is_float(value)]
        target = self.track(output)
        if not inputs:
            return
        if target is None:
            self._put(output, self.mean(inputs[0]), self.variance(inputs[0]))
            return
        mean, variance = np.zeros(target.size), np.zeros(target.size)
        for value in inputs:
            own = self.track(value)
            if own is not None:
                known, place = _lookup(own.reshape(-1), target.reshape(-1))
                mean[known], variance[known] = self.mean(value)[place], self.variance(value)[place]
        self._put(output, mean, variance)

    def _returned(self, value: str, output: str) -> None:
        own, target = self.track(value), self.track(output)
        if own is None or target is None:
            self.add_sensitivity(value, self.sensitivity(output))
            return
        known, place = _lookup(own.reshape(-1), target.reshape(-1))
        returned = np.zeros(own.size)
        np.add.at(returned, place, self.sensitivity(output)[known])
        self.add_sensitivity(value, returned)

    def _collect(self, value: str, output: str, amount: Floats) -> None:
        """Sends sensitivities of a broadcast result back to an operand."""
        own, target = self.track(value), self.track(output)
        if own is None or target is None or own.size == target.size:
            self.add_sensitivity(value, amount)
            return
        shape = (1,) * (target.ndim - own.ndim) + own.shape
        axes = tuple(axis for axis, (mine, theirs) in enumerate(zip(shape, target.shape, strict=True)) if mine == 1 < theirs)
        self.add_sensitivity(value, amount.reshape(target.shape).sum(axis=axes).reshape(-1))


def _lookup(own: Track, target: Track) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Which entries of `target` are atoms of `own`, and where there."""
    order = np.argsort(own, kind="stable")
    place = np.minimum(np.searchsorted(own[order], target), len(own) - 1)
    found = own[order][place] == target
    return np.flatnonzero(found), order[place[found]]


def _spread(array: Floats, size: int) -> Floats:
    if len(array) == size:
        return array
    return np.repeat(array, size // len(array)) if size % len(array) == 0 else np.full(size, float(array.mean()))


def through(blocks: np.ndarray[Any, Any], vector: Floats) -> Floats:
    """A vector through the blocks of a grouped product, in the precision of these; its own range does not matter."""
    groups, _, size = blocks.shape
    vector = _spread(vector, groups * size)
    peak = float(np.abs(vector).max(initial=0.0)) or 1.0
    scaled = (vector / peak).astype(blocks.dtype).reshape(groups, size, 1)
    return np.asarray((blocks @ scaled).reshape(-1) * np.float64(peak))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


_SUMS = ("Add", "Sub", "Sum")

_ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "Abs": np.abs,
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Erf": lambda x: np.tanh(1.1283792 * x + 0.1009 * x**3),
    "Gelu": lambda x: x * _sigmoid(1.702 * x),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0.0, 1.0),
    "Mish": lambda x: x * np.tanh(np.logaddexp(0.0, x)),
    "Relu": lambda x: np.maximum(x, 0.0),
    "Sigmoid": _sigmoid,
    "Softplus": lambda x: np.logaddexp(0.0, x),
    "Swish": lambda x: x * _sigmoid(x),
    "Tanh": np.tanh,
}
