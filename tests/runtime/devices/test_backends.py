"""Back-ends in this process: they time, and they run what ONNX Runtime runs. No test asserts a time."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasopt.errors import MissingExtraError, ModelNotSupportedError, NasoptError, UsageError
from nasopt.graphs.graph import Graph
from nasopt.runtime import latency
from nasopt.runtime.devices import registry
from nasopt.runtime.devices.registry import BACKENDS, COMMAND, available, backend
from nasopt.runtime.sessions import open_session, random_inputs, run
from nasopt.spaces.calibration_networks import build_network, calibration_networks
from tests.generated import networks, random_feeds
from tests.small import Net, chain

ENGINES = [name for name in BACKENDS if name != COMMAND]
TOLERANCE = {"openvino-bf16": 0.1}
"""Of outputs, relative to their norm: bfloat16 has eight bits."""

needs = {
    name: pytest.mark.skipif(not available(name), reason=f"{name} is not installed") for name in ENGINES
}  # fmt: skip
engines = pytest.mark.parametrize("name", [pytest.param(name, marks=needs[name]) for name in ENGINES])


def opened(name: str, model: onnx.ModelProto | Path, inputs: dict[str, np.ndarray]):
    """Opened, or the test is skipped where this CPU cannot."""
    try:
        return backend(name).open(model, inputs)
    except NasoptError as error:
        if "does not compute in bfloat16" in str(error):
            pytest.skip(str(error))
        raise


def agree(name: str, found: list[np.ndarray] | None, expected: list[np.ndarray]) -> bool:
    assert found is not None
    bound = TOLERANCE.get(name, 1e-3)
    return all(
        mine.shape == theirs.shape and np.linalg.norm(mine - theirs) <= bound * np.linalg.norm(theirs) + 1e-4
        for mine, theirs in zip(found, expected, strict=True)
    )


@engines
@settings(max_examples=12)
@given(model=networks())
def test_generated_networks_run_as_in_onnx_runtime(name: str, model: onnx.ModelProto) -> None:
    feeds = random_feeds(model)
    expected = run(open_session(model, optimise=False), feeds)
    with opened(name, model, feeds) as timed:
        assert timed() > 0
        found = timed.outputs()
    if name != "openvino-bf16":  # random weights may amplify what rounding does without bound
        assert agree(name, found, expected)
    assert [value.shape for value in found or []] == [value.shape for value in expected]


@pytest.mark.parametrize("network", calibration_networks())
def test_calibration_networks_run_everywhere(network: str) -> None:
    model = build_network(network)
    feeds = random_inputs(Graph(model), 0)
    expected = run(open_session(model), feeds)
    for name in filter(available, ENGINES):
        with opened(name, model, feeds) as timed:
            assert agree(name, timed.outputs(), expected), name


@engines
def test_a_file_with_weights_beside_it_and_a_dynamic_batch(name: str, tmp_path: Path) -> None:
    net = Net(x=("batch", 3, 8, 8))
    model = net.model(net.op("Relu", net.conv("x", "w", 3, 8, 3)))
    path = tmp_path / "net.onnx"
    feeds = {"x": np.random.default_rng(0).standard_normal((5, 3, 8, 8)).astype(np.float32)}
    expected = run(open_session(model), feeds)
    onnx.save(model, path, save_as_external_data=True, size_threshold=0)
    with opened(name, path, feeds) as timed:
        assert timed() > 0
        assert agree(name, timed.outputs(), expected)


@engines
def test_several_are_timed_in_turns_and_failures_are_survived(name: str) -> None:
    strange = chain()
    strange.graph.node[2].op_type = "Strange"
    inputs = random_inputs(Graph(chain()), 0)
    engine = backend(name)
    opened(name, chain(), inputs).close()
    failures: dict[int, NasoptError] = {}
    times = latency.timings([chain(), strange, chain(seed=1)], [inputs] * 3, runs=4, backend=engine, failures=failures)
    assert times.shape == (4, 3)
    assert (times[:, [0, 2]] > 0).all()
    assert np.isnan(times[:, 1]).all()
    assert list(failures) == [1]
    with pytest.raises(ModelNotSupportedError):
        latency.timings([chain(), strange], [inputs] * 2, runs=4, backend=engine)
    found = latency.compare(chain(), chain(seed=1), inputs, backend=engine, runs=4)
    assert (found.engine, found.threads) == (name, 1)


@engines
def test_inputs_that_do_not_fit_are_an_error_of_ours(name: str) -> None:
    wrong = {"x": np.zeros((1, 4, 6, 6), np.float32)}
    with pytest.raises((ModelNotSupportedError, UsageError)), opened(name, chain(), wrong) as timed:
        timed()


@needs["torch"]
@pytest.mark.parametrize("threads", [1, 3])
def test_torch_runs_with_its_threads_and_gives_them_back(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    before = torch.get_num_threads()
    seen: list[tuple[int, bool]] = []
    original = torch.nn.functional.conv2d

    def watched(*args: object, **kwargs: object) -> object:
        seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return original(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "conv2d", watched)
    with backend("torch", threads=threads).open(chain(), random_inputs(Graph(chain()), 0)) as timed:
        timed()
        assert torch.get_num_threads() == before
        monkeypatch.setattr(torch.nn.Module, "__call__", lambda *_: 1 / 0)
        with pytest.raises(ModelNotSupportedError, match="division by zero"):
            timed()
    assert torch.get_num_threads() == before
    assert set(seen) <= {(threads, True)}


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("onnxruntim", {}, "did you mean onnxruntime"),
        ("onnxruntime", {"threads": 0}, "ask for one or more"),
        ("onnxruntime", {"command": "x {model}"}, "--device-command belongs to the back-end 'command'"),
        ("torch", {"timeout": 3.0}, "--timeout belongs to the back-end 'command'"),
        ("command", {}, "needs the command"),
        ("command", {"command": "true {model}", "threads": 2}, "write it into the command"),
        ("command", {"command": "true {model}", "timeout": 0.0}, "positive number of seconds"),
        ("command", {"command": "true {model}", "timeout": float("inf")}, "positive number of seconds"),
        ("command", {"command": "true"}, "say where the path of the network goes"),
        ("command", {"command": "true '{model}"}, "cannot be split into words"),
        ("command", {"command": "no-such-program {model}"}, "there is no program 'no-such-program'"),
    ],
)
def test_what_is_no_back_end(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        backend(name, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["openvino", "openvino-bf16", "torch"])
def test_an_engine_that_is_missing_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda package: None if package in ("openvino", "torch") else util.find_spec(package))
    assert not available(name)
    with pytest.raises(MissingExtraError, match=rf"pip install 'nasopt\[{name.partition('-')[0]}\]'"):
        backend(name)


@given(st.sampled_from(calibration_networks()))
@settings(max_examples=8)
def test_a_calibration_network_is_the_same_each_time(name: str) -> None:
    assert build_network(name).SerializeToString() == build_network(name).SerializeToString()
