"""Layer-wise least-squares reconstruction: what the removed channels contributed is expressed by those that stay.

Both networks are walked once over the same inputs, in file order. Each product of the smaller one is fitted to what the original computes
at the same place (He et al., ICCV 2017, Eq. 5), given what its own predecessors, already fitted, feed it; where a residual sum follows,
the sum is fitted. A ridge towards the inherited weight, chosen by the error on inputs that were not fitted, keeps it from learning
the inputs by heart. What a rectifier cuts off need not be met: where both networks fall below it, nothing is missing (Zhang et al., IEEE
TPAMI 2016, Section 3.2; there for low-rank filters).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nasopt.graphs.graph import Graph
from nasopt.graphs.products import Product, products
from nasopt.runtime.features import FEW_ROWS, Sample, features, positions, share_of, targets, with_constant
from nasopt.runtime.rectifier import Rectifier, rectifier_of
from nasopt.runtime.walk import Walk

__all__ = ["Refit", "reconstruct"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Keep = Callable[[str, int], "np.ndarray[Any, np.dtype[np.bool_]] | None"]

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""In units of the mean square of the features."""

ENOUGH = 3
"""Rows for each feature below which a weight is not fitted freely."""

CHECK = 5
"""Every so-manieth batch is not fitted but judges the ridge."""

ROUNDS = 2
"""Fits anew to what a rectifier lets through (what they are worth: `benchmarks/ranking.py`)."""

_SMALL, _AGREES = 1e-6, 1e-12


@dataclass(frozen=True, slots=True)
class Refit:
    """What fitting one product brought: mean square error at its target over the target's variance, on inputs that were not fitted.

    Before what a rectifier cuts off is taken into account.
    """

    node: str
    before: float
    after: float


