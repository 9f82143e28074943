"""Greedy elimination against least squares by brute force."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasopt.graphs.products import Product, products
from nasopt.graphs.units import Units
from nasopt.mutations.elimination import eliminate
from tests.small import Net, chain, units_of

RIDGE = 1e-3


def two_readers() -> onnx.ModelProto:
    net = Net(x=(1, 3, 4, 4))
    hidden = net.op("Relu", net.conv("x", "a", 3, 6, 3))
    scaled = net.norm(net.conv(hidden, "b", 6, 4), "n", 4)
    return net.model(net.op("Relu", scaled), net.conv(hidden, "c", 6, 2, 3))


def flattened() -> onnx.ModelProto:
    net = Net(x=(1, 3, 2, 2))
    hidden = net.op("Flatten", net.op("Relu", net.conv("x", "a", 3, 5, 3)))
    return net.model(net.op("Gemm", hidden, net.weight("g", 20, 3)))


def doubled() -> onnx.ModelProto:
    net = Net(x=(1, 3, 4, 4))
    hidden = net.op("Relu", net.conv("x", "a", 3, 5, 3))
    return net.model(net.conv(net.op("Concat", hidden, hidden, axis=1), "b", 10, 3, 3))


def random_grams(units: Units, seed: int) -> dict[str, np.ndarray]:
    found = {}
    rng = np.random.default_rng(seed)
    for product in products(units.graph):
        width = product.matrix(units.graph.weights[product.weight].array()).shape[1]
        rows = rng.standard_normal((product.groups, 3 * width, width + 1)) @ rng.standard_normal((width + 1, width + 1))
        rows[:, :, -1] = 1
        found[product.node.name] = rows.transpose(0, 2, 1) @ rows / rows.shape[1]
    return found


def ridged(gram: np.ndarray) -> np.ndarray:
    level = np.diagonal(gram)[:-1].mean()
    return gram + np.diag([*[RIDGE * level] * (len(gram) - 1), 1e-9])


def lost(product: Product, units: Units, gram: np.ndarray, columns: Sequence[int]) -> float:
    """What is missed without some features once all others are fitted anew."""
    gram = ridged(gram)
    weight = product.matrix(units.graph.weights[product.weight].array()) * product.scale[:, None]
    weight = np.concatenate([weight, np.zeros((len(weight), 1))], axis=1)
    kept = np.setdiff1d(np.arange(len(gram)), columns)
    fitted = np.zeros_like(weight)
    fitted[:, kept] = np.linalg.solve(gram[np.ix_(kept, kept)], gram[kept] @ weight.T).T
    missing = weight - fitted
    return float(np.einsum("of,fg,og->", missing, gram, missing))


def columns_of(product: Product, units: Units, gone: np.ndarray) -> np.ndarray:
    """Features of a product whose channels belong to these units."""
    channels = np.zeros(units.graph.shape(product.weight)[product.inputs], np.bool_)
    for row in units.axes.get((product.weight, product.inputs), ()):
        channels |= np.isin(row.classes, gone)
    width = product.matrix(units.graph.weights[product.weight].array()).shape[1]
    return np.flatnonzero(np.repeat(channels, width // len(channels)))


def brute_force(units: Units, grams: dict[str, np.ndarray], group: int, gone: Sequence[int]) -> float:
    """Summed over all products that read the group, relative to the loss of all of it."""
    everything = units.groups[group].units
    total = 0.0
    for product in products(units.graph):
        gram, every = grams[product.node.name][0], columns_of(product, units, everything)
        if len(every) and product.groups == 1:
            some = columns_of(product, units, everything[list(gone)])
            total += lost(product, units, gram, some) / lost(product, units, gram, every)
    return total


@settings(max_examples=20)
@given(st.sampled_from([chain, two_readers, flattened, doubled]), st.integers(0, 999))
def test_losses_are_those_of_least_squares_and_each_step_is_the_best(build: object, seed: int) -> None:
    units = units_of(build())  # type: ignore[operator]
    grams = random_grams(units, seed)
    for group, found in enumerate(eliminate(units, grams)):
        assert found is not None
        order, loss = found
        size = len(units.groups[group])
        assert sorted(order.tolist()) == list(range(size))
        assert loss[0] == 0
        assert (np.diff(loss) >= 0).all()
        for count in range(1, size + 1):
            assert loss[count] == pytest.approx(brute_force(units, grams, group, order[:count].tolist()), rel=1e-5, abs=1e-8)
        first = [brute_force(units, grams, group, [unit]) for unit in range(size)]
        assert first[order[0]] == pytest.approx(min(first), rel=1e-6)
        second = [brute_force(units, grams, group, [int(order[0]), unit]) for unit in range(size) if unit != order[0]]
        assert loss[2] == pytest.approx(min(second), rel=1e-5)


def test_channels_that_repeat_others_go_first_and_cost_nothing() -> None:
    units = units_of(chain())
    (reader,) = [product for product in products(units.graph) if product.weight == "b"]
    rows = np.random.default_rng(0).standard_normal((500, 9))
    rows[:, 5], rows[:, 6], rows[:, 8] = 2 * rows[:, 1], 3, 1
    for turn in range(3):
        mixed = rows.copy()
        if turn:
            mixed[:, 7] = rows[:, 2] - rows[:, 3]
        ((order, loss),) = (found for found in eliminate(units, {reader.node.name: (mixed.T @ mixed / 500)[None]}) if found)
        spare = 2 + bool(turn)
        assert 6 in order[:spare].tolist(), "a constant is taken over by the shift"
        assert {1, 5} & set(order[:spare].tolist())
        assert {2, 3, 7} & set(order[:spare].tolist()) or not turn
        assert loss[spare] < 0.01
        assert loss[spare + 1] > 2 * loss[spare]
        assert loss[-1] == pytest.approx(1)


def test_a_group_that_no_product_reads_has_no_losses() -> None:
    units = units_of(two_readers())
    assert eliminate(units, {}) == [None] * len(units.groups)
    net = Net(x=(1, 3, 4, 4))
    hidden = net.op("Relu", net.conv("x", "a", 3, 4))
    grouped = units_of(net.model(net.op("ReduceSum", net.conv(hidden, "d", 4, 4, group=4), net.ints(1))))
    assert len(grouped.groups) == 1
    assert eliminate(grouped, random_grams(grouped, 0)) == [None]
