"""Axis lengths as affine functions of how many units each group keeps: what costs and features of a population are filled from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nasopt.graphs.graph import Graph
    from nasopt.graphs.units import Units

__all__ = ["AxisForms", "Term", "Terms"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

Term = tuple[int, list[int]]
"""A coefficient, and the numbers of the forms that it is multiplied with."""


class AxisForms:
    """The different forms ``constant + Σ slices · kept`` that were asked for; the first is the constant 1."""

    def __init__(self, graph: Graph, units: Units | None = None) -> None:
        """Begins with the constant alone.

        Args:
            graph: the network.
            units: its couplings; without them nothing can go, and every length is fixed.
        """
        self._graph, self._units = graph, units
        groups = () if units is None else units.groups
        self._group_of = np.full(0 if units is None else units.count, -1, np.int64)
        for index, group in enumerate(groups):
            self._group_of[group.units] = index
        self._lengths = np.array([len(group) for group in groups], np.int64)
        self._forms: dict[tuple[int, ...], int] = {(1, *([0] * len(groups))): 0}
        self._form_of: dict[bytes, int | None] = {}

    def of(self, value: str, axis: int) -> int | None:
        """The number of an axis' form; None where nothing along it can go."""
        rows = None if self._units is None else self._units.axes.get((value, axis))
        if not rows:
            return None
        classes = rows[0].classes
        key = classes.tobytes()  # most axes repeat another's row of units
        if key not in self._form_of:
            owners = self._group_of[classes]
            free = owners[owners >= 0]
            counts = np.bincount(free, minlength=len(self._lengths)) // self._lengths
            form = (len(owners) - len(free), *counts.tolist())
            self._form_of[key] = self._forms.setdefault(form, len(self._forms)) if len(free) else None
        return self._form_of[key]

    def term(self, coefficient: int, dims: Iterable[tuple[str, int]]) -> Term:
        """A product of axis lengths: fixed lengths go into the coefficient, the others are numbers of forms."""
        varying = []
        for value, axis in dims:
            form = self.of(value, axis)
            if form is None:
                coefficient *= self._graph.shape(value)[axis]
            else:
                varying.append(form)
        return coefficient, sorted(varying)

    def matrix(self) -> tuple[Floats, Floats]:
        """Constants, (forms,), and factors, (forms, groups), of all forms so far."""
        forms = np.array(list(self._forms), np.float64)
        return forms[:, 0], forms[:, 1:]

    def sizes(self, kept: Ints) -> Floats:
        """What all forms come to, (population, forms); `kept` is (population, groups)."""
        constant, factors = self._matrices
        return np.asarray(np.asarray(kept, np.float64) @ factors.T + constant)

    @property
    def _matrices(self) -> tuple[Floats, Floats]:
        if len(self._forms) != self._compiled_for:
            self._compiled, self._compiled_for = self.matrix(), len(self._forms)
        return self._compiled

    _compiled: tuple[Floats, Floats]
    _compiled_for = -1


@dataclass(frozen=True)
class Terms:
    """Products of affine forms: `coefficients[t] * Π sizes[forms[t, :]]`, form 0 being the constant 1."""

    coefficients: Floats
    forms: Ints

    @staticmethod
    def plain(terms: Sequence[Term]) -> Terms:
        """Each term by itself."""
        width = max((len(forms) for _, forms in terms), default=0)
        table = np.zeros((len(terms), width), np.int64)
        for row, (_, forms) in enumerate(terms):
            table[row, : len(forms)] = forms
        return Terms(np.array([coefficient for coefficient, _ in terms], np.float64), table)

    @staticmethod
    def merged(terms: Sequence[Term]) -> Terms:
        """Like `plain`, terms over the same forms added up."""
        sums: dict[tuple[int, ...], int] = {}
        for coefficient, forms in terms:
            sums[tuple(forms)] = sums.get(tuple(forms), 0) + coefficient
        return Terms.plain([(coefficient, list(forms)) for forms, coefficient in sums.items()])

    def each(self, sizes: Floats) -> Floats:
        """Of every candidate, (population, terms); `sizes` is what `AxisForms.sizes` gives."""
        result = np.broadcast_to(self.coefficients, (len(sizes), len(self.coefficients)))
        for column in self.forms.T:
            result = result * sizes[:, column]
        return result

    def total(self, sizes: Floats) -> Floats:
        """The sum over terms, (population,)."""
        return np.asarray(self.each(sizes).sum(axis=1))
