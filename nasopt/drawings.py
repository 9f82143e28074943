"""What can be drawn: boxes with lines of text, and which box leads to which. `nasopt.report.dag` makes a picture of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Box", "Drawing"]


@dataclass(frozen=True, slots=True)
class Box:
    """One box; ``kind`` chooses its colour: ``edge`` (input or output), ``layer`` (holds weights), ``join`` or ``plain``."""

    lines: tuple[str, ...]
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A directed graph without cycles.

    Attributes:
        title: above it.
        boxes: in any order.
        arrows: from which box to which, by place in `boxes`.
        detail: below the title, broken where the picture ends.
    """

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[tuple[int, int], ...]
    detail: str = ""
