"""``--preserve``: patterns over nodes, weights and values."""

from __future__ import annotations

import pytest

from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations.preserve import preserved
from tests.small import Net


def three() -> Graph:
    """Three convolutions in a row: weights first, second and third, 4, 6 and 5 channels."""
    net = Net(x=(1, 3, 6, 6))
    net.op("Conv", "x", net.weight("first", 4, 3, 1, 1), out="v1")
    net.op("Conv", "v1", net.weight("second", 6, 4, 1, 1), out="v2")
    net.op("Conv", "v2", net.weight("third", 5, 6, 1, 1), out="v3")
    return Graph(net.model("v3"))


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ([], {"first", "second"}),
        (["node0"], {"second"}),
        (["node1"], {"first"}),
        (["second"], set()),
        (["third"], {"first"}),
        (["v1"], {"second"}),
        (["fir*", "v2"], set()),
        (["node?"], set()),
        (["x"], {"first", "second"}),
    ],
)
def test_what_a_pattern_keeps(patterns: list[str], left: set[str]) -> None:
    graph = three()
    units = solve(couple(graph, preserved(graph, patterns)))
    assert {group.name for group in units.groups} == left


def test_the_barrier_says_on_whose_wish() -> None:
    graph = three()
    units = solve(couple(graph, preserved(graph, ["sec*"])))
    barrier = next(part.barrier for part in units.frozen if part.name == "second")
    assert (barrier.node, barrier.op, barrier.attribute) == ("second", "--preserve", "sec*")
    assert barrier.reason == "'second' is preserved by --preserve 'sec*'"


def test_a_pattern_that_matches_nothing_names_the_closest_name() -> None:
    with pytest.raises(UsageError, match="--preserve '\\*secnd\\*' matches no node, weight or value; the closest name is 'second'"):
        preserved(three(), ["first", "*secnd*"])


def test_patterns_are_case_sensitive() -> None:
    with pytest.raises(UsageError):
        preserved(three(), ["FIRST"])
