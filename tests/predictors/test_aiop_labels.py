"""Scaled labels come back, have mean 0 and deviation 1 on what they were fitted to, and Eq. 5 is the paper's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasopt.errors import UsageError
from nasopt.predictors.aiop.labels import MODES, Mode, Scale, divisor


@given(st.sampled_from(MODES), st.integers(0, 2**31), st.integers(3, 40))
def test_scaled_labels_come_back(mode: Mode, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    labels, gflops = rng.uniform(0.1, 1, count), rng.uniform(0, 20, count)
    scale = Scale.fit(mode, labels, gflops)
    np.testing.assert_allclose(scale.invert(scale.apply(labels, gflops), gflops), labels, rtol=1e-9)
    assert Scale(**scale.told()) == scale
    if mode != "none":
        scaled = scale.apply(labels, gflops)
        assert abs(scaled.mean()) < 1e-9
        assert abs(scaled.std() - 1) < 1e-9


def test_division_is_that_of_the_paper() -> None:
    np.testing.assert_allclose(divisor(np.array([0.0, 9.0, 99.0])), [1, 2, 3])


@pytest.mark.parametrize("labels", [[], [0.9, 0.9], [0.9, float("nan")]])
def test_labels_that_teach_nothing_are_refused(labels: list[float]) -> None:
    with pytest.raises(UsageError, match="do not differ"):
        Scale.fit("stand", np.array(labels), np.ones(len(labels)))
