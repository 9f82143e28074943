"""What an operator is to nasopt, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from nasopt.graphs.channels import Coupling
    from nasopt.graphs.graph import Graph, Node

__all__ = ["OPERATORS", "Macs", "Mixing", "Operator", "Rewrite", "operator_of", "register"]

Array = np.ndarray[Any, Any]


class Mixing(Enum):
    """How an operator combines different channels into one number, hence what removing a channel means for it."""

    NONE = "none"
    SUM = "sum"
    """A removed channel contributes 0."""
    MEAN = "mean"
    """The mean is over the channels that stay."""
    HIGHEST = "highest"
    """A removed channel is never the maximum."""
    LOWEST = "lowest"
    """A removed channel is never the minimum."""
    PRODUCT = "product"
    """A removed channel contributes 1."""
    MOMENTS = "moments"
    """Mean and variance are over the channels that stay (layer, group and instance norms over channels)."""


@dataclass(frozen=True, slots=True)
class Macs:
    """MACs of one node: ``coefficient`` times the sizes of ``dims``, axes that pruning may shorten."""

    coefficient: int
    dims: tuple[tuple[str, int], ...]


class Rewrite(Protocol):
    """What an operator's rewrite rule may do to its node once channels have been chosen."""

    @property
    def graph(self) -> Graph: ...

    def keep(self, value: str, axis: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]] | None:
        """Which slices stay along an axis (not negative); None where all do."""

    def set_attribute(self, node: Node, name: str, value: int | list[int] | None) -> None:
        """Sets an attribute; None takes it away."""

    def set_operand(self, node: Node, slot: int, attribute: str, value: Array) -> None:
        """Replaces a constant operand, wherever this opset keeps it (attribute or input)."""


def costs_nothing(graph: Graph, node: Node) -> Macs | None:
    """Operators outside the definition of MACs."""
    return Macs(0, ())


def no_rewrite(rewrite: Rewrite, node: Node) -> None:
    """Operators that say nothing about channel counts."""


def mixes_nothing(graph: Graph, node: Node) -> tuple[int, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Operator:
    """Everything that nasopt knows of an operator of the default domain.

    Attributes:
        couple: its channel rule.
        macs: its cost; None where unknown.
        rewrite: what changes in the node itself when channels of its operands go.
        mixing: how it combines channels.
        mixed_axes: the axes of input 0 over which it combines, for MEAN and MOMENTS.
    """

    couple: Callable[[Coupling, Node], None]
    macs: Callable[[Graph, Node], Macs | None] = costs_nothing
    rewrite: Callable[[Rewrite, Node], None] = no_rewrite
    mixing: Mixing = Mixing.NONE
    mixed_axes: Callable[[Graph, Node], tuple[int, ...]] = mixes_nothing


OPERATORS: dict[str, Operator] = {}


def register(names: str | Iterable[str], operator: Operator) -> None:
    """Adds an operator under one or several names of the default ONNX domain."""
    for name in [names] if isinstance(names, str) else names:
        if name in OPERATORS:
            raise ValueError(f"operator {name} is registered twice")
        OPERATORS[name] = operator


def operator_of(node: Node) -> Operator | None:
    """The operator of a node; None where it is not known."""
    return None if node.domain else OPERATORS.get(node.op)
