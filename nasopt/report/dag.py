"""Pictures of directed graphs: cells and networks, from top to bottom, as SVG or as a page (`nasopt.report.raster` makes PNGs).

Layered as by Sugiyama, Tagawa and Toda (IEEE SMC 1981): boxes lie as many rows down as the longest way to them is long, long arrows bend
around the rows that they pass, and each row is ordered by where its neighbours are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nasopt.drawings import Box, Drawing

__all__ = ["COLOURS", "LETTER", "LINE", "PAD", "Page", "html", "laid_out", "svg"]

LETTER, LINE, PAD = 6.6, 16.0, 8.0
"""Width of a letter, height of a line, and space around them, in pixels at 11 px."""
GAP, BEND, ROW = 22.0, 14.0, 34.0
"""Between boxes of a row, around the bend of a long arrow, and between rows."""
SWEEPS = 8
NARROWEST = 60
"""Letters of a line of detail, however narrow the picture."""

COLOURS = {"edge": ("#eceff4", "#6b7689"), "layer": ("#dcebff", "#2f6fbf"), "join": ("#e5f4e3", "#3c8f3f"), "plain": ("#fff4dc", "#b9851b")}

HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z" fill="#78828f"/></marker></defs>'
)

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<style>body {{ margin: 0; background: #fff }} div {{ transform-origin: 0 0 }}</style></head>
<body><div id="picture">{picture}</div>
<script>
let size = 1;
addEventListener("keydown", event => {{
  const factor = {{ "+": 1.25, "=": 1.25, "-": 0.8, "0": 1 / size }}[event.key];
  if (factor && !event.ctrlKey && !event.metaKey) {{
    size *= factor;
    document.getElementById("picture").style.transform = `scale(${{size}})`;
  }}
}});
</script></body>
</html>
"""

Row = list["_Place"]


@dataclass(eq=False)
class _Place:
    """A box, or a bend of a long arrow, on the page."""

    box: Box | None
    row: int
    width: float
    height: float
    x: float = 0.0
    above: list[_Place] = field(default_factory=list)
    below: list[_Place] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """Where everything lies, in pixels.

    Attributes:
        left: where the page begins; it is `width` wide and `height` high.
        words: lines below the title.
        boxes: left, top, width, height, and what is in it.
        arrows: the points that each goes through, from the lower edge of a box to the upper edge of another; upright at each.
    """

    left: float
    width: float
    height: float
    title: str
    words: tuple[str, ...]
    boxes: tuple[tuple[float, float, float, float, Box], ...]
    arrows: tuple[tuple[tuple[float, float], ...], ...]


def laid_out(drawing: Drawing) -> Page:
    """Finds a place for everything.

    Args:
        drawing: boxes and arrows.

    Raises:
        ValueError: the graph has a cycle.
    """
    places, chains = _laid_out(drawing)
    rows: list[Row] = [[] for _ in range(1 + max((place.row for place in places), default=0))]
    for place in places:
        rows[place.row].append(place)
    _order(rows)
    _spread(rows)
    left = min((place.x - place.width / 2 for place in places), default=0.0) - 2 * PAD
    right = max((place.x + place.width / 2 for place in places), default=0.0) + 2 * PAD
    right = max(right, left + 1.2 * LETTER * len(drawing.title) + 4 * PAD)  # bold
    words = wrap(drawing.detail, max(NARROWEST, int((right - left - 4 * PAD) / LETTER)), break_long_words=True)
    right = max(right, left + LETTER * max(map(len, words), default=0) + 4 * PAD)
    tops, top = [], PAD + LINE * (2 + len(words))
    for row in rows:
        tops.append(top)
        top += max((place.height for place in row), default=0.0) + ROW
    boxes = tuple(
        (place.x - place.width / 2, tops[place.row], place.width, place.height, place.box) for place in places if place.box is not None
    )
    arrows = tuple(_through(chain, tops) for chain in chains)
    return Page(left, right - left, top - ROW + 2 * PAD, drawing.title, tuple(words), boxes, arrows)


def svg(drawing: Drawing) -> str:
    """Draws a graph.

    Args:
        drawing: boxes and arrows.

    Returns:
        One ``<svg>`` element that stands alone.
    """
    page = laid_out(drawing)
    left = page.left
    size = f'viewBox="{left:.1f} 0 {page.width:.1f} {page.height:.1f}" width="{page.width:.0f}" height="{page.height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="11" role="img">',
        f"<title>{escape(page.title)}</title>",
        f'<rect x="{left:.1f}" width="{page.width:.1f}" height="{page.height:.1f}" fill="#ffffff"/>',
        HEAD,
        f'<text x="{left + 2 * PAD:.1f}" y="{PAD + LINE:.1f}" font-weight="600" fill="#222b38">{escape(page.title)}</text>',
        *(
            f'<text x="{left + 2 * PAD:.1f}" y="{PAD + LINE * (2 + line):.1f}" fill="#5b6675">{escape(text)}</text>'
            for line, text in enumerate(page.words)
        ),
        *map(_arrow, page.arrows),
        *(_boxed(*box) for box in page.boxes),
        "</svg>",
    ]
    return "\n".join(parts)


