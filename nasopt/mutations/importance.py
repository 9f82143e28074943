"""How much each unit matters, without data and with it.

A measure ranks the units of every group and says how much is lost with the first one, the first two, … in a currency that is the same
for all groups. Which measure is the default was decided by measurement (docs/benchmarks.md: `benchmarks/importances.py` for those that need
no inputs, `benchmarks/recovery.py`), not by habit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.graphs.channels import Coupling
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.units import Units
from nasopt.mutations.elimination import eliminate
from nasopt.mutations.gates import by_derivatives
from nasopt.mutations.meanfield import MeanField, Observed, mean_field, orientation, through

__all__ = ["BY_DERIVATIVES", "DEFAULT", "IMPORTANCES", "Evidence", "Ranking", "rank"]

DEFAULT, WITH_INPUTS = "meanfield", "surgery"
BY_DERIVATIVES = ("fisher", "taylor")
"""Measures that need `Evidence.derivatives`, each its own."""

FLATTEN = 0.2
"""Settled by `benchmarks/settings.py`, on 2,000 training images of CIFAR-10 with two ResNets: best of 0, 0.1, 0.2, 0.3, 0.5 and 1."""

Array = np.ndarray[Any, Any]
_HUGE = 1e200
"""What a loss that overflows counts as."""

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Ranking:
    """The units of one group in the order in which they should go.

    Attributes:
        order: units, the first to go first.
        loss: what is lost when the first 0, 1, … of them are gone; ascending, one longer than `order`.
        whole: what the group holds, in the same currency (a loss that grows without bound ends above it).
    """

    order: Ints
    loss: Floats
    whole: float


@dataclass(frozen=True)
class Evidence:
    """What measures look at.

    Attributes:
        coupling: atoms and tracks of the graph.
        units: their solution.
        observed: mean and variance per channel of values as they were seen on synthetic inputs, where the network holds no statistics
            of its own.
        grams: second moments of what products read, on the user's inputs (`nasopt.runtime.grams.gather`).
        derivatives: by each unit, on the user's inputs, under the name of the measure that asks for them (`nasopt.runtime.fisher`).
    """

    coupling: Coupling
    units: Units
    observed: Observed = field(default_factory=dict)
    grams: Mapping[str, Floats] = field(default_factory=dict)
    derivatives: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        return self.units.graph

    @cached_property
    def field(self) -> MeanField:
        return mean_field(self.coupling, self.observed)

    def spread(self, value: str, axis: int, slices: Floats) -> Floats:
        """Adds up one number per slice of a weight's axis into one number per unit."""
        total = np.zeros(self.units.count)
        for row in self.units.axes.get((value, axis), ()):
            total += np.bincount(row.classes, slices, minlength=self.units.count)
        return total

    def kernels(self) -> Iterator[tuple[Node, str, int, int]]:
        """Every stored weight of a product once: its node, name, the axis of its outputs and that of its inputs."""
        seen: set[str] = set()
        for node in self.graph.nodes:
            if node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or node.domain:
                continue
            name = node.inputs[1]
            if name not in self.graph.weights or name in seen or len(self.graph.shape(name)) < 2:
                continue
            seen.add(name)
            yield node, name, *orientation(node, len(self.graph.shape(name)))


Measure = Callable[[Evidence], list[Ranking]]


def rank(name: str, evidence: Evidence) -> list[Ranking]:
    """Ranks every group by the measure of that name.

    Raises:
        UsageError: there is no such measure.
    """
    if name not in IMPORTANCES:
        raise UsageError(f"--importance {name}: unknown; choose one of {', '.join(IMPORTANCES)}")
    return IMPORTANCES[name](evidence)


def _additive(score: Callable[[Evidence], Floats]) -> Measure:
    """Measures that give each unit one number: the least goes first, losses add up."""

    def measure(evidence: Evidence) -> list[Ranking]:
        scores = score(evidence)
        rankings = []
        for group in evidence.units.groups:
            order = group.units[np.argsort(scores[group.units], kind="stable")]
            loss = np.concatenate([[0.0], np.cumsum(scores[order])])
            rankings.append(Ranking(order, loss, float(loss[-1])))
        return rankings

    return measure


