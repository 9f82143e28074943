"""What rectifiers let through of a value, so that a fit need not meet what they cut off or shrink.

The error behind a rectifier is minimised by majorisation: with derivatives of at most 1, a step from where the network stands is a least
squares problem with the same second moments and other targets (for low-rank filters and ReLU: Zhang et al., IEEE TPAMI 2016, Section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.products import Product

__all__ = ["Rectifier", "rectifier_of"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float32]]

KINDS = ("Relu", "Clip", "LeakyRelu", "PRelu")


@dataclass(frozen=True)
class Rectifier:
    """Passes what lies between two bounds.

    Attributes:
        low: below it, differences are shrunk by the slope.
        high: above it, all is alike.
        slope: from 0 to 1; a number, or one a channel.
    """

    low: float
    high: float
    slope: Floats

    def aim(self, target: Array, then: Array) -> Array:
        """Values to fit to, in place of the target: (rows, channels).

        Args:
            target: what the original has at the rectifier.
            then: what the network would have there as it stands.
        """
        low, high, slope = self.low, self.high, self.slope.astype(then.dtype)
        shrunk = then + slope * slope * (target - then) if slope.any() else then
        # Where the original is cut off, any value beyond the bound will do: the nearest is aimed at.
        below = np.where(then <= low, shrunk, low + slope * (target - low) if slope.any() else low)
        return np.where(target <= low, below, np.where(target >= high, np.maximum(then, high), target))


def rectifier_of(graph: Graph, product: Product) -> Rectifier | None:
    """What reads the target of a product; None where something else does, or all of it passes.

    Args:
        graph: the network whose weights are fitted.
        product: one of its products.
    """
    value = product.target
    readers = [node for node, _ in graph.consumers.get(value, ())]
    if not readers or value in graph.outputs or any(node.domain or node.op not in KINDS for node in readers):
        return None
    found = [_single(graph, node, product) for node in readers]
    low, high = min(one.low for one in found), max(one.high for one in found)
    slope = np.max(np.broadcast_arrays(*(one.slope for one in found)), axis=0)
    return Rectifier(low, high, slope) if (slope < 1).any() else None


def _single(graph: Graph, node: Node, product: Product) -> Rectifier:
    if node.op == "LeakyRelu":
        return Rectifier(0.0, np.inf, _shrinking(np.float32(node.attrs.get("alpha", 0.01))))
    if node.op == "PRelu":
        return Rectifier(0.0, np.inf, _shrinking(_slopes(graph, node, product)))
    if node.op == "Relu":
        return Rectifier(0.0, np.inf, np.zeros((), np.float32))
    limits = [float(node.attrs.get("min", -np.inf)), float(node.attrs.get("max", np.inf))]
    for place, name in enumerate(node.inputs[1:3]):
        if name:
            constant = graph.constants.get(name)
            limits[place] = (-np.inf, np.inf)[place] if constant is None else float(constant.reshape(-1)[0])
    return Rectifier(limits[0], limits[1], np.zeros((), np.float32))


def _slopes(graph: Graph, node: Node, product: Product) -> Array:
    """Slopes of a PRelu, once a channel of the product; 1 where they are not known, or vary within a channel."""
    weight = graph.weights.get(node.inputs[1])
    if weight is None:
        return np.ones((), np.float32)
    axis = product.axis - len(graph.shape(product.target)) + len(weight.shape)  # shapes are aligned at their ends
    if weight.size > 1 and (axis < 0 or weight.shape[axis] != weight.size):
        return np.ones((), np.float32)
    slopes = weight.array().reshape(-1)
    return slopes.reshape(()) if weight.size == 1 else slopes


def _shrinking(slopes: Any) -> Floats:
    """Slopes that do not shrink pass everything on."""
    slopes = np.asarray(slopes, np.float32)
    return np.where((slopes >= 0) & (slopes <= 1), slopes, np.float32(1))
