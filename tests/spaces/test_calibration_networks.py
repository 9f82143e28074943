"""Calibration networks: of every space, of many sizes, and the same whenever they are built."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, random_inputs, run
from nasopt.spaces.calibration_networks import build_network, calibration_networks
from nasopt.spaces.registry import SPACES


def test_there_are_twenty_of_all_spaces() -> None:
    names = calibration_networks()
    assert len(set(names)) == len(names) == 20
    assert {name.split(":")[0].split("(")[0] for name in names} == set(SPACES)


def test_they_run_and_their_answers_are_finite() -> None:
    macs = []
    for name in calibration_networks():
        graph = Graph(build_network(name))
        macs.append(totals(graph).macs)
        for answer in run(open_session(graph.model), random_inputs(graph, 0), origin=name):
            assert np.isfinite(answer).all(), name
            assert np.abs(answer).max() > 1e-3, name  # denormal numbers would be slow
    assert (round(min(macs) / 1e6), round(max(macs) / 1e8)) == (8, 27)  # docs/devices.md


def test_any_name_of_the_form_is_a_network() -> None:
    graph = Graph(build_network("nasbench_macro(resolution=16,classes=7):02012220"))
    assert graph.bound[graph.inputs[0]] == (1, 3, 16, 16)
    assert graph.shape(graph.outputs[0]) == (1, 7)
    assert build_network("nasbench_macro:02012220").SerializeToString() == build_network("nasbench_macro:02012220").SerializeToString()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "names no network"),
        ("fbnet", "names no network"),
        ("fbnet()" + ":1", "names no network"),
        ("fbnet(resolution=big):1", "names no network"),
        ("fbnett:1", "did you mean fbnet"),
        ("fbnet(size=3):1", "has no setting 'size'"),
        ("fbnet(resolution=0):1", "must be positive"),
        ("fbnet:1", "is no architecture"),
    ],
)
def test_names_of_nothing(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build_network(name)
