"""Ask, answer, and ask again: the loop of every search over architectures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nasopt.search.pool import Pool
from nasopt.search.strategies import STRATEGIES, at_random, standing

__all__ = ["STEP", "Ask", "searched"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

STEP = 10
"""Architectures asked for at once (Multi-Predict, Section 5.1)."""

Ask = Callable[[int, int], list[float]]
"""From the number of the question and the row asked about to its values, one a goal."""


def searched(pool: Pool, strategy: str, samples: int, seed: int, ask: Ask, step: int = STEP) -> tuple[list[int], Floats]:
    """Searches.

    Args:
        pool: what there is.
        strategy: one of `nasopt.search.strategies.STRATEGIES`.
        samples: how many architectures may be asked about, the first ones included.
        seed: of every random number.
        ask: gives the answers.
        step: how many are asked about between two proposals.

    Returns:
        The rows in the order in which they were asked about, and their values (samples, goals).
    """
    known: list[int] = []
    values: list[list[float]] = []
    while len(known) < min(samples, len(pool)):
        count = min(step, samples - len(known), len(pool) - len(known))
        rng = np.random.default_rng((seed, len(known)))  # by step, so that a run that is repeated needs no generator's state
        losses = pool.losses(np.array(values, np.float64).reshape(len(known), len(pool.goals)))
        new = STRATEGIES[strategy](pool, known, losses, count, rng) if known else _first(pool, losses, count, rng)
        for row in new:
            values.append(ask(len(known), row))
            known.append(row)
    return known, np.array(values, np.float64)


def _first(pool: Pool, losses: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """Any; half of them what earlier knowledge expects most of, where there is some."""
    likely = [] if pool.expected is None else [int(row) for row in standing(pool.expected)[: count // 2]]
    return [*likely, *at_random(pool, likely, losses, count - len(likely), rng)]
