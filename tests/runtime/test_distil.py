"""Short distillation: it learns, never gets worse, can be interrupted, and takes networks of every form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open

from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph
from nasopt.graphs.write_back import write_weights
from nasopt.mutations import apply_edit
from nasopt.runtime import distil as module
from nasopt.runtime.augment import Augment
from nasopt.runtime.bridge import to_torch
from nasopt.runtime.distil import Distilled, distil
from nasopt.runtime.sessions import open_session, random_inputs, run
from tests.generated import random_network
from tests.small import Net, chain, prune_edit

Feeds = list[dict[str, np.ndarray]]


def feeds(graph: Graph, count: int, seed: int = 0) -> Feeds:
    return [random_inputs(graph, 1000 * seed + number) for number in range(count)]


def classifier(**options: object) -> onnx.ModelProto:
    """``conv → norm → relu → conv → norm → relu → pool → linear``, for any batch."""
    net = Net(x=("n", 3, 8, 8), **options)  # type: ignore[arg-type]
    value = net.op("Relu", net.norm(net.conv("x", "a", 3, 16, 3), "m", 16))
    value = net.op("Relu", net.norm(net.conv(value, "b", 16, 16, 3), "n", 16))
    flat = net.op("Flatten", net.op("GlobalAveragePool", value))
    return net.model(net.op("Gemm", flat, net.weight("w", 5, 16), net.weight("w.bias", 5), transB=1, out="y"))


def pair(model: onnx.ModelProto, seed: int = 0) -> tuple[Graph, Graph]:
    original = Graph(model)
    return original, Graph(apply_edit(original, prune_edit(model, seed=seed)), original.bound)


def check(original: Graph, smaller: Graph, found: Distilled, held_out: Feeds) -> None:
    """What is returned goes into the file, and there it is no worse than what was there."""
    written = write_weights(smaller.model, found.tensors)
    onnx.checker.check_model(written)
    network = to_torch(Graph(written, smaller.bound))
    teacher, before, after = (open_session(model, optimise=False) for model in (original.model, smaller.model, written))
    errors = np.zeros(2)
    for feed in held_out:
        wanted, old, new = (run(session, feed) for session in (teacher, before, after))
        errors += [sum(float(np.square(a - b).sum()) for a, b in zip(wanted, other, strict=True)) for other in (old, new)]
        for expected, got in zip(new, network(feed), strict=True):
            np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-3, atol=1e-4)
    if found.kept:
        assert found.after < found.before
        assert written != smaller.model
    else:
        assert written == smaller.model
    assert found.curve[-1][0] == found.steps
    assert found.after == min(loss for *_, loss in found.curve)


def test_it_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RATE", 1e-2)  # random weights are large
    original, smaller = pair(classifier())
    held_out = feeds(original, 16, 1)
    found = distil(original, smaller, feeds(original, 128), held_out, steps=60, batch=32)
    assert found.kept
    assert found.steps == 60
    assert len(found.curve) == 5
    assert found.after < 0.7 * found.before
    assert set(found.tensors) == {weight.name for weight in smaller.weights.values() if weight.dtype == onnx.TensorProto.FLOAT}
    check(original, smaller, found, held_out)


def test_it_starts_where_the_file_is() -> None:
    """Training mode begins with the function that evaluation mode has, whatever the running statistics say."""
    original, smaller = pair(classifier())
    inputs = feeds(original, 64)
    found = distil(original, smaller, inputs, inputs, steps=1, batch=64)
    (first,) = found.curve
    assert first[1] == pytest.approx(found.before, rel=0.02)


def test_joined_inputs_are_the_same_as_single_ones() -> None:
    original, smaller = pair(classifier())
    single, held_out = feeds(original, 24), feeds(original, 8, 1)
    joined = [{"x": np.concatenate([feed["x"] for feed in single[start : start + 7]])} for start in range(0, 24, 7)]
    first, again = (distil(original, smaller, fit, held_out, steps=4, batch=8) for fit in (single, joined))
    assert first.curve == again.curve


def test_a_network_that_is_right_already_stays_as_it_is() -> None:
    original = Graph(classifier())
    found = distil(original, original, feeds(original, 16), feeds(original, 8, 1), steps=5, batch=8)
    assert not found.kept
    assert found.after >= found.before
    assert write_weights(original.model, found.tensors) == original.model


@pytest.mark.parametrize("broken", [np.inf, 1e30])
def test_a_training_that_breaks_returns_the_start(broken: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RATE", broken)
    original, smaller = pair(classifier())
    held_out = feeds(original, 8, 1)
    found = distil(original, smaller, feeds(original, 16), held_out, steps=20, batch=8)
    assert not found.kept
    assert write_weights(smaller.model, found.tensors) == smaller.model


# -- determinism and checkpoints


def interrupted_at(step: int):
    def progress(share: float, detail: str) -> None:
        if detail.startswith(f"step {step},"):
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("augment", [None, Augment(flip=True, crop=True)])
def test_an_interrupted_run_goes_on_to_the_same_bits(augment: Augment | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0)
    original, smaller = pair(classifier())
    fit, held_out, path = feeds(original, 40), feeds(original, 8, 1), tmp_path / "run.safetensors"

    def start(**options: object) -> Distilled:
        return distil(original, smaller, fit, held_out, steps=12, batch=16, seed=3, augment=augment, **options)

    whole = start()
    for stop in (3, 8):
        with pytest.raises(KeyboardInterrupt):
            start(checkpoint=path, progress=interrupted_at(stop))
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["state"])["step"] == 8
    steps = []
    resumed = start(checkpoint=path, progress=lambda share, detail: steps.append(detail))
    assert len(steps) == 4
    finished = start(checkpoint=path)
    for other in (resumed, finished):
        assert (other.curve, other.before, other.after, other.steps) == (whole.curve, whole.before, whole.after, 12)
        assert all(np.array_equal(other.tensors[name], tensor) for name, tensor in whole.tensors.items())
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.safetensors"]


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    original, smaller = pair(classifier())
    fit, held_out, path = feeds(original, 16), feeds(original, 4, 1), tmp_path / "run.safetensors"
    distil(original, smaller, fit, held_out, steps=2, batch=8, checkpoint=path)
    others = ({"seed": 1}, {"steps": 3}, {"augment": Augment(flip=True)}, {"batch": 4})
    for options in others:
        with pytest.raises(UsageError, match="another run"):
            distil(original, smaller, fit, held_out, **({"steps": 2, "batch": 8, "checkpoint": path} | options))
    with pytest.raises(UsageError, match="another run"):
        distil(original, pair(classifier(), 1)[1], fit, held_out, steps=2, batch=8, checkpoint=path)
    path.write_text("not a checkpoint")
    with pytest.raises(UsageError, match="cannot be read"):
        distil(original, smaller, fit, held_out, steps=2, batch=8, checkpoint=path)


def test_the_process_keeps_its_threads_and_random_numbers() -> None:
    original, smaller = pair(classifier())
    torch.manual_seed(0)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    distil(original, smaller, feeds(original, 8), feeds(original, 4, 1), steps=1, threads=threads + 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


# -- limits


def test_limits() -> None:
    original, smaller = pair(classifier())
    fit, held_out = feeds(original, 20), feeds(original, 4, 1)
    with pytest.raises(UsageError, match="limit"):
        distil(original, smaller, fit, held_out)
    with pytest.raises(UsageError, match="inputs"):
        distil(original, smaller, fit, [], steps=1)
    assert distil(original, smaller, fit, held_out, epochs=1.5, batch=5).steps == 6
    assert distil(original, smaller, fit, held_out, epochs=1.5, steps=4, batch=5).steps == 4
    assert distil(original, smaller, fit, held_out, epochs=0.01, batch=64).steps == 1
    shares: list[float] = []
    found = distil(original, smaller, fit, held_out, minutes=0.01, batch=5, progress=lambda share, _: shares.append(share))
    assert found.steps == len(shares) >= 1
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert found.curve[-1][0] == found.steps


# -- networks of every form


def test_several_outputs_of_several_kinds() -> None:
    net = Net(x=("n", 3, 8, 8))
    hidden = net.op("Relu", net.conv("x", "a", 3, 16, 3))
    flat = net.op("Flatten", net.op("GlobalAveragePool", hidden))
    shares = net.op("Softmax", net.op("MatMul", flat, net.weight("w", 16, 4)), axis=1, out="shares")
    best = net.op("ArgMax", shares, axis=1, out="best")
    model = net.model(shares, net.op("Sigmoid", net.conv(hidden, "b", 16, 2), out="maps"), best)
    del model.graph.output[2].type.tensor_type.shape.dim[:]
    original, smaller = pair(model)
    held_out = feeds(original, 16, 1)
    found = distil(original, smaller, feeds(original, 64), held_out, steps=50, batch=16)
    assert found.kept
    assert found.after < found.before


def test_a_network_with_a_fixed_batch_runs_input_by_input() -> None:
    net = Net(x=(1, 3, 6, 6))
    hidden = net.op("Relu", net.norm(net.conv("x", "a", 3, 16, 3), "n", 16))
    model = net.model(net.op("Reshape", net.conv(hidden, "b", 16, 2), net.ints(1, 72)))
    original, smaller = pair(model)
    assert not to_torch(smaller).batchable
    held_out = feeds(original, 8, 1)
    found = distil(original, smaller, feeds(original, 32), held_out, steps=30, batch=8)
    assert found.kept
    for part in ("mean", "var"):  # nothing is known of a batch
        assert np.array_equal(found.tensors[f"n.{part}"], smaller.weights[f"n.{part}"].array())
    check(original, smaller, found, held_out)


def test_gradients_of_single_inputs_add_up_to_those_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(x=("n", 3, 6, 6))
    model = net.model(net.conv(net.op("Relu", net.conv("x", "a", 3, 16, 3)), "b", 16, 2))
    original, smaller = pair(model)
    fit, held_out = feeds(original, 16), feeds(original, 8, 1)
    together = distil(original, smaller, fit, held_out, steps=5, batch=8)
    monkeypatch.setattr(module.TorchNetwork, "batchable", False)
    alone = distil(original, smaller, fit, held_out, steps=5, batch=8)
    np.testing.assert_allclose(alone.curve, together.curve, rtol=1e-4)


def test_a_network_without_norms_and_one_whose_file_fixes_the_batch() -> None:
    net = Net(x=(1, 3, 6, 6))
    model = net.model(net.conv(net.op("Relu", net.conv("x", "a", 3, 16, 3, bias=True)), "b", 16, 2))
    for made in (model, chain()):
        original, smaller = pair(made)
        held_out = feeds(original, 8, 1)
        found = distil(original, smaller, feeds(original, 64), held_out, steps=60, batch=16)
        assert found.kept
        check(original, smaller, found, held_out)


@pytest.mark.parametrize("seed", range(8))
def test_generated_networks(seed: int) -> None:
    model = random_network(seed)
    original, smaller = pair(model)
    held_out = feeds(original, 4, 1)
    try:
        found = distil(original, smaller, feeds(original, 12), held_out, steps=3, batch=4)
    except UsageError:
        assert not any(np.ptp(value) for feed in held_out for value in run(open_session(model), feed))
    else:
        check(original, smaller, found, held_out)


def test_a_network_without_weights_is_refused() -> None:
    net = Net(x=("n", 3))
    graph = Graph(net.model(net.op("Relu", "x")))
    with pytest.raises(UsageError, match="no weights"):
        distil(graph, graph, feeds(graph, 4), feeds(graph, 2, 1), steps=1)


# -- on request


def test_augmented_images_are_answered_anew() -> None:
    original, smaller = pair(classifier())
    fit, held_out = feeds(original, 32), feeds(original, 8, 1)
    plain, changed = (
        distil(original, smaller, fit, held_out, steps=4, batch=8, augment=how) for how in (None, Augment(flip=True, crop=True))
    )
    assert plain.before == changed.before
    assert plain.curve != changed.curve


def test_labels_count_if_they_are_given() -> None:
    original, smaller = pair(classifier())
    fit, held_out = feeds(original, 32), feeds(original, 8, 1)
    labels = [np.zeros(1, np.int64)] * 32
    found = distil(original, smaller, fit, held_out, steps=4, batch=8, labels=labels)
    plain = distil(original, smaller, fit, held_out, steps=4, batch=8)
    assert found.before == plain.before
    assert found.curve != plain.curve
    with pytest.raises(UsageError, match="as many labels"):
        distil(original, smaller, fit, held_out, steps=4, labels=labels[1:])
    original, smaller = pair(chain())
    with pytest.raises(UsageError, match="names classes"):
        distil(original, smaller, feeds(original, 4), feeds(original, 4, 1), steps=1, labels=labels[:4])


def test_answers_that_have_no_room_are_computed_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    from nasopt.runtime import samples

    original, smaller = pair(classifier())
    fit, held_out = feeds(original, 16), feeds(original, 8, 1)
    kept = distil(original, smaller, fit, held_out, steps=3, batch=8)
    monkeypatch.setattr(samples, "IN_MEMORY", 100)
    computed = distil(original, smaller, fit, held_out, steps=3, batch=8)
    assert [step for step, *_ in kept.curve] == [step for step, *_ in computed.curve]
    assert computed.kept == kept.kept
