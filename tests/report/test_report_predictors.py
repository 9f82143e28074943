"""Predictors as text."""

from __future__ import annotations

from nasopt.report import predictors, reproduction
from nasopt.report.layout import Style
from tests.report import example_results as examples

PLAIN, COLOURED = Style(colour=False), Style(colour=True)


def test_texts_are_plain_without_colour_and_longer_with_it() -> None:
    for plain, coloured in (
        (predictors.predict_text(examples.PREDICTED, PLAIN), predictors.predict_text(examples.PREDICTED, COLOURED)),
        (predictors.train_text(examples.TRAINED, PLAIN), predictors.train_text(examples.TRAINED, COLOURED)),
        (reproduction.reproduce_text(examples.REPRODUCED, PLAIN), reproduction.reproduce_text(examples.REPRODUCED, COLOURED)),
    ):
        assert plain.isascii()
        assert "\x1b" not in plain
        assert len(coloured) > len(plain)
        assert all(line == line.rstrip() for line in plain.splitlines())


def test_a_single_member_has_no_deviation() -> None:
    assert "+- 0.310 over 3 members" in predictors.predict_text(examples.PREDICTED, PLAIN)
    assert "+-" not in predictors.predict_text(examples.UNLIKE, PLAIN)


def test_a_score_without_a_value_is_named() -> None:
    text = predictors.proxies_text(examples.PROXIES, PLAIN)
    assert text.splitlines()[0] == "64 random inputs, labels random"
    assert "8.1e+07" in text
    assert "no finite value for this network: nwot" in text
