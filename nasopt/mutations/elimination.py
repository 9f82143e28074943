"""What a removed unit costs after the rest has made good for it: block-wise optimal brain surgery on second moments.

Removing the input channels of a product and refitting what stays by least squares leaves the error ``Σ w_u (H⁻¹)_uu⁻¹ w_uᵀ`` (Hassibi and
Stork, 1993; blocks of a channel's kernel positions as in Frantar and Alistarh, Optimal Brain Compression, 2022, Eq. 4), with H the second
moments of its inputs. Units go greedily, each time the one whose loss, summed over all products that read it, is least. Losses are
relative to what the whole group contributes to each product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasopt.graphs.products import Product, products
from nasopt.graphs.units import UnitGroup, Units

__all__ = ["eliminate"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_RIDGE = 1e-3

ROUNDS = 64
"""In large groups a sixty-fourth of the units goes at once: one by one would take a minute where there are a thousand of them."""


@dataclass
class _Reader:
    """A product that reads a group.

    Attributes:
        places: features of each unit: (units, features a unit).
        inverse: inverse second moments of the features of the group, given all others.
        weight: their weights: (outputs, features of the group).
    """

    places: Ints
    inverse: Floats
    weight: Floats

    def losses(self, alive: Ints) -> Floats:
        if self.places.shape[1] == 1:  # 1×1 kernels: many units, and no blocks to solve for
            single = self.places[alive, 0]
            return np.asarray(np.square(self.weight[:, single]).sum(axis=0) / self.inverse[single, single])
        blocks = self._blocks(alive)
        own = self.weight[:, self.places[alive]].transpose(1, 0, 2)  # units, outputs, features
        return np.asarray(np.einsum("uof,ufo->u", own, np.linalg.solve(blocks, own.transpose(0, 2, 1))))

    def _blocks(self, alive: Ints) -> Floats:
        places = self.places[alive]
        return self.inverse[places[:, :, None], places[:, None, :]]

    def remove(self, units: Ints) -> float:
        """Takes units together and lets the rest make good for them; gives what is lost."""
        places = self.places[units].reshape(-1)
        own = self.weight[:, places]
        block = self.inverse[np.ix_(places, places)]
        factor = self.inverse[places] / block if len(places) == 1 else np.linalg.solve(block, self.inverse[places])
        lost = float(np.einsum("of,fo->", own, np.linalg.solve(block, own.T)))
        self.weight -= own @ factor
        self.inverse -= self.inverse[:, places] @ factor
        return lost


def eliminate(units: Units, grams: Mapping[str, Floats]) -> list[tuple[Ints, Floats] | None]:
    """For each group the order in which its units should go, and what is lost with the first 0, 1, … of them.

    Args:
        units: the solved couplings.
        grams: second moments by node name (`nasopt.runtime.grams.gather`).

    Returns:
        Once a group: places in `group.units`, and losses relative to losing all of it; None where no product with a stored weight reads it.
    """
    mine = [product for product in products(units.graph) if product.node.name in grams and product.groups == 1]
    inverses = {}
    for product in mine:
        gram = grams[product.node.name][0]
        level = max(float(np.diagonal(gram)[:-1].mean()), 1e-30)
        inverses[product.node.name] = np.linalg.inv(gram + np.diag([*[_RIDGE * level] * (len(gram) - 1), 1e-9]))
    return [_greedy(len(group), list(_readers(units, group, mine, inverses))) for group in units.groups]


def _readers(units: Units, group: UnitGroup, mine: list[Product], inverses: Mapping[str, Floats]) -> Iterator[_Reader]:
    place = np.full(units.count, -1, np.int64)
    place[group.units] = np.arange(len(group))
    for product in mine:
        rows = units.axes.get((product.weight, product.inputs), ())
        owners = [place[row.classes] for row in rows]
        slices = [np.flatnonzero(own >= 0) for own in owners]
        if not any(len(found) for found in slices):
            continue
        matrix = product.matrix(units.graph.weights[product.weight].array()) * product.scale[:, None]
        channels = units.graph.shape(product.weight)[product.inputs]
        kernel = matrix.shape[1] // channels
        channel = np.concatenate(slices)
        unit = np.concatenate([own[found] for own, found in zip(owners, slices, strict=True)])
        order = np.argsort(unit, kind="stable")
        if len(unit) % len(group) or (np.bincount(unit, minlength=len(group)) != len(unit) // len(group)).any():
            continue
        columns = (channel[order][:, None] * kernel + np.arange(kernel)).reshape(-1)
        inverse = inverses[product.node.name][np.ix_(columns, columns)]
        reader = _Reader(np.arange(len(columns)).reshape(len(group), -1), inverse, matrix[:, columns])
        whole = float(np.einsum("of,fo->", reader.weight, np.linalg.solve(inverse, reader.weight.T)))
        if whole > 0:
            reader.weight = reader.weight / np.sqrt(whole)
            yield reader


def _greedy(size: int, readers: list[_Reader]) -> tuple[Ints, Floats] | None:
    if not readers:
        return None
    alive, order, loss = np.arange(size), np.zeros(size, np.int64), np.zeros(size + 1)
    turn = 0
    while turn < size:
        losses = sum((reader.losses(alive) for reader in readers), np.zeros(len(alive)))
        together = max(1, len(alive) // ROUNDS)
        best = np.argsort(losses, kind="stable")[:together]
        lost = max(sum(reader.remove(alive[best]) for reader in readers), 0.0)
        # What a few units lose together is shared out as each would lose alone.
        share = np.cumsum(np.maximum(losses[best], 1e-300))
        order[turn : turn + together] = alive[best]
        loss[turn + 1 : turn + together + 1] = loss[turn] + lost * share / share[-1]
        alive = np.delete(alive, best)
        turn += together
    return order, loss
