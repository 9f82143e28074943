"""Weights fitted from second moments alone: one solution a product, no walk through the network.

Right where a product's own inputs are those of the original but for the channels that are gone, as when a single group is cut; where
several are, an approximation that is quick enough to try many cuts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nasopt.graphs.products import Product, products
from nasopt.graphs.units import Mask, Units

__all__ = ["fitted"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_RIDGE = 1e-3
"""In units of the mean square of the features, towards the inherited weight."""


def fitted(units: Units, removed: Mask, grams: Mapping[str, Floats]) -> dict[str, Array]:
    """Least-squares weights of every ungrouped product that loses inputs, in the shapes that they have after the cut.

    Args:
        units: of the network before the cut.
        removed: the units that go.
        grams: second moments by node name (`nasopt.runtime.grams.gather`).

    Returns:
        New weights and shifts by name.
    """
    found: dict[str, Array] = {}
    for product in products(units.graph):
        keep = units.keep(product.weight, product.inputs, removed)
        if keep is not None and product.groups == 1 and product.node.name in grams:
            found |= _solved(units, removed, product, keep, grams[product.node.name][0])
    return found


def _solved(units: Units, removed: Mask, product: Product, keep: Mask, gram: Floats) -> dict[str, Array]:
    """New weight and shift of one product that keeps these inputs."""
    stored = units.graph.weights[product.weight].array()
    matrix = product.matrix(stored)
    width, shift = matrix.shape[1], bool(product.shift)
    stays = np.flatnonzero(np.append(np.repeat(keep, width // len(keep)), shift))
    goes = np.setdiff1d(np.arange(width), stays)
    penalty = np.full(len(stays), _RIDGE * max(float(np.diagonal(gram)[:width].mean()), 1e-30))
    if shift:
        penalty[-1] = 1e-9
    # What is gone is expressed by what stays, as a change of the inherited weight.
    change = np.linalg.solve(gram[np.ix_(stays, stays)] + np.diag(penalty), gram[np.ix_(stays, goes)] @ matrix[:, goes].T).T
    slices = len(stays) - shift
    rows = units.keep(product.weight, product.outputs, removed)
    rows = np.ones(len(matrix), np.bool_) if rows is None else rows
    like = np.compress(keep, np.compress(rows, stored, product.outputs), product.inputs)
    found = {product.weight: product.array((matrix[:, stays[:slices]] + change[:, :slices])[rows], like)}
    if shift:
        old = units.graph.weights[product.shift].array()
        factor = np.divide(product.scale, product.shift_scale, out=np.zeros(len(matrix)), where=product.shift_scale != 0)
        moved = (old.reshape(-1) + change[:, -1] * factor).astype(old.dtype)[rows]
        found[product.shift] = moved.reshape([len(moved) if size == len(rows) else size for size in old.shape])
    return found