def _magnitude(power: int, *, normalised: bool = False, inputs: bool = True) -> Callable[[Evidence], Floats]:
    """Norms of all slices that go with a unit (the group importance of Fang et al., CVPR 2023)."""

    def measure(evidence: Evidence) -> Floats:
        total, count = np.zeros(evidence.units.count), np.zeros(evidence.units.count)
        for _, name, outputs, ins in evidence.kernels():
            array = np.abs(evidence.graph.weights[name].array().astype(np.float64)) ** power
            for axis in (outputs, ins) if inputs else (outputs,):
                slices = array.sum(axis=tuple(a for a in range(array.ndim) if a != axis))
                if normalised:
                    slices = slices / max(float(slices.sum()), 1e-30)
                total += evidence.spread(name, axis, slices)
                count += evidence.spread(name, axis, np.ones(len(slices))) > 0
        return total / np.maximum(count, 1)

    return measure


def _batchnorm_scale(evidence: Evidence) -> Floats:
    """|scale| of the BatchNormalizations on a unit's way (network slimming, Liu et al., ICCV 2017), else norms of weights."""
    total, count = np.zeros(evidence.units.count), np.zeros(evidence.units.count)
    for node in evidence.graph.nodes:
        if node.op == "BatchNormalization" and node.inputs[1] in evidence.graph.weights:
            slices = np.abs(evidence.graph.weights[node.inputs[1]].array().astype(np.float64))
            total += evidence.spread(node.inputs[1], 0, slices)
            count += evidence.spread(node.inputs[1], 0, np.ones(len(slices)))
    plain = _magnitude(1, normalised=True)(evidence)
    scales = total / np.maximum(count, 1)
    factor = float(scales[count > 0].mean() / max(plain[count > 0].mean(), 1e-30)) if (count > 0).any() else 1.0
    return np.where(count > 0, scales, plain * factor)


def _lamp(evidence: Evidence) -> Floats:
    """Layer-adaptive magnitude (Lee et al., ICLR 2021) on units: energy over the energy of all units of the group that matter more."""
    energy = _magnitude(2, normalised=True)(evidence)
    result = energy.copy()
    for group in evidence.units.groups:
        order = group.units[np.argsort(energy[group.units])]
        tail = np.cumsum(energy[order][::-1])[::-1]
        result[order] = energy[order] / np.maximum(tail, 1e-30)
    return result


def _meanfield(evidence: Evidence) -> list[Ranking]:
    """Expected damage to the network's outputs, from its own statistics.

    A removed channel takes its mean and its variance from every product that reads it. Means are coherent: what two channels
    contributed to one output may cancel or add up, so the damage of a set is a quadratic form, and units are taken greedily, each time
    the one that adds least. How much a product's output counts follows from its sensitivity (what the network's outputs feel) and its own
    relative noise (1 / variance), both flattened by `FLATTEN`: the estimate is right for small damage, and the more goes, the more evenly
    layers should share it. Towards losing all of a group the loss grows without bound, as the noise-to-signal ratio does.
    """
    rankings = []
    for group, form in zip(evidence.units.groups, _damage_forms(evidence), strict=True):
        order, loss = _greedy(form)
        whole = max(float(loss[-1]), 1e-300)
        rankings.append(Ranking(group.units[order], loss / np.maximum(1.0 - loss / whole, 1.0 / (2 * len(group))), whole))
    return rankings


def _surgery(evidence: Evidence) -> list[Ranking]:
    """What is lost once the rest has made good for it, relative to what each product gets from the group (`elimination`).

    Needs data. Groups that no product reads are ranked by `_meanfield`, with its loss as a share of the whole.
    """
    if not evidence.grams:
        raise UsageError("--importance surgery: looks at what the network sees; bring inputs with --data")
    expected = _meanfield(evidence)
    rankings = []
    for group, found, fallback in zip(evidence.units.groups, eliminate(evidence.units, evidence.grams), expected, strict=True):
        if found is None:
            rankings.append(Ranking(fallback.order, fallback.loss / fallback.whole, 1.0))
            continue
        order, loss = found
        whole = max(float(loss[-1]), 1e-300)
        rankings.append(Ranking(group.units[order], loss / np.maximum(1.0 - loss / whole, 1.0 / (2 * len(group))), whole))
    return rankings


def _by_derivatives(name: str) -> Measure:
    """What the outputs feel of each unit (`gates`); losses add up, as in the papers. Needs data and PyTorch.

    Groups of which nothing is known are ranked by `_meanfield`; to lose all of such a group counts as losing the outputs' variance.
    """

    def measure(evidence: Evidence) -> list[Ranking]:
        if name not in evidence.derivatives:
            raise UsageError(f"--importance {name}: looks at what the network sees; bring inputs with --data")
        rankings = []
        estimates = by_derivatives(evidence.units, evidence.derivatives[name])
        for group, found, fallback in zip(evidence.units.groups, estimates, _meanfield(evidence), strict=True):
            if found is None:
                rankings.append(Ranking(fallback.order, fallback.loss / fallback.whole, 1.0))
            else:
                rankings.append(Ranking(group.units[found[0]], found[1], float(found[1][-1])))
        return rankings

    return measure


