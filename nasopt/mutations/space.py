"""The compiled search space: sites, their choices, and tables that score a population of genomes without building a model.

A genome is a row of integers, one a site: the index of the choice taken there. Choices are ordered from least to most kept, so that a
larger gene never costs less, and the last one leaves its site as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nasopt.graphs.cost import CostTable
from nasopt.graphs.units import Mask, Units
from nasopt.mutations.contract import Edit, Site
from nasopt.mutations.importance import Ranking
from nasopt.mutations.prune_channels import PruneChannels, edit_of, removal_of

__all__ = ["SearchSpace", "choices_of"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def choices_of(length: int, channels: int, step: int) -> tuple[int, ...]:
    """How many units of a group may stay at a granularity.

    Args:
        length: units in the group.
        channels: channels per unit.
        step: channel counts move in multiples of this; leaving the group whole is always a choice.
    """
    stride = max(1, step // int(np.gcd(step, channels)))
    return (*range(stride, length, stride), length)


@dataclass(frozen=True)
class SearchSpace:
    """Pruning choices of one graph at given granularities.

    Attributes:
        units: the couplings.
        costs: cost forms.
        order: for each group, its units from least to most important.
        kept_saliency: for each group, saliency that is kept with 0, 1, … units.
        steps: granularity of each group, in channels.
        choices: for each group, the numbers of units that may be kept.
    """

    units: Units
    costs: CostTable
    order: tuple[Ints, ...]
    kept_saliency: tuple[Floats, ...]
    steps: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    whole: float = 1.0
    """What all saliency together stands for, in the currency of the losses."""

    @staticmethod
    def compile(units: Units, rankings: Sequence[Ranking], steps: Sequence[int], costs: CostTable | None = None) -> SearchSpace:
        """Compiles the tables.

        Args:
            units: the couplings.
            rankings: for each group, the order in which units go and what is lost.
            steps: granularity of each group, in channels.
            costs: cost forms, where they exist already.
        """
        total = max(sum(ranking.whole for ranking in rankings), 1e-300)
        kept = tuple((ranking.whole - ranking.loss[::-1]) / total for ranking in rankings)
        choices = tuple(choices_of(len(group), group.channels, step) for group, step in zip(units.groups, steps, strict=True))
        orders = tuple(ranking.order for ranking in rankings)
        return SearchSpace(units, costs or CostTable(units), orders, kept, tuple(steps), choices, total)

    def at(self, steps: Sequence[int]) -> SearchSpace:
        """The same space at another granularity."""
        choices = tuple(choices_of(len(group), group.channels, step) for group, step in zip(self.units.groups, steps, strict=True))
        return replace(self, steps=tuple(steps), choices=choices)

    def lost(self, place: int, kept: int) -> float:
        """What is lost where one group keeps so many units, in the currency of the losses."""
        own = self.kept_saliency[place]
        return float(own[-1] - own[kept]) * self.whole

    def weighted(self, factors: Sequence[Floats]) -> SearchSpace:
        """The same space with other losses.

        Args:
            factors: for each group what its losses are multiplied with, by units kept (0, 1, … all of them), or one number.
        """
        weighted = [(own[-1] - own) * self.whole * factor for own, factor in zip(self.kept_saliency, factors, strict=True)]
        losses = [np.maximum.accumulate(loss[::-1])[::-1] for loss in weighted]  # fewer units never lose less
        wholes = [float(own[-1] * self.whole * np.ravel(factor)[0]) for own, factor in zip(self.kept_saliency, factors, strict=True)]
        total = max(sum(wholes), 1e-300)
        kept = tuple((whole - loss) / total for whole, loss in zip(wholes, losses, strict=True))
        return replace(self, kept_saliency=kept, whole=total)

    def sites(self) -> list[Site]:
        """The sites in the order of the genes."""
        return [Site(PruneChannels.kind, group.name, choice) for group, choice in zip(self.units.groups, self.choices, strict=True)]

    @property
    def lengths(self) -> Ints:
        """Number of choices of every gene."""
        return np.array([len(choice) for choice in self.choices], np.int64)

    def kept(self, genomes: Ints) -> Ints:
        """Units kept per group: (population, groups)."""
        offsets, flat = self._choice_table
        return np.asarray(flat[offsets + genomes])

    def saliency(self, kept: Ints) -> Floats:
        """Share of the network's saliency that is kept, per candidate (below 0 where a measure counts a loss as more than total)."""
        offsets, flat = self._saliency_table
        return np.asarray(flat[offsets + kept].sum(axis=1))

    @cached_property
    def _choice_table(self) -> tuple[Ints, Ints]:
        """Where each gene's choices begin, and the choices of all genes one after the other."""
        return _joined(self.choices, np.int64)

    @cached_property
    def _saliency_table(self) -> tuple[Ints, Floats]:
        return _joined(self.kept_saliency, np.float64)

    def removed(self, kept: Sequence[int]) -> Mask:
        """Flags of the units that go when each group keeps that many."""
        return removal_of(self.units, self.order, kept)

    def edit(self, kept: Sequence[int]) -> Edit:
        """The edit that realises a candidate."""
        return edit_of(self.units, self.removed(kept))


def _joined(rows: Sequence[Sequence[int] | Floats], dtype: Any) -> tuple[Ints, Any]:
    offsets = np.cumsum([0, *(len(row) for row in rows)])[:-1]
    return offsets, np.concatenate([np.asarray(row, dtype) for row in rows]) if rows else np.zeros(0, dtype)
