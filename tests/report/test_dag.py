"""Pictures of directed graphs: every box once, nothing over anything else, arrows downwards."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import hypothesis
import hypothesis.strategies as st
import pytest
from hypothesis import given
from PIL import Image

from nasopt.drawings import Box, Drawing
from nasopt.report.dag import html, laid_out, svg
from nasopt.report.raster import png

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    count = draw(st.integers(1, 12))
    pairs = [(one, other) for one in range(count) for other in range(one + 1, count)]
    arrows = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=25)) if pairs else []
    lines = st.lists(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20), min_size=1, max_size=3)
    return Drawing("a & <b>", tuple(Box(tuple(draw(lines))) for _ in range(count)), tuple(arrows))


def boxes(root: ET.Element) -> list[tuple[float, float, float, float]]:
    found = [group.find(f"{SVG}rect") for group in root.iter(f"{SVG}g")]
    return [tuple(float(one.attrib[key]) for key in ("x", "y", "width", "height")) for one in found if one is not None]  # type: ignore[misc]


@given(drawings())
def test_boxes_do_not_overlap_and_lie_on_the_page(drawing: Drawing) -> None:
    root = ET.fromstring(svg(drawing))  # noqa: S314  our own output
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    placed = boxes(root)
    assert len(placed) == len(drawing.boxes)
    for index, (x, y, w, h) in enumerate(placed):
        assert left <= x
        assert x + w <= left + width
        assert top <= y
        assert y + h <= top + height
        for u, v, ww, hh in placed[:index]:
            assert x + w <= u + 0.2 or u + ww <= x + 0.2 or y + h <= v + 0.2 or v + hh <= y + 0.2


@given(drawings())
def test_arrows_run_downwards(drawing: Drawing) -> None:
    root = ET.fromstring(svg(drawing))  # noqa: S314
    paths = [path.attrib["d"] for path in root.iter(f"{SVG}path") if "marker-end" in path.attrib]
    assert len(paths) == len(drawing.arrows)
    for path in paths:
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d", path)]
        heights = [numbers[1], *numbers[7::6]]
        assert heights == sorted(heights)


def test_words_are_escaped() -> None:
    text = svg(Drawing("<t>", (Box(("<script>&",)),), ()))
    assert "<script>" not in text
    assert "&lt;script&gt;&amp;" in text


def test_a_cycle_is_an_error() -> None:
    with pytest.raises(ValueError, match="cycle"):
        svg(Drawing("", (Box(("a",)), Box(("b",))), ((0, 1), (1, 0))))


@given(drawings())
@hypothesis.settings(max_examples=15)
def test_pngs_are_of_the_same_size_twice_as_fine(drawing: Drawing) -> None:
    page = laid_out(drawing)
    with Image.open(io.BytesIO(png(drawing))) as picture:
        assert picture.format == "PNG"
        assert picture.size == (round(2 * page.width), round(2 * page.height))
        assert len(picture.resize((64, 64)).getcolors(4096) or ()) > 1


def test_a_huge_picture_is_made_smaller() -> None:
    long = Drawing("long", tuple(Box((str(index),)) for index in range(900)), tuple((index, index + 1) for index in range(899)))
    with Image.open(io.BytesIO(png(long))) as picture:
        assert max(picture.size) <= 30_000


def test_a_page_holds_the_picture() -> None:
    drawing = Drawing("<t>", (Box(("a",)),), ())
    page = html(drawing)
    assert svg(drawing) in page
    assert "<title>&lt;t&gt;</title>" in page
