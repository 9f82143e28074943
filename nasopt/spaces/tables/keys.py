"""How the rows of a table name their architectures, and how an architecture that a user names becomes such a key.

A key is text. Where a table has it in one column, it is that column's value; where it is spread over columns (OFA, MnasNet), or can be
written in several ways (DARTS), the key is what the space prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BLOCKS_KEY", "OFA_KEY", "Key", "paired"]

STAGES, BLOCKS = 5, 4
"""Of OFA's networks: the depth of each stage says how many of its blocks are there."""


def _joined(columns: Sequence[np.ndarray]) -> tuple[str, ...]:
    (column,) = columns
    return tuple(column.tolist())


def _table_key(space: Any, genes: Any) -> str:
    return str(space.table_key(genes))


@dataclass(frozen=True)
class Key:
    """How the tables of a group name architectures.

    Attributes:
        columns: that tell a row's architecture.
        of_rows: the keys of all rows, from these columns.
        of_genes: the key of an architecture of the space.
        tidy: the key that a text is, or would be if it were one: what can be said without the space.
        general: the key under which tables that tell less apart have it; the same key where all tell it alike.
    """

    columns: tuple[str, ...]
    of_rows: Callable[[Sequence[np.ndarray]], tuple[str, ...]] = _joined
    of_genes: Callable[[Any, Any], str] = _table_key
    tidy: Callable[[str], str] = str.strip
    general: Callable[[str], str] = str


# OFA: kernels, expansions and depths in 45 columns.

KERNELS, EXPANSIONS, DEPTHS = (
    tuple(f"{name}{place}" for place in range(count)) for name, count in (("ks", STAGES * BLOCKS), ("e", STAGES * BLOCKS), ("d", STAGES))
)


def _ofa(columns: Sequence[np.ndarray]) -> tuple[str, ...]:
    table = np.stack(columns, axis=1).astype(np.int64)
    split = len(KERNELS), len(KERNELS) + len(EXPANSIONS)
    kernels, expansions, depths = np.split(table, split, axis=1)
    there = np.arange(BLOCKS) < depths[..., None]  # [rows, stages, blocks]
    form = "ks={};e={};d={}"
    parts = [(part * there.reshape(part.shape)).tolist() for part in (kernels, expansions)]
    rows = zip(*parts, depths.tolist(), strict=True)
    return tuple(form.format(*(",".join(map(str, values)) for values in row)) for row in rows)


OFA_KEY = Key((*KERNELS, *EXPANSIONS, *DEPTHS), _ofa)
"""What the space prints: ``ks=…;e=…;d=…``, with 0 for blocks past a stage's depth, whatever the table has there."""


# MnasNet: four numbers for each of seven blocks.

PARTS = ("e", "k", "l", "se")
PARTED = tuple(f"block{block}_{part}" for block in range(7) for part in PARTS)


def _blocks(columns: Sequence[np.ndarray]) -> tuple[str, ...]:
    form = "-".join(["e{}_k{}_l{}_se{}"] * (len(PARTED) // len(PARTS)))
    return tuple(form.format(*row) for row in np.stack(columns, axis=1).astype(np.int64).tolist())


BLOCKS_KEY = Key(PARTED, _blocks)
"""What the space prints: ``e6_k3_l1_se0-…``."""


# DARTS: a node's two edges have no order, and tables give them in any.

NAMED, NUMBERED = re.compile(r"\('\w+', \d\)"), re.compile(r"\(\d, \d\)")
"""An edge as (name, value), or as (value, number)."""


def _by_value(text: str) -> str:
    """The same architecture with each node's two edges by the value that they read."""
    text = text.strip()
    named = "'" in text
    edge = NAMED if named else NUMBERED
    edges = edge.findall(text)
    if len(edges) % 2:
        return text

    def value(found: str) -> str:
        return found[-2] if named else found[1]

    ordered = iter([found for place in range(0, len(edges), 2) for found in sorted(edges[place : place + 2], key=value)])
    return edge.sub(lambda _: next(ordered), text)


def paired(column: str, of_genes: Callable[[Any, Any], str] = _table_key) -> Key:
    """The key of DARTS' architectures in a column, whichever way round it has the edges of a node."""
    return Key((column,), lambda columns: tuple(_by_value(text) for text in columns[0].tolist()), of_genes, _by_value)