def _damage_forms(evidence: Evidence) -> Iterator[Floats]:
    """For each group the quadratic form (units × units) of the damage."""
    units, field = evidence.units, evidence.field
    sizes = [len(group) for group in units.groups]
    owner, place = np.full(units.count, -1, np.int64), np.full(units.count, -1, np.int64)
    if sizes:
        members = np.concatenate([group.units for group in units.groups])
        owner[members], place[members] = np.repeat(np.arange(len(sizes)), sizes), np.arange(len(members))
    # What each product that reads a group takes from its units: coherently, as factors that become numbers group by group, and as noise.
    means: list[list[tuple[Array, Ints, Floats, Floats]]] = [[] for _ in sizes]
    noises = [np.zeros(size) for size in sizes]
    for node, name, _, ins in evidence.kernels():
        rows = [row for row in units.axes.get((name, ins), ()) if (owner[row.classes] >= 0).any()]
        if not rows or int(node.attrs.get("group", 1)) > 1:
            continue
        kernel = field.kernel(node)
        outputs, inputs = kernel.sums.shape[1:]
        weight = _output_weight(field, node.outputs[0], outputs)
        mean = _fit(field.mean.get(node.inputs[0], np.zeros(1)), inputs)
        noise = through(kernel.squares.swapaxes(1, 2), weight) * _fit(field.variance.get(node.inputs[0], np.ones(1)), inputs)
        for row in rows:
            # Slices by group, and within it by unit. Units of a group have equally many slices each: that is what makes it one.
            slices = np.argsort(place[row.classes], kind="stable")
            owners = owner[row.classes[slices]]
            for start, stop in pairwise(np.flatnonzero(np.diff(owners, prepend=-1, append=len(sizes))).tolist()):
                index, own = int(owners[start]), slices[start:stop]
                means[index].append((kernel.sums[0], own, mean[own], np.sqrt(weight)))
                noises[index] += noise[own].reshape(sizes[index], -1).sum(axis=1)
    for size, factors, variances in zip(sizes, means, noises, strict=True):
        # One product for all readers: much less work for the processor than a sum of small ones.
        shift = np.concatenate(
            [np.zeros((0, size)), *(_per_unit(sums[:, own] * mean * root[:, None], size) for sums, own, mean, root in factors)]
        )
        form = shift.T @ shift
        form[np.diag_indices(size)] += variances
        yield form


def _per_unit(columns: Floats, size: int) -> Floats:
    """Adds up the columns of each unit, which lie beside each other."""
    return columns if columns.shape[1] == size else columns.reshape(len(columns), size, -1).sum(axis=2)


def _output_weight(field: MeanField, value: str, size: int) -> Floats:
    """How much one unit of variance in each output of a product counts."""
    sensitivity = np.maximum(_fit(field.sensitivity.get(value, np.ones(1)), size), 0.0)
    relative = 1.0 / (np.maximum(_fit(field.variance.get(value, np.ones(1)), size), 1e-12) * size)
    return np.asarray((sensitivity * relative) ** FLATTEN)


def _greedy(form: Floats) -> tuple[Ints, Floats]:
    """The order in which each next unit adds least to ``rᵀ form r``, and the sums."""
    size = len(form)
    form = np.nan_to_num(form, nan=_HUGE, posinf=_HUGE, neginf=-_HUGE)  # a gone unit alone may be infinite
    order, loss = np.empty(size, np.int64), np.zeros(size + 1)
    added = np.diag(form).copy()  # by each unit, were it the next to go; infinite where it is gone
    twice = 2 * form
    for turn in range(size):
        unit = int(added.argmin())
        order[turn], loss[turn + 1] = unit, loss[turn] + added[unit]
        added += twice[unit]
        added[unit] = np.inf
    return order, np.maximum.accumulate(loss)


def _fit(array: Floats, size: int) -> Floats:
    return array if len(array) == size else np.full(size, float(array.mean()))


IMPORTANCES: dict[str, Measure] = {
    "l1": _additive(_magnitude(1)),
    "l2": _additive(_magnitude(2)),
    "coupled": _additive(_magnitude(2, normalised=True)),
    "outgoing": _additive(_magnitude(2, normalised=True, inputs=False)),
    "bn-scale": _additive(_batchnorm_scale),
    "lamp": _additive(_lamp),
    "meanfield": _meanfield,
    "surgery": _surgery,
    **{name: _by_derivatives(name) for name in BY_DERIVATIVES},
}
