"""The section of samples shows every picture and every score, beside that of the other network."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace

import pytest

from nasopt.report.html import page
from nasopt.report.samples import cards, lead
from nasopt.results import Sample
from tests.report import example_results as examples
from tests.report.test_report_html import Reader

ALL = [examples.CLASSES, examples.MASKS, examples.HEATMAPS, examples.IMAGES]


def pictures(html: str) -> list[bytes]:
    return [b64decode(text, validate=True) for text in re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="[a-z ]+">', html)]


@pytest.mark.parametrize("samples", ALL, ids=["classes", "masks", "heatmaps", "images"])
def test_all_pictures_in_order(samples: tuple[Sample, ...]) -> None:
    html = cards(samples)
    expected = [png for sample in samples for png in (sample.picture, sample.before.picture, sample.after.picture) if png is not None]
    assert pictures(html) == expected
    assert html.count("<img") == len(expected)
    assert Reader(html).count("div", "sample") == len(samples)


def test_classes_with_their_scores_side_by_side() -> None:
    reader = Reader(cards(examples.CLASSES))
    said = reader.said
    assert said.startswith("before 5 98.8 % 3 1.0 % 0 0.0 % after 5 75.0 % 3 20.0 % 1 5.0 % before 8 100.0 %")
    assert said.count("differs") == 1
    assert reader.count("div", "other") == 1
    assert reader.count("div", "bare") == 1
    widths = [float(width) for width in re.findall(r"width:([0-9.]+)%", cards(examples.CLASSES))]
    assert len(widths) == sum(len(side.classes) for sample in examples.CLASSES for side in (sample.before, sample.after))
    assert (min(widths), max(widths)) == (0, 100)


@pytest.mark.parametrize(
    ("samples", "source", "said"),
    [
        (
            examples.CLASSES,
            "200 images of photos",
            "drawn from 200 images of photos. Output logits: both networks put the same class first for 2 of 3.",
        ),
        (examples.MASKS, "", "2 inputs that nothing was learnt from. Output mask: both networks give 90.0 % of the pixels the same class."),
        (examples.HEATMAPS, "", "their correlation 0.938 on average."),
        (examples.IMAGES, "", "1 input that nothing was learnt from. Output clean: the correlation of both is 0.500 on average."),
    ],
)
def test_what_the_samples_come_to(samples: tuple[Sample, ...], source: str, said: str) -> None:
    assert Reader(f"<p>{lead(samples, source)}</p>").said.replace(" :", ":").endswith(said)


def test_what_each_picture_comes_to() -> None:
    assert "input before after 95.0 % of the pixels alike input" in Reader(cards(examples.MASKS)).said
    assert Reader(cards(examples.HEATMAPS)).said == "before after correlation 0.938"


def test_the_page_has_the_section_where_there_are_samples() -> None:
    for samples in ALL:
        text = page(replace(examples.RESNET, samples=samples))
        assert f'<h2>Samples</h2>\n<p class="lead">{lead(samples, "300 synthetic images")}</p>\n{cards(samples)}' in text
    assert "drawn from" not in page(replace(examples.SHOWN, repair=None))
    assert "<h2>Samples</h2>" not in page(examples.RESNET)


def test_names_are_text() -> None:
    evil = replace(examples.CLASSES[0], output="<script>&")
    assert "<script>" not in lead([evil], "<script>") + cards([evil])