def html(drawing: Drawing) -> str:
    """A page that stands alone, with the picture on it: it scrolls, and + and - change its size."""
    return PAGE.format(title=escape(drawing.title), picture=svg(drawing))


def _laid_out(drawing: Drawing) -> tuple[list[_Place], list[list[_Place]]]:
    """Boxes and bends in rows, and each arrow as the places that it goes through."""
    depth = _depths(len(drawing.boxes), drawing.arrows)
    places = [
        _Place(box, depth[index], LETTER * max(map(len, box.lines), default=0) + 2 * PAD, LINE * len(box.lines) + PAD)
        for index, box in enumerate(drawing.boxes)
    ]
    chains = []
    for begin, end in drawing.arrows:
        bends = [_Place(None, row, BEND, 0.0) for row in range(depth[begin] + 1, depth[end])]
        chain = [places[begin], *bends, places[end]]
        for one, other in pairwise(chain):
            one.below.append(other)
            other.above.append(one)
        places.extend(bends)
        chains.append(chain)
    return places, chains


def _depths(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way to each box; without a way in, as near to its first reader as can be."""
    readers: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for begin, end in arrows:
        readers[begin].append(end)
        waiting[end] += 1
    sources = [index for index in range(count) if not waiting[index]]
    depth, ready = [0] * count, list(sources)
    while ready:
        index = ready.pop()
        for reader in readers[index]:
            depth[reader] = max(depth[reader], depth[index] + 1)
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if any(waiting):
        raise ValueError("a graph with a cycle cannot be drawn from top to bottom")
    for index in sources[1:]:
        depth[index] = max(0, min((depth[reader] for reader in readers[index]), default=1) - 1)
    return depth


def _order(rows: list[Row]) -> None:
    """Orders each row by the mean place of its neighbours, down and up again."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            means = {}
            for index, place in enumerate(row):
                neighbours = place.above if down else place.below
                means[place] = sum(other.x for other in neighbours) / len(neighbours) if neighbours else float(index)
            row.sort(key=means.__getitem__)
            for index, place in enumerate(row):
                place.x = float(index) - len(row) / 2


def _spread(rows: list[Row]) -> None:
    """Gives boxes their room, then moves them towards their neighbours as far as those beside them allow."""
    for row in rows:
        _push(row, [0.0] * len(row))
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            wanted = []
            for place in row:
                near = place.above + place.below
                wanted.append(sum(other.x for other in near) / len(near) if near else place.x)
            _push(row, wanted)


def _push(row: Row, wanted: Sequence[float]) -> None:
    """Places a row in its order, as near to what is wanted as its boxes' widths allow (means of what collides)."""
    blocks: list[tuple[list[_Place], list[float], float]] = []  # places, their offsets from the first, wanted position of the first
    for place, x in zip(row, wanted, strict=True):
        blocks.append(([place], [0.0], x))
        while len(blocks) > 1:
            (left, offsets, at), (right, more, then) = blocks[-2:]
            room = offsets[-1] + left[-1].width / 2 + GAP + right[0].width / 2
            if at + room <= then:
                break
            mean = (at * len(left) + (then - room) * len(right)) / (len(left) + len(right))
            blocks[-2:] = [(left + right, offsets + [room + offset for offset in more], mean)]
    for places, offsets, at in blocks:
        for place, offset in zip(places, offsets, strict=True):
            place.x = at + offset


def _boxed(x: float, top: float, width: float, height: float, box: Box) -> str:
    fill, stroke = COLOURS.get(box.kind, COLOURS["plain"])
    middle = x + width / 2
    lines = "".join(
        f'<text x="{middle:.1f}" y="{top + PAD / 2 + LINE * (index + 0.75):.1f}" text-anchor="middle" fill="#222b38">{escape(line)}</text>'
        for index, line in enumerate(box.lines)
    )
    return (
        f'<g><rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5" fill="{fill}" stroke="{stroke}"/>{lines}</g>'
    )


def _through(chain: list[_Place], tops: Sequence[float]) -> tuple[tuple[float, float], ...]:
    begin, *bends, end = chain
    first = (begin.x, tops[begin.row] + begin.height)
    return (first, *((place.x, tops[place.row]) for place in bends), (end.x, tops[end.row] - 1.0))


def _arrow(points: Sequence[tuple[float, float]]) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to, target) in pairwise(points):
        middle = (y + target) / 2
        path += f" C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {target:.1f}"
    return f'<path d="{path}" fill="none" stroke="#78828f" stroke-width="1.2" marker-end="url(#head)"/>'
