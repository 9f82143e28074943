"""What a result has to satisfy: relative drops of MACs, parameters and peak activation memory, and milliseconds as they are predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nasopt.errors import UsageError
from nasopt.mutations.space import SearchSpace

__all__ = ["CONSTRAINTS", "LATENCY", "Constraints", "Latencies"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

CONSTRAINTS = ("flops", "params", "memory")
LATENCY = "latency"


class Latencies(Protocol):
    """What a network's candidates take on a device, as it is predicted; what is known may grow while a search goes on."""

    drop: float
    whole: float
    """Milliseconds of the input network."""

    @property
    def bound(self) -> float:
        """Milliseconds that a candidate may be predicted to take."""
        ...

    def milliseconds(self, kept: Ints) -> Floats:
        """Of a population, (population,); `kept` is (population, groups)."""
        ...


@dataclass(frozen=True)
class Constraints:
    """Upper bounds, as drops relative to `base`.

    Attributes:
        drops: constraint (``flops``, ``params``, ``memory``) → relative drop asked for.
        base: each constraint's cost of the *input* network, before any edit.
        latency: a bound on predicted milliseconds; None without one.
    """

    drops: Mapping[str, float]
    base: Mapping[str, float]
    latency: Latencies | None = None

    def __post_init__(self) -> None:
        for name, drop in self.drops.items():
            if not 0.0 < drop < 1.0:
                raise UsageError(f"--{name}-drop {drop:g}: must lie between 0 and 1, both excluded (0.13 is 13 %)")

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.drops, *([] if self.latency is None else [LATENCY]))

    @property
    def asked(self) -> dict[str, float]:
        """Every constraint's relative drop."""
        return {**self.drops, **({} if self.latency is None else {LATENCY: self.latency.drop})}

    def costs(self, space: SearchSpace, kept: Ints, names: tuple[str, ...] | None = None) -> Floats:
        """Costs of a population by constraint: (population, constraints)."""
        table = {"flops": space.costs.macs, "params": space.costs.params, "memory": space.costs.peak_activation_bytes}
        if self.latency is not None:
            table[LATENCY] = self.latency.milliseconds
        columns = [table[name](kept) for name in (self.names if names is None else names)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(kept), 0))

    def excess(self, space: SearchSpace, kept: Ints) -> Floats:
        """How far above its bound each cost is, relative to the input network: (population, constraints); not above 0 where it holds."""
        costs = self.costs(space, kept)
        base = np.array([max(self.base[name], 1.0) for name in self.drops])
        bound = np.array([(1.0 - drop) * self.base[name] for name, drop in self.drops.items()])
        if self.latency is not None:
            base, bound = np.append(base, self.latency.whole), np.append(bound, self.latency.bound)
        return np.asarray((costs - bound) / base)

    def hold(self, space: SearchSpace, kept: Ints) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which candidates satisfy every constraint."""
        return np.asarray((self.excess(space, kept) <= 0).all(axis=1))

    def reached(self, space: SearchSpace, kept: Ints) -> dict[str, float]:
        """Relative drop of one candidate, for every kind of constraint; that of latency where there is such a constraint."""
        costs = self.costs(space, kept[None], CONSTRAINTS)[0]
        drops = {name: 1.0 - cost / max(self.base[name], 1.0) for name, cost in zip(CONSTRAINTS, costs.tolist(), strict=True)}
        if self.latency is not None:
            drops[LATENCY] = 1.0 - float(self.latency.milliseconds(kept[None])[0]) / self.latency.whole
        return drops
