"""Plain text that lines up: columns, colours where they are welcome, and names that cannot play tricks on a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Style", "columns", "printable"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Style:
    """Colours, or none.

    Attributes:
        colour: whether they are welcome.
    """

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, *names: str) -> str:
        """Wraps `text` in the codes of `names` (``bold``, ``dim``, ``red``, ``green``, ``yellow``, ``cyan``)."""
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"


def printable(text: str) -> str:
    """`text` with what would move a cursor or change a colour spelt out: names come from files that anybody may have made."""
    return text if text.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def columns(rows: Iterable[Sequence[str]], align: str, *, indent: int = 2, gap: int = 2) -> list[str]:
    """Lines up rows of cells.

    Args:
        rows: the cells, styled or not; all rows have as many as `align` has letters.
        align: ``l`` or ``r`` for each column.
        indent: spaces before the first column.
        gap: spaces between columns.

    Returns:
        One line a row, without spaces at its end.
    """
    table = [list(row) for row in rows]
    widths = [max((_width(row[column]) for row in table), default=0) for column in range(len(align))]
    return [
        " " * indent + (" " * gap).join(_pad(cell, width, side) for cell, width, side in zip(row, widths, align, strict=True)).rstrip()
        for row in table
    ]


def _pad(cell: str, width: int, side: str) -> str:
    space = " " * (width - _width(cell))
    return space + cell if side == "r" else cell + space


def _width(cell: str) -> int:
    return len(_ESCAPES.sub("", cell))