def reconstruct(
    original: Graph,
    smaller: Graph,
    keep: Keep,
    batches: Sequence[Mapping[str, Array]],
    *,
    widest: int = 10_000,
    sample: Sample = FEW_ROWS,
    threads: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> tuple[dict[str, Array], list[Refit]]:
    """Fits the products of a pruned network to its original.

    Args:
        original: the network as it was; its node and value names are those of `smaller`.
        smaller: what an edit made of it.
        keep: which slices of a value's axis stayed (`Units.keep`); None where all did.
        batches: inputs of both, once a batch.
        widest: features of a product beyond which its output channels are only scaled and shifted.
        sample: how many rows to fit on.
        threads: of ONNX Runtime.
        progress: is told the share that is done, and the node.

    Returns:
        The new weights by name, and what each fit brought, in file order.
    """
    mine = [product for product in products(smaller) if product.target in original.producers]
    changed: dict[str, Array] = {}
    report: list[Refit] = []
    with (
        Walk(original, batches, hold=[product.target for product in mine], threads=threads) as teacher,
        Walk(smaller, batches, threads=threads) as student,
    ):
        for place, product in enumerate(mine):
            if progress:
                progress(place / len(mine), product.node.name)
            student.advance(product.node.index)
            teacher.advance(max(teacher.position, original.producers[product.target].index + 1))
            kept = keep(product.target, product.axis)
            wanted = [_kept(value, product.axis, kept) for value in teacher.take(product.target)]
            fitted = _fit(student, product, wanted, place, widest, sample)
            if fitted is None:
                continue
            found, line = fitted
            report.append(line)
            for name, array in found.items():
                changed[name] = array
                student.replace(name, array)
    return changed, report


def _kept(value: Array, axis: int, keep: Array | None) -> Array:
    return value if keep is None else np.compress(keep, value, axis)


@dataclass
class _Sums:
    """Normal equations of one product, gathered batch by batch; the last feature is the constant 1."""

    gram: Floats
    """(groups, features + 1, features + 1)"""
    cross: Floats
    """(groups, features + 1, channels of a group)"""
    error: float = 0.0
    """Sum of squares of what is missing at the target."""
    rows: int = 0

    @classmethod
    def empty(cls, groups: int, width: int, channels: int) -> _Sums:
        return cls(np.zeros((groups, width + 1, width + 1)), np.zeros((groups, width + 1, channels)))

    def add(self, into: Array, missing: Array, scale: Floats) -> None:
        groups, rows, _ = into.shape
        into = with_constant(into)
        split = np.moveaxis(missing.reshape(rows, groups, -1), 1, 0)
        self.gram += into.transpose(0, 2, 1) @ into
        self.cross += into.transpose(0, 2, 1) @ split
        self.error += float(np.square(missing * scale).sum(dtype=np.float64))
        self.rows += rows

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.error) and np.isfinite(self.gram).all() and np.isfinite(self.cross).all())

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(self.gram + other.gram, self.cross + other.cross, self.error + other.error, self.rows + other.rows)

    def solve(self, ridge: float, *, shift: bool) -> Floats:
        """The change of weight and shift that makes good for what is missing, (groups, features + 1, channels of a group)."""
        width = self.gram.shape[1] - 1
        size = width + 1 if shift else width
        level = max(float(np.diagonal(self.gram, axis1=1, axis2=2)[:, :width].mean()), 1e-30)
        penalty = np.zeros(size)
        penalty[:width] = ridge * level
        penalty[width:] = 1e-9 * self.gram[:, -1, -1].max()
        result = np.zeros(self.cross.shape)
        result[:, :size] = np.linalg.solve(self.gram[:, :size, :size] + np.diag(penalty), self.cross[:, :size])
        return result

    def error_of(self, change: Floats, scale: Floats) -> float:
        """The sum of squares that is left once weight and shift have changed."""
        energy = np.einsum("gic,gic->gc", change, self.gram @ change - 2 * self.cross).reshape(-1)
        return self.error + float((energy * scale**2).sum())


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is not fitted
def _fit(
    student: Walk, product: Product, wanted: list[Array], seed: int, widest: int, sample: Sample
) -> tuple[dict[str, Array], Refit] | None:
    """New weight and shift of one product; None where it agrees with the original already."""
    weight = student.weight(product.weight)
    inherited = product.matrix(weight)
    channels, width = inherited.shape
    scale, shift_scale = (_safe(factor) for factor in (product.scale, product.shift_scale))
    rows = sum(value.size // channels for value in wanted)
    # Too few rows, or too costly a solution: each output channel is only scaled and shifted.
    affine = rows < ENOUGH * width or width > widest
    if affine and any(name and name != product.shift for name in product.node.inputs[2:]):
        return None  # its bias, which others share or which is no vector, would have to be scaled as well
    task = _Task(student, product, wanted, scale, width, seed, sample, affine)
    fitted, checked, variance = task.gathered()
    total = fitted + checked
    if not total.finite or total.error <= _AGREES * variance:
        return None
    judge = checked if checked.rows else fitted
    shift = bool(product.shift)
    try:
        errors = {ridge: judge.error_of(fitted.solve(ridge, shift=shift), scale) for ridge in RIDGES}
    except np.linalg.LinAlgError:  # features of wildly different sizes
        return None
    ridge = min(errors, key=lambda ridge: errors[ridge])
    size = max(variance * judge.rows / max(total.rows, 1), 1e-30)
    if not errors[ridge] < judge.error:
        return {}, Refit(product.node.name, judge.error / size, judge.error / size)
    change = total.solve(ridge, shift=shift)
    rectifier = rectifier_of(student.graph, product)
    for _ in range(ROUNDS):
        if rectifier is None:
            break
        moved = task.cross(change, rectifier)
        if not np.isfinite(moved).all():
            break
        change = replace(total, cross=moved).solve(ridge, shift=shift)
    step = np.moveaxis(change[:, :-1], 2, 1).reshape(channels, -1)
    found = {product.weight: product.array(inherited * (1 + step) if affine else inherited + step, weight)}
    if shift:
        old = student.weight(product.shift)
        added = (change[:, -1].reshape(-1) * scale / shift_scale).reshape(old.shape)
        if affine and product.shift in product.node.inputs:
            added = added + old * step.reshape(old.shape)  # the output that was scaled held its bias
        found[product.shift] = (old + added).astype(old.dtype)
    return found, Refit(product.node.name, judge.error / size, errors[ridge] / size)


@dataclass(frozen=True)
class _Task:
    """One product to fit.

    Attributes:
        student: stands before the product.
        product: of the student.
        wanted: its target, once a batch.
        scale: derivative of the target by the product's output, per channel, never 0.
        width: features.
        seed: of the rows that are looked at.
        sample: how many of them.
        affine: whether output channels are only scaled and shifted: each has its own output for its only feature.
    """

    student: Walk
    product: Product
    wanted: list[Array]
    scale: Floats
    width: int
    seed: int
    sample: Sample
    affine: bool

    def gathered(self) -> tuple[_Sums, _Sums, float]:
        """Normal equations of the inputs to fit and of those to check, and the sum of squares of the targets around their means."""
        channels, groups = len(self.scale), self.product.groups
        shape = (channels, 1, 1) if self.affine else (groups, self.width, channels // groups)
        fitted, checked = (_Sums.empty(*shape) for _ in range(2))
        moments = np.zeros((2, channels))
        for batch, (into, target, now) in enumerate(self.rows()):
            (checked if batch % CHECK == CHECK - 1 else fitted).add(into, (target - now) / self.scale, self.scale)
            moments += np.stack([target.sum(0, dtype=np.float64), np.square(target, dtype=np.float64).sum(0)])
        first, second = moments
        return fitted, checked, float((second - first**2 / max(fitted.rows + checked.rows, 1)).sum())

    def cross(self, change: Floats, rectifier: Rectifier) -> Floats:
        """The right-hand side of the normal equations when only what passes a rectifier has to be met.

        Args:
            change: of weight and shift, as it stands.
            rectifier: what reads the target.
        """
        total = np.zeros(change.shape)
        for into, target, now in self.rows():
            into = with_constant(into)
            scale = self.scale.astype(into.dtype)
            then = now + np.moveaxis(into @ change.astype(into.dtype), 0, 1).reshape(now.shape) * scale
            aim = rectifier.aim(target, then)
            total += into.transpose(0, 2, 1) @ np.moveaxis(((aim - now) / scale).reshape(len(now), len(into), -1), 1, 0)
        return total

    def rows(self) -> Iterator[tuple[Array, Array, Array]]:
        """Once a batch: features (groups, rows, features), target and what there is at its place (rows, channels); always the same rows."""
        product = self.product
        kernel = product.kernel(self.student.weight(product.weight))
        share = share_of(self.width, sum(value.size // value.shape[product.axis] for value in self.wanted), self.sample)
        rng = np.random.default_rng(self.seed)
        x = self.student.values(product.node.inputs[0])
        seen = self.student.peek(list(dict.fromkeys([product.node.outputs[0], product.target])))
        for batch, (output, *after) in enumerate(seen):
            rows = positions(product, output, share, rng)
            if self.affine:
                into = targets(product, output, rows).T[:, :, None]
            else:
                into = features(product, np.asarray(x[batch]), output.shape, kernel, rows)
            yield into, targets(product, self.wanted[batch], rows), targets(product, after[0] if after else output, rows)


def _safe(factor: Floats) -> Floats:
    """Channels whose factor is as good as 0 cannot be helped through it: a huge one keeps their correction at nothing."""
    return np.where(np.abs(factor) > _SMALL * np.abs(factor).max(initial=1e-30), factor, 1e30)
