"""Spaces and tables as text: what is asked for is there, absent tables are told apart, nothing strange reaches the terminal."""

from __future__ import annotations

from dataclasses import replace

from nasopt.report import spaces, tables
from nasopt.report.layout import Style
from tests.report import example_results as examples

PLAIN, COLOURED = Style(colour=False), Style(colour=True)


def test_all_texts_are_plain_without_colour_and_the_same_with_it() -> None:
    texts = {
        spaces.list_text: examples.SPACES,
        spaces.show_text: examples.SPACE,
        spaces.sample_text: examples.SAMPLED,
        spaces.build_text: examples.BUILT,
        tables.list_text: examples.TABLES,
        tables.show_text: examples.TABLE,
        tables.query_text: examples.QUERIED,
        tables.import_text: examples.IMPORTED,
    }
    for render, result in texts.items():
        plain, coloured = render(result, PLAIN), render(result, COLOURED)  # type: ignore[operator]
        assert "\x1b" not in plain
        assert len(coloured) >= len(plain) > 0
        assert all(line == line.rstrip() for line in plain.splitlines())


def test_absent_tables_are_told_apart() -> None:
    text = tables.list_text(examples.TABLES, PLAIN)
    assert "not here" in text
    assert "fetch that" in text
    assert "fetch it" not in text


def test_a_damaged_table_is_hard_to_overlook() -> None:
    assert "DIFFERS" in tables.show_text(examples.TABLE, PLAIN)


def test_missing_values_are_said_to_be_missing() -> None:
    assert "missing" in tables.query_text(examples.QUERIED, PLAIN)


def test_names_cannot_play_tricks_on_a_terminal() -> None:
    strange = replace(examples.QUERIED, architecture="\x1b[2Jgone")
    assert "\x1b" not in tables.query_text(strange, PLAIN)
