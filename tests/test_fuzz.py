"""A few hundred of the cases of `benchmarks.fuzz`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import outcome

ONCE_DEFECTS = [5547, 5936, 8, 39, 76, 278, 822, 1009, 1382, 1688, 1698, 3600, 3681, 4402, 5044, 8116, 8490, 8848, 9510, 1351, 3113, 5377]


@pytest.mark.parametrize("number", ONCE_DEFECTS)
def test_what_once_went_wrong(tmp_path: Path, number: int) -> None:
    assert not outcome(number, tmp_path).startswith("!")


@given(number=st.integers(0, 10**6))
@settings(max_examples=200)
def test_a_damaged_network_is_compressed_or_refused(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    said = outcome(number, tmp_path_factory.mktemp("fuzz"))
    assert not said.startswith("!"), said
