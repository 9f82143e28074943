"""The page is well-formed, loads nothing, believes no name, and shows the figures of the result."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nasopt.report.html import page
from nasopt.results import MACS_DEFINITION, CompressResult
from tests.report import example_results as examples

VOID = {"meta", "br", "hr", "img", "link", "input"}
EVIL = "<script>alert('\"&')</script>"


class Reader(HTMLParser):
    """Fails where tags do not match; collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute of <{tag}> is given twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).split())

    def count(self, tag: str, kind: str) -> int:
        return sum(name == tag and kind in (attributes.get("class") or "").split() for name, attributes in self.tags)


def poisoned(value: object) -> object:
    """`value` with markup in every string and path that it holds."""
    if is_dataclass(value):
        return replace(value, **{field.name: poisoned(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, tuple):
        return tuple(poisoned(item) for item in value)
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, Path):
        return Path(str(value) + EVIL.replace("/", ""))
    return value


RESULTS = [examples.RESNET, examples.SHOWN, examples.DRY, examples.SLOW, examples.MISSED, examples.LONG, examples.BUDGET]


@pytest.mark.parametrize("result", RESULTS, ids=["resnet", "shown", "dry", "slow", "missed", "long", "budget"])
def test_well_formed_and_self_contained(result):
    whole = page(result)
    assert whole.startswith("<!DOCTYPE html>")
    text = re.sub(r' src="data:image/png;base64,[A-Za-z0-9+/]+=*"', "", whole)  # what is left must load nothing
    reader = Reader(text)
    assert "http:" not in text
    assert "https:" not in text
    assert not re.search(r"url\(|@import|//[a-z]", text)
    names = {name for name, _ in reader.tags}
    assert ("img" in names) is bool(result.samples)
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not {key for _, attributes in reader.tags for key in attributes} & {"src", "href", "xlink:href", "srcset", "onclick", "onload"}
    policy = next(attributes for _, attributes in reader.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_names_are_text_and_never_markup():
    clean, dirty = Reader(page(examples.SHOWN)), Reader(page(poisoned(examples.SHOWN)))
    assert [tag for tag, _ in dirty.tags] == [tag for tag, _ in clean.tags]
    assert [sorted(attributes) for _, attributes in dirty.tags] == [sorted(attributes) for _, attributes in clean.tags]
    assert dirty.said.count("<script>alert(") >= len(examples.RESNET.groups) + len(examples.FROZEN)


def test_it_says_what_the_result_says():
    result = examples.RESNET
    said = Reader(page(result)).said
    for expected in (
        "resnet56.onnx",
        "resnet56-small.onnx",
        result.command,
        MACS_DEFINITION,
        "125,485,696",
        "108,100,352",
        "\N{MINUS SIGN}13.9 %",
        "asked \N{MINUS SIGN}13.5 %",
        "4.12 ms",
        "3.44 ms",
        "3.2e-07",
        "coupled-l2",
        "60 generations, 4800 evaluations",
        "all constraints reached",
        *result.notes,
        *result.edits,
        *(group.name for group in result.groups),
        *(group.reason for group in result.frozen),
    ):
        assert expected in said, expected
    assert "seed 7" in said


@pytest.mark.parametrize("result", [examples.RESNET, examples.LONG], ids=["resnet", "long"])
def test_one_row_a_group_and_one_point_a_member_of_the_front(result):
    reader = Reader(page(result))
    assert reader.count("div", "channel") == len(result.groups) + 1
    assert reader.count("div", "whole") == sum(group.channels_before == group.channels_after for group in result.groups)
    assert reader.count("div", "frozen") == len(result.frozen)
    assert reader.count("g", "point") == 2 * len(result.front)
    assert reader.count("g", "chosen") == 2


def test_what_went_wrong_is_said():
    assert "slower than the original" in Reader(page(examples.SLOW)).said


def test_a_latency_budget_says_what_was_predicted() -> None:
    said = Reader(page(examples.BUDGET)).said
    assert "Predicted 3.51 ms +- 0.080 ms on laptop, from 16 timings of this network" in said
    assert "not reached" in Reader(page(examples.MISSED)).said
    assert "nothing was written" in Reader(page(examples.DRY)).said
    failed = replace(examples.RESNET, verification=examples.NOT_VERIFIED)
    assert "not verified" in Reader(page(failed)).said


def test_what_was_not_measured_is_left_out():
    said = Reader(page(examples.DRY)).said
    assert "Measured latency" not in said
    assert "Verification" not in said
    assert "Measured latency" in Reader(page(examples.RESNET)).said


def bare() -> CompressResult:
    """Nothing found, nothing cut, nothing to divide by."""
    nothing = replace(examples.BEFORE, macs=0, params=0, activation_bytes=0, peak_activation_bytes=0)
    return replace(examples.DRY, before=nothing, after=nothing, groups=(), front=(), asked={}, command="")


def test_an_empty_network_has_a_page():
    reader = Reader(page(bare()))
    assert reader.count("div", "channel") == 0
    assert reader.count("g", "point") == 0
    assert reader.count("div", "figure") == 4


def test_bars_stay_within_their_track():
    widths = [float(width) for width in re.findall(r"(?:width|left):([0-9.]+)%", page(examples.LONG).partition("</style>")[2])]
    assert len(widths) > 2 * len(examples.LONG.groups)
    assert max(widths) <= 100
    assert min(widths) >= 0


def test_points_stay_within_the_plot():
    circles = re.findall(r'class="dot" cx="([0-9.]+)" cy="([0-9.]+)"', page(examples.LONG))
    assert len(circles) == 2 * len(examples.LONG.front)
    assert all(60 <= float(x) <= 920 and 16 <= float(y) <= 312 for x, y in circles)


def test_the_chosen_point_lies_on_top():
    for plot in page(examples.LONG).split("<svg")[1:3]:
        points = re.findall(r'<g class="(point[a-z ]*)"', plot)
        assert points[-1] == "point chosen"
        assert len(points) == len(examples.LONG.front)
