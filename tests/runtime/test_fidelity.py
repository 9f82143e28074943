"""How far answers are: 0 where they are the same, 1 where the mean would have done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasopt.runtime.fidelity import answers, divergence
from nasopt.runtime.sessions import open_session
from tests.small import Net

Rows = list[list[np.ndarray]]


def rows(seed: int, *shapes: tuple[int, ...], batches: int = 3) -> Rows:
    rng = np.random.default_rng(seed)
    return [[rng.standard_normal(shape) + 2 for shape in shapes] for _ in range(batches)]


@given(st.integers(0, 99), st.floats(0, 3), st.floats(-5, 5))
def test_it_is_the_share_of_the_variance_that_is_missed(seed: int, share: float, lift: float) -> None:
    """A constant that is added to the original's answers counts for nothing."""
    expected = rows(seed, (4, 5), (4, 2, 3))
    means = [np.concatenate([row[place] for row in expected]).mean(axis=0) for place in range(2)]
    got = [[value + share * (mean - value) for value, mean in zip(row, means, strict=True)] for row in expected]
    assert divergence(expected, expected) == 0
    assert divergence(expected, got) == pytest.approx(share**2)
    lifted, also = ([[value + lift for value in row] for row in one] for one in (expected, got))
    assert divergence(lifted, also) == pytest.approx(share**2)


def test_outputs_count_alike() -> None:
    expected = rows(0, (4, 5), (4, 50))
    mean = np.concatenate([first for first, _ in expected]).mean(axis=0)
    got = [[np.broadcast_to(mean, (4, 5)), second] for _, second in expected]
    assert divergence(expected, got) == pytest.approx(0.5)


def test_batches_may_differ_in_size_and_outputs_may_lack_one() -> None:
    rng = np.random.default_rng(0)
    expected = [[rng.standard_normal((size, 3)), np.float32(size)] for size in (2, 5, 1)]
    got = [[value, np.float32(8 / 3)] for value, _ in expected]
    assert divergence(expected, got) == pytest.approx(0.5), "the scalars are three answers"


def test_what_says_nothing_is_left_out() -> None:
    expected = rows(0, (4, 5))
    constant = [[*row, np.ones((4, 2))] for row in expected]
    assert divergence(constant, [[*row, np.zeros((4, 2))] for row in expected]) == 0
    broken = [[*row, np.full((4, 2), np.nan)] for row in expected]
    assert divergence(broken, broken) == 0
    assert divergence([], []) == 0


def test_answers_that_are_not_finite_are_infinitely_far() -> None:
    expected = rows(0, (4, 5))
    got = [[np.where(np.arange(5) == 3, np.nan, row[0])] for row in expected]
    assert divergence(expected, got) == np.inf


def test_answers_are_the_floating_outputs() -> None:
    net = Net(x=("N", 4))
    y = net.op("Gemm", "x", net.weight("w", 4, 3))
    model = net.model(net.op("ArgMax", y, axis=1), y)
    batches = [{"x": np.random.default_rng(seed).standard_normal((2, 4)).astype(np.float32)} for seed in range(3)]
    found = answers(model, batches)
    assert [len(row) for row in found] == [1, 1, 1]
    for row, batch in zip(found, batches, strict=True):
        assert row[0] == pytest.approx(open_session(model, optimise=False).run(None, batch)[1], rel=1e-5)


def test_a_single_input_tells_something_as_well() -> None:
    target = np.array([[1.0, 2.0, 4.0]])
    assert divergence([[target]], [[target + 0.5]]) == pytest.approx(0.75 / (((target - target.mean()) ** 2).sum()))
    assert divergence([[target]], [[target]]) == 0
