"""Outputs that hide what was done: a saturated softmax, a head with a large bias. A wrong edit is noticed all the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nasopt.api.verify import verify_edits
from tests.small import Net, prune_edit


def saturated(scale: float = 1e4) -> onnx.ModelProto:
    """The softmax is one-hot, and the first class wins whatever the input: its logit is the sum of what cannot be negative."""
    net = Net(x=(1, 3, 6, 6))
    hidden = net.op("GlobalAveragePool", net.op("Relu", net.conv("x", "a", 3, 8, 3)))
    flat = net.op("Flatten", hidden)
    head = np.concatenate([np.full((8, 1), scale), -scale * np.abs(net.rng.standard_normal((8, 3)))], 1)
    net.initializers.append(numpy_helper.from_array(head.astype(np.float32), "head"))
    return net.model(net.op("Softmax", net.op("MatMul", flat, "head", out="logits"), axis=1))


def biased(bias: float = 1e5, *, apart: bool = False) -> onnx.ModelProto:
    """The answer is a large constant and a little that depends on the input; `apart` has a value without the constant."""
    net = Net(x=(1, 3, 6, 6))
    flat = net.op("Flatten", net.op("GlobalMaxPool", net.op("Relu", net.conv("x", "a", 3, 8, 3))))
    net.initializers.append(numpy_helper.from_array(np.full(4, bias, np.float32), "bias"))
    if apart:
        return net.model(net.op("Add", net.op("MatMul", flat, net.weight("head", 8, 4), out="product"), "bias"))
    return net.model(net.op("Gemm", flat, net.weight("head", 8, 4), "bias"))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "saturated": saturated,
    "biased": biased,
    "more than float32 holds": lambda: biased(1e7, apart=True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_right_edit_agrees(name: str) -> None:
    for seed in range(5):
        model = NETWORKS[name]()
        outcome, _ = verify_edits(model, [prune_edit(model, seed=seed)], {}, seed=seed)
        assert outcome.ok, outcome


@pytest.mark.parametrize("name", NETWORKS)
def test_a_wrong_edit_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, right = NETWORKS[name](), np.compress
    edit = prune_edit(model, seed=1)
    monkeypatch.setattr("numpy.compress", lambda keep, array, axis: right(np.roll(keep, 1), array, axis))
    outcome, _ = verify_edits(model, [edit], {})
    assert not outcome.ok
    assert outcome.comparable
    assert outcome.max_relative_error is not None
    assert outcome.max_relative_error < 1e-3, "the outputs alone do not tell"
    assert "differs by" in outcome.checks[0].detail


def test_where_nothing_could_differ_it_is_said() -> None:
    """A network that answers 0 answers 0 whatever is cut."""
    net = Net(x=(1, 3, 6, 6))
    net.initializers.append(numpy_helper.from_array(np.float32(0), "zero"))
    hidden = net.op("Mul", net.conv("x", "a", 3, 8, 3), "zero")
    model = net.model(net.conv(hidden, "b", 8, 4))
    outcome, _ = verify_edits(model, [prune_edit(model, seed=1)], {})
    assert outcome.ok
    assert "no compared value varies with the input by more than rounding" in outcome.checks[0].detail
