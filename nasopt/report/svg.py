"""The report's two plots: the Pareto front, and latency with its quartiles.

Text in an SVG shrinks with it, so each plot is drawn twice, for wide and for narrow pages, and the page shows one of them. Colours
and fonts are those of the page.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from nasopt.report.units import count, less, milliseconds, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nasopt.results import FrontPoint, Latency, LatencyStats

__all__ = ["boxes", "pareto"]

WIDTHS = {"wide": 920, "narrow": 380}
LEFT, RIGHT, TOP, BOTTOM = 66, 26, 34, 48  # what is asked for is written above the plot, where no point lies


def pareto(front: Sequence[FrontPoint], macs: int, limit: float | None) -> str:
    """Draws saliency kept against MACs; hovering or focusing a point shows its figures in the corner that a front leaves empty.

    Args:
        front: the points, one of them chosen.
        macs: MACs of the original, which the axis is relative to.
        limit: the share of `macs` that was asked for at most, if it was.

    Returns:
        ``<svg>`` elements.
    """
    return "\n".join(_pareto(front, macs, limit, kind, width) for kind, width in WIDTHS.items())


def boxes(latency: Latency) -> str:
    """Draws both medians as bars from zero, with a line from the first to the third quartile.

    Args:
        latency: the two measurements.

    Returns:
        ``<svg>`` elements.
    """
    return "\n".join(_boxes(latency, kind, width) for kind, width in WIDTHS.items())


def _pareto(front: Sequence[FrontPoint], macs: int, limit: float | None, kind: str, width: int) -> str:
    height = 378
    shares = {point: point.macs / max(macs, 1) for point in front}
    x_ticks = _ticks(min(shares.values()), max([1.0, *shares.values()]), width // 130)
    y_ticks = _ticks(min(point.saliency for point in front), 1.0, 6)
    x = _scale(x_ticks, LEFT, width - RIGHT)
    y = _scale(y_ticks, height - BOTTOM, TOP)
    base, right = height - BOTTOM, width - RIGHT
    curve = " ".join(f"{x(shares[point]):.1f},{y(point.saliency):.1f}" for point in sorted(front, key=lambda point: point.macs))
    grid = [
        f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{right}"/>'
        f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{_percent(tick)}</text>'
        for tick in y_ticks
    ]
    axis = [
        f'<path class="axis" d="M{x(tick):.1f} {base}v5"/>'
        f'<text x="{x(tick):.1f}" y="{base + 19}" text-anchor="middle">{_percent(tick)}</text>'
        for tick in x_ticks
    ]
    beyond = []
    if limit is not None and x_ticks[0] <= limit:
        at, asked = x(limit), less(1 - limit).replace("-", "&minus;")
        beyond = [
            f'<rect class="beyond" x="{at:.1f}" y="{TOP}" width="{right - at:.1f}" height="{base - TOP}"/>',
            f'<path class="limit" d="M{at:.1f} {TOP - 12}V{base}"/>',
            f'<text x="{min(max(at, LEFT + 50), right - 30):.1f}" y="{TOP - 18}" text-anchor="middle">asked: {asked}</text>',
        ]
    drawn_last = sorted(front, key=lambda point: (point.chosen, point.macs))  # the chosen one lies on top
    points = [_point(point, x(shares[point]), y(point.saliency), shares[point], (right - 12, base - 12)) for point in drawn_last]
    return "\n".join(
        [
            f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="Pareto front: saliency kept against MACs">',
            *beyond[:1],
            *grid,
            *axis,
            *beyond[1:],
            f'<text x="{(LEFT + right) / 2:.0f}" y="{height - 8}" text-anchor="middle">MACs, share of the original</text>',
            f'<text transform="translate(12 {(TOP + base) / 2:.0f}) rotate(-90)" text-anchor="middle">saliency kept</text>',
            f'<polyline class="curve" points="{curve}"/>',
            *points,
            "</svg>",
        ]
    )


def _point(point: FrontPoint, x: float, y: float, share: float, corner: tuple[float, float]) -> str:
    """A point, and its figures in a box whose lower right corner is `corner`."""
    width, height = 196, 86
    left, top = corner[0] - width, corner[1] - height
    name = "chosen" if point.chosen else "on the front"
    facts = [
        f"{percent(point.saliency)} of the saliency",
        f"{count(point.macs)} MACs ({percent(share)})",
        f"{count(point.params)} parameters",
    ]
    lines = [f'<text class="strong" x="{left + 14}" y="{top + 24}">{name}</text>']
    lines += [f'<text x="{left + 14}" y="{top + 41 + 17 * line}">{escape(fact)}</text>' for line, fact in enumerate(facts)]
    written = [f"written to {point.output}"] if point.output else []
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="10"/>' if point.chosen else ""
    return (
        f'<g class="point{" chosen" if point.chosen else ""}" tabindex="0" aria-label="{escape("; ".join([name, *facts, *written]))}">'
        f'<circle class="hit" cx="{x:.1f}" cy="{y:.1f}" r="9"/>'
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{6 if point.chosen else 4}"/>{ring}'
        f'<g class="tip"><rect x="{left}" y="{top}" width="{width}" height="{height}" rx="8"/>{"".join(lines)}</g></g>'
    )


def _boxes(latency: Latency, kind: str, width: int) -> str:
    left, height = LEFT - 2, 124
    ticks = _ticks(0.0, max(latency.before.q3_ms, latency.after.q3_ms, 1e-9), width // 130)
    x = _scale(ticks, left, width - 90)
    lines = []
    for tick in ticks:
        label = f"{tick:.6g} ms" if tick else "0"
        lines.append(f'<path class="grid" d="M{x(tick):.1f} 4V{height - 26}"/>')
        lines.append(f'<text x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{label}</text>')
    return "\n".join(
        [
            f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="Latency before and after">',
            *lines,
            *_box("before", latency.before, 12, x, "before"),
            *_box("after", latency.after, 52, x, "slower" if latency.slower else "after"),
            "</svg>",
        ]
    )


def _box(name: str, stats: LatencyStats, top: int, x: Callable[[float], float], kind: str) -> list[str]:
    middle, left = top + 14, x(0)
    low, median, high = x(stats.q1_ms), x(stats.median_ms), x(stats.q3_ms)
    whisker = f"M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 5}v10M{high:.1f} {middle - 5}v10"
    return [
        f'<text x="{left - 10:.0f}" y="{middle + 4}" text-anchor="end">{name}</text>',
        f'<rect class="box {kind}" x="{left:.0f}" y="{top}" width="{median - left:.1f}" height="28" rx="3"/>',
        f'<path class="spread" d="{whisker}"/>',
        f'<text class="strong" x="{max(high, median) + 10:.1f}" y="{middle + 4}">{milliseconds(stats.median_ms)}</text>',
    ]


def _scale(ticks: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """The map from values to coordinates that puts the outer ticks at `start` and `end`."""
    return lambda value: start + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (end - start)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Some `about` round numbers that enclose an interval."""
    raw = max(high - low, 1e-6) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def _percent(share: float) -> str:
    """The label of a tick: ``60 %``, with digits where ticks are close."""
    return f"{round(share * 100, 4):g} %"
