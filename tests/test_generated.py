"""The generator keeps its promise: whatever it draws is a valid model that runs, and it draws all that it offers."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings

from .generated import networks, random_feeds, random_network
from .generated_blocks import BLOCKS
from .generated_build import NEWEST

OPSETS = (7, 8, 9, 10, 11, 13, 14, 17, 18, 20, 21, NEWEST)


def run(model: onnx.ModelProto) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, random_feeds(model))


def check(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    for declared, value in zip(model.graph.output, run(model), strict=True):
        dims = [d.dim_value or 2 for d in declared.type.tensor_type.shape.dim]
        assert list(value.shape) == dims
        assert np.isfinite(value).all()
        assert np.abs(value).max() < 1e6


@pytest.mark.parametrize("seed", range(60))
def test_every_network_is_valid_and_runs(seed: int) -> None:
    check(random_network(seed))


@pytest.mark.parametrize("block", [block for block, _ in BLOCKS], ids=lambda block: block.__name__)
def test_every_block_in_the_opsets_where_operators_changed(block) -> None:
    for opset in OPSETS:
        for seed in range(2):
            check(random_network(seed, blocks=[block], opset=opset))


def test_a_seed_gives_the_same_bytes() -> None:
    assert random_network(3).SerializeToString(deterministic=True) == random_network(3).SerializeToString(deterministic=True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(networks())
def test_the_strategy_draws_valid_networks(model: onnx.ModelProto) -> None:
    check(model)


def test_the_networks_differ() -> None:
    models = [random_network(seed) for seed in range(200)]
    operators = {node.op_type for model in models for node in model.graph.node}
    assert len(operators) > 55
    assert {model.opset_import[0].version for model in models} >= {7, 9, 11, 13, 18, NEWEST}
    assert any(model.ir_version == 3 for model in models)
    assert any(len(model.graph.output) > 1 for model in models)
    assert any(len(model.graph.input) == 2 for model in models if model.ir_version > 3)
