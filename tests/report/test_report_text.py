"""Figures as people read them, columns that line up, and the text of each verb."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nasopt.report import text, units
from nasopt.report.layout import Style, columns, printable
from tests.report import example_results as examples

PLAIN = Style(colour=False)


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0"), (999, "999"), (1000, "1.00 k"), (99_960, "100.0 k"), (125_485_696, "125.5 M"), (4.1e9, "4.10 G"), (999_960, "1.00 M")],
)
def test_counts(number, said):
    assert units.count(number) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0 B"), (512, "512 B"), (3_471_204, "3.47 MB"), (1000, "1.00 kB")])
def test_sizes(number, said):
    assert units.byte_size(number) == said


@pytest.mark.parametrize(
    ("share", "said"), [(0.135, "13.5 %"), (1, "100.0 %"), (0, "0.0 %"), (0.0035, "0.35 %"), (5.1e-6, "<0.01 %"), (-0.0035, "-0.35 %")]
)
def test_shares(share, said):
    assert units.percent(share) == said


@pytest.mark.parametrize(
    ("before", "after", "said"), [(100, 86.5, "-13.5 %"), (100, 122, "+22.0 %"), (5, 5, "0.0 %"), (0, 0, "0.0 %"), (0, 3, "")]
)
def test_changes(before, after, said):
    assert units.change(before, after) == said


def test_shapes_and_plurals():
    assert (units.shape((1, "N", 3)), units.shape(()), units.shape(None)) == ("1xNx3", "scalar", "?")
    assert (units.plural(1, "group"), units.plural(0, "group")) == ("1 group", "0 groups")


def test_columns_line_up_with_and_without_colours():
    rows = [("a", "1"), ("long", "100")]
    coloured = [(Style(colour=True)(name, "bold"), number) for name, number in rows]
    assert columns(rows, "lr") == ["  a       1", "  long  100"]
    assert [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in columns(coloured, "lr")] == columns(rows, "lr")
    assert columns([], "lr") == []


def test_names_cannot_steer_a_terminal():
    assert printable("conv\x1b[31m\n\u202ex") == "conv\\x1b[31m\\n\\u202ex"
    assert printable("größe/☃") == "größe/☃"


VERBS = {
    "inspect": lambda style: text.inspect(examples.INSPECT, style),
    "explain": lambda style: text.explain(examples.EXPLAIN, style, verbosity=1),
    "compress": lambda style: text.compress(examples.RESNET, style, verbosity=1),
    "diff": lambda style: text.diff(examples.DIFF, style),
    "verify": lambda style: text.verify(examples.NOT_VERIFIED, style, original=Path("a"), result=Path("b")),
    "bench": lambda style: text.bench(examples.BENCH, style),
    "doctor": lambda style: text.doctor(examples.SICK, style),
}


@pytest.mark.parametrize("verb", VERBS)
def test_colours_change_nothing_but_colours(verb):
    import re

    coloured = VERBS[verb](Style(colour=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == VERBS[verb](PLAIN)


@pytest.mark.parametrize("verb", VERBS)
def test_any_terminal_can_show_it(verb):
    said = VERBS[verb](PLAIN)
    assert said.isascii()
    assert not [line for line in said.splitlines() if line != line.rstrip()]
    assert "\n\n\n" not in said


def test_inspect_names_what_is_unknown_and_what_is_bound():
    said = text.inspect(examples.INSPECT, PLAIN)
    assert "com.example::Odd (1x)" in said
    assert "float32 Nx3x32x32 (analysed as 1x3x32x32)  image" in said


def test_inspect_lists_the_heaviest_or_all():
    nodes = tuple(replace(examples.INSPECT.nodes[0], name=f"node{index:02}", macs=index) for index in range(30))
    result = replace(examples.INSPECT, nodes=nodes)
    short, complete = text.inspect(result, PLAIN), text.inspect(result, PLAIN, verbosity=1)
    assert [line.split()[-1] for line in short.splitlines() if "node" in line and "Conv" in line and "MACs are" not in line] == [
        f"node{index}" for index in range(29, 19, -1)
    ]
    assert "20 lighter nodes" in short
    assert all(node.name in complete for node in nodes)


def test_explain_accounts_for_every_frozen_group_heaviest_first():
    said = text.explain(examples.EXPLAIN, PLAIN)
    places = [said.index(group.reason) for group in sorted(examples.FROZEN, key=lambda group: -group.locked_macs)]
    assert places == sorted(places)
    for group in examples.FROZEN:
        assert f"{group.op} {group.attribute} at {group.node}" in said
    assert "7.5 %  layer2.0.shortcut (32 channels)" in said


def test_compress_shows_what_was_asked_and_what_came_of_it():
    said = text.compress(examples.RESNET, PLAIN)
    assert "models/resnet56.onnx -> out/resnet56-small.onnx" in said
    assert "125.5 M   108.1 M  -13.9 %  asked -13.5 %" in said
    assert "4.12 ms   3.48 ms  -15.6 %  1 thread, median of 50" in said
    assert "23 of 30 groups cut; steps (auto): 16 at 16, 7 at 8" in said
    assert "out/resnet56-small.onnx.json" in said
    assert all(note in said for note in examples.RESNET.notes)


def test_compress_shows_a_latency_that_was_asked_for():
    said = text.compress(examples.BUDGET, PLAIN)
    assert "-15.6 %  asked -15.0 %; openvino, 1 thread, median of 50" in said
    assert "predicted 3.51 ms +- 0.080 ms on laptop, from 16 timings of this network" in said


def test_compress_without_cuts():
    whole = tuple(replace(group, channels_after=group.channels_before) for group in examples.RESNET.groups)
    assert "none of 30 groups of channels was cut" in text.compress(replace(examples.RESNET, groups=whole), PLAIN)


def test_diff_folds_a_long_list():
    changes = examples.DIFF.changes * 50
    result = replace(examples.DIFF, changes=changes, interface_equal=False)
    short = text.diff(result, PLAIN)
    assert "10 more (-v lists all)" in short
    assert "the interface differs" in short
    assert text.diff(result, PLAIN, verbosity=1).count("weight shape") == 50
