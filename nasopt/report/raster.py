"""Pictures of directed graphs as PNG, for what shows no SVG."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from nasopt.report.dag import COLOURS, LINE, PAD, laid_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nasopt.drawings import Drawing

__all__ = ["png"]

SCALE = 2
"""Pixels of the picture for one of the page."""
LARGEST = 30_000
"""Pixels along an edge; a larger page is made smaller."""
STEPS = 12
"""Straight pieces of one bend of an arrow."""
DARK, GREY, LINE_GREY = "#222b38", "#5b6675", "#78828f"


def png(drawing: Drawing) -> bytes:
    """Draws a graph, twice as fine as the SVG, unless the picture would be too large.

    Args:
        drawing: boxes and arrows.

    Returns:
        The bytes of a file.
    """
    page = laid_out(drawing)
    scale = min(SCALE, LARGEST / max(page.width, page.height, 1))
    picture = Image.new("RGB", (max(1, round(page.width * scale)), max(1, round(page.height * scale))), "#ffffff")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(max(1.0, 11 * scale))

    def at(x: float, y: float) -> tuple[float, float]:
        return (x - page.left) * scale, y * scale

    for points in page.arrows:
        draw.line([at(*point) for point in _curve(points)], fill=LINE_GREY, width=max(1, round(1.2 * scale)))
        x, y = points[-1]
        draw.polygon([at(x - 4, y - 7), at(x + 4, y - 7), at(x, y)], fill=LINE_GREY)
    for left, top, width, height, box in page.boxes:
        fill, stroke = COLOURS.get(box.kind, COLOURS["plain"])
        corners = [*at(left, top), *at(left + width, top + height)]
        draw.rounded_rectangle(corners, 5 * scale, fill=fill, outline=stroke, width=max(1, round(scale)))
        for index, line in enumerate(box.lines):
            draw.text(at(left + width / 2, top + PAD / 2 + LINE * (index + 0.5)), _written(line), fill=DARK, font=font, anchor="mm")
    draw.text(at(page.left + 2 * PAD, PAD + LINE), _written(page.title), fill=DARK, font=font, anchor="ls")
    for index, line in enumerate(page.words):
        draw.text(at(page.left + 2 * PAD, PAD + LINE * (2 + index)), _written(line), fill=GREY, font=font, anchor="ls")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _written(text: str) -> str:
    """Pillow's own font has no sign for "times"."""
    return text.replace("×", "x")


def _curve(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Cubic pieces between the points, upright at each, as straight ones."""
    yield points[0]
    for (x, y), (to, target) in pairwise(points):
        for step in range(1, STEPS + 1):
            t = step / STEPS
            share = t * t * (3 - 2 * t)
            middle = (y + target) / 2
            height = (1 - t) ** 3 * y + 3 * (1 - t) ** 2 * t * middle + 3 * (1 - t) * t * t * middle + t**3 * target
            yield x + (to - x) * share, height
