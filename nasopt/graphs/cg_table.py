"""Computational graphs of a whole population: which channels of which node follow from how many units each group keeps.

Pruning changes neither nodes nor edges, only channels, so that the features of every candidate are those of the network with some numbers
replaced: nothing is built. (A grouped convolution that is left with a channel a group keeps its name, though a graph of its own would
call it depthwise.)
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.graphs.axis_forms import AxisForms
from nasopt.graphs.cg_from_graph import channel_axes, computational_graph
from nasopt.graphs.computational_graph import CHANNELS, CGFeatures

if TYPE_CHECKING:
    from nasopt.graphs.units import Units

__all__ = ["CGTable"]

Floats = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


class CGTable:
    """The computational graph of a network, and of everything that it can be pruned to."""

    def __init__(self, units: Units) -> None:
        """Compiles the table.

        Args:
            units: the couplings.
        """
        self.features: CGFeatures = computational_graph(units.graph).features()
        forms = AxisForms(units.graph, units)
        ends = channel_axes(units.graph)
        numbers = [[None if end is None else forms.of(*end) for end in pair] for pair in ends]
        self._varying = np.array([[number is not None for number in pair] for pair in numbers], np.bool_).reshape(-1, 2)
        self._which = np.array([number for pair in numbers for number in pair if number is not None], np.int64)
        self._forms = forms

    @cached_property
    def changing(self) -> Ints:
        """Nodes of which some channels vary: (nodes,)."""
        return np.flatnonzero(self._varying.any(axis=1))

    def channels(self, kept: Ints) -> Floats:
        """Channels in and out of every changing node, scaled as features are: (population, changing nodes, 2).

        Args:
            kept: units kept per group, (population, groups).
        """
        sizes = self._forms.sizes(kept) / CHANNELS
        result = np.repeat(self.features.resolutions[None, self.changing, 4:], len(kept), axis=0)
        result[:, self._varying[self.changing]] = sizes[:, self._which]
        return result

    def features_of(self, kept: Ints) -> CGFeatures:
        """The features of one candidate; `kept` is (groups,)."""
        resolutions = self.features.resolutions.copy()
        resolutions[self.changing, 4:] = self.channels(kept[None])[0]
        return CGFeatures(
            self.features.weighted_ops, self.features.kernels, self.features.biases, self.features.regular_ops, resolutions,
            self.features.edges,
        )  # fmt: skip
