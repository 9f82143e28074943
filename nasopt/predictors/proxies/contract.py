"""What a proxy is, and what it may ask for."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from nasopt.errors import MissingExtraError

try:
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise MissingExtraError("this needs PyTorch: pip install 'nasopt[torch]'") from None

from nasopt.predictors.proxies.observed import Product
from nasopt.predictors.proxies.subject import Subject

__all__ = ["Evidence", "Need", "Proxy"]


class Need(enum.Enum):
    """What is gathered of a batch, in one pass for all that ask."""

    BY_WEIGHTS = "derivatives of the loss by the weights of products"
    BY_OUTPUTS = "derivatives of the loss by the outputs of products"
    CURVATURE = "the loss' Hessian times its gradient, by weights"
    BY_INPUTS = "derivatives of the sum of all outputs by the inputs"
    AGREEMENT = "on how many rectified elements two rows agree"
    LABELS = "classes"


@dataclass(slots=True)
class Evidence:
    """What was gathered; what nobody asked for is empty.

    Attributes:
        subject: the network, for what needs passes of its own.
        seen: the products of one pass, in order, with MACs of one row.
        weights: of these products, each once, in the order of first use.
        by_weights: one derivative a weight, of its shape.
        products: those with a weight, in the order of `outputs`.
        outputs: of these products.
        by_outputs: one derivative an output, of its shape.
        curvature: H g, one a weight, of its shape.
        by_inputs: (rows, elements of the float inputs).
        agreement: (rows, rows); None without a rectifier.
        labels: (rows,) or (rows, ...).
        classes: how many.
        missing: what was asked for, and this network does not have.
    """

    subject: Subject
    seen: tuple[Product, ...]
    weights: tuple[nn.Parameter, ...]
    products: tuple[Product, ...] = ()
    by_weights: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    by_outputs: tuple[Tensor, ...] = ()
    curvature: tuple[Tensor, ...] = ()
    by_inputs: Tensor | None = None
    agreement: Tensor | None = None
    labels: Tensor | None = None
    classes: int = 0
    missing: set[Need] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A zero-cost proxy."""

    name: str
    source: str
    needs: frozenset[Need]
    score: Callable[[Evidence], float]
    """Only asked if nothing that it needs is missing. Not finite where the definition has no value for the network."""
