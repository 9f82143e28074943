"""Axis lengths as affine functions of how many units each group keeps: what costs and features of a population are filled from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nasopt.graphs.units import Units

__all__ = ["AxisForms"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


class AxisForms:
    """The different forms ``constant + Σ slices · kept`` that were asked for; the first is the constant 1."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._group_of = np.full(units.count, -1, np.int64)
        for index, group in enumerate(units.groups):
            self._group_of[group.units] = index
        self._lengths = np.array([len(group) for group in units.groups], np.int64)
        self._forms: dict[tuple[int, ...], int] = {(1, *([0] * len(units.groups))): 0}
        self._form_of: dict[bytes, int | None] = {}

    def of(self, value: str, axis: int) -> int | None:
        """The number of an axis' form; None where nothing along it can go."""
        rows = self._units.axes.get((value, axis))
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

    def matrix(self) -> tuple[Floats, Floats]:
        """Constants, (forms,), and factors, (forms, groups), of all forms so far."""
        forms = np.array(list(self._forms), np.float64)
        return forms[:, 0], forms[:, 1:]
