"""Repair from file to file: new weights are written beside the result where they are a gain, and everything agrees about them."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nasopt
from nasopt.api import repair as module
from nasopt.api.repair import Lesson, lesson, repair
from nasopt.api.request import Finetune, Request, check_request
from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.write_back import write_weights
from nasopt.mutations.rewrite import remove_units
from nasopt.mutations.script import read_script
from nasopt.results import CompressResult
from nasopt.runtime.calibration import Calibration, synthetic_calibration
from nasopt.runtime.fidelity import answers, divergence
from nasopt.runtime.synthetic import synthetic_inputs
from tests.generated import weights
from tests.small import Net, units_of

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"


def compress(model: Path, output: Path | None, **options: Any) -> CompressResult:
    """Quick, and the same each time."""
    return nasopt.compress(model, output, **{"flops_drop": 0.4, "generations": 3, "measure_latency": False, **options})


def network() -> onnx.ModelProto:
    """Half of the channels nearly repeat the other half, as in a trained network with channels to spare."""
    net = Net(x=("N", 3, 8, 8), seed=1)
    y = net.op("Relu", net.norm(net.conv("x", "a", 3, 16, 3), "n", 16))
    y = net.op("Relu", net.norm(net.conv(y, "b", 16, 16, 3), "m", 16))
    pooled = net.op("Flatten", net.op("GlobalAveragePool", y))
    model = net.model(net.op("Gemm", pooled, net.weight("c", 16, 5), net.weight("c.bias", 5)))
    changed = {name: array.copy() for name, array in weights(model).items() if name[:1] in "anbm" and array.shape[0] == 16}
    for array in changed.values():
        array[8:] = array[:8] + 0.02 * array[8:] * (array.ndim > 1)
    return write_weights(model, changed)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "net.onnx"
    onnx.save(network(), str(target))
    return target


def inputs(path: Path, count: int, seed: int = 5) -> np.ndarray:
    drawn = synthetic_inputs(load_graph(path), count, np.random.default_rng(seed))
    return next(iter(drawn.values())).reshape(count, *next(iter(load_graph(path).bound.values()))[1:])


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("fold", [False, True])
def test_new_weights_are_written_verified_and_applied(path: Path, tmp_path: Path, *, fold: bool) -> None:
    result = compress(path, tmp_path / "small.onnx", fold_batchnorm=fold)
    assert names(tmp_path) == ["net.onnx", "small.json", "small.onnx", "small.safetensors"]
    assert result.repair is not None
    assert result.repair.kept
    assert result.repair.after < result.repair.before
    assert result.repair.synthetic
    assert result.repair.inputs.endswith("synthetic images")
    assert result.repair.layers
    assert result.verification.ok
    assert any("least squares" in line for line in result.edits)
    kinds = [edit.kind for edit in read_script(tmp_path / "small.json").edits]
    assert kinds[kinds.index("prune-channels") + 1] == "set-weights"
    assert (kinds[-1] == "fold-batchnorm") == fold
    verified = nasopt.verify(path, tmp_path / "small.onnx")
    assert verified.ok, verified
    applied = nasopt.apply(tmp_path / "small.json", path, tmp_path / "again.onnx")
    assert not applied.structural
    graphs = [onnx.load(str(tmp_path / name)).graph.SerializeToString(deterministic=True) for name in ("small.onnx", "again.onnx")]
    assert graphs[0] == graphs[1]


def test_the_same_question_has_the_same_answer(path: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        compress(path, tmp_path / name / "small.onnx")
    assert all(((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()) for name in names(tmp_path / "one"))


def test_inherited_weights_are_kept_on_request(path: Path, tmp_path: Path) -> None:
    result = compress(path, tmp_path / "small.onnx", compensate=False)
    assert names(tmp_path) == ["net.onnx", "small.json", "small.onnx"]
    assert result.repair is None
    script = read_script(tmp_path / "small.json")
    assert not script.structural
    assert "set-weights" not in [edit.kind for edit in script.edits]
    assert nasopt.verify(path, tmp_path / "small.onnx").ok


@pytest.mark.parametrize("compensate", [True, False])
def test_data_choose_channels_and_weights(path: Path, tmp_path: Path, *, compensate: bool) -> None:
    np.save(tmp_path / "inputs.npy", inputs(path, 120))
    result = compress(path, tmp_path / "small.onnx", data=tmp_path / "inputs.npy", compensate=compensate)
    assert (tmp_path / "small.safetensors").exists() == compensate
    assert nasopt.verify(path, tmp_path / "small.onnx").ok
    assert result.repair is not None
    assert result.repair.inputs == "120 inputs of inputs.npy"
    assert not result.repair.synthetic
    assert (result.repair.method, result.repair.kept) == (("least squares", True) if compensate else ("inherited weights", False))
    if compensate:
        entry = json.loads((tmp_path / "small.json").read_text())["edits"][-1]
        assert entry["how"] == "least squares on 120 inputs of inputs.npy"
        assert entry["file"] == "small.safetensors"


def test_a_trained_network_answers_better_after_its_repair(tmp_path: Path) -> None:
    np.save(tmp_path / "inputs.npy", inputs(DIGITS, 300))
    result = compress(DIGITS, tmp_path / "small.onnx", data=tmp_path / "inputs.npy")
    assert result.repair is not None
    (tmp_path / "small.safetensors").unlink()
    assert nasopt.apply(tmp_path / "small.json", DIGITS, tmp_path / "plain.onnx").structural
    fresh = inputs(DIGITS, 100, seed=77)
    (name,) = load_graph(DIGITS).inputs
    expected, repaired, plain = (
        answers(onnx.load(str(file)), [{name: fresh}]) for file in (DIGITS, tmp_path / "small.onnx", tmp_path / "plain.onnx")
    )
    assert divergence(expected, repaired) < 0.5 * divergence(expected, plain)
    assert result.repair.after < 0.5 * result.repair.before
    assert result.repair.after == pytest.approx(divergence(expected, repaired), rel=0.6)


def test_nothing_removed_leaves_nothing_to_repair(path: Path, tmp_path: Path) -> None:
    result = compress(path, tmp_path / "small.onnx", preserve=("*",), best_effort=True)
    assert result.after.macs == result.before.macs
    assert result.repair is None
    assert names(tmp_path) == ["net.onnx", "small.json", "small.onnx"]


def test_models_along_the_front_are_repaired_as_well(path: Path, tmp_path: Path) -> None:
    compress(path, tmp_path / "small.onnx", pareto=tmp_path / "front", granularity=4)
    models = sorted((tmp_path / "front").glob("*.onnx"))
    assert models
    assert any(model.with_suffix(".safetensors").exists() for model in models)
    for model in models:
        assert nasopt.verify(path, model).ok, model


def test_weights_in_the_way_are_not_overwritten(path: Path, tmp_path: Path) -> None:
    (tmp_path / "small.safetensors").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"small\.safetensors"):
        compress(path, tmp_path / "small.onnx")
    assert (tmp_path / "small.safetensors").read_bytes() == b"mine"
    assert names(tmp_path) == ["net.onnx", "small.safetensors"]
    compress(path, tmp_path / "small.onnx", force=True)
    assert nasopt.verify(path, tmp_path / "small.onnx").ok


def test_a_dry_run_repairs_but_writes_nothing(path: Path, tmp_path: Path) -> None:
    result = compress(path, None, dry_run=True)
    assert result.repair is not None
    assert names(tmp_path) == ["net.onnx"]


def pruned(model: onnx.ModelProto) -> tuple[Any, np.ndarray, onnx.ModelProto]:
    units = units_of(model)
    removed = np.zeros(units.count, np.bool_)
    for group in units.groups:
        removed[group.units[::3]] = True
    return units, removed, remove_units(units, removed)


def noisy(scale: float, count: int) -> tuple[dict[str, np.ndarray], ...]:
    rng = np.random.default_rng(0)
    return tuple({"x": (scale * rng.standard_normal((20, 3, 8, 8))).astype(np.float32)} for _ in range(count))


def taught(graph: Graph, calibration: Calibration) -> Lesson:
    return lesson(graph, calibration, threads=1, report=lambda *told: None)


def test_a_repair_that_is_no_gain_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    units, removed, smaller = pruned(network())
    calibration = Calibration(noisy(1, 5), noisy(1, 1), 120, "noise", synthetic=False, pixels=None)
    spoil = lambda *args, **more: ({"c": np.zeros_like(weights(smaller)["c"])}, [])  # noqa: E731
    monkeypatch.setattr(module, "reconstruct", spoil)
    found = repair(units, removed, smaller, taught(units.graph, calibration), threads=1, report=lambda *told: None)
    assert found.model is smaller
    assert found.edit is None
    assert not found.record.kept
    assert found.record.after == found.record.before > 0


@pytest.mark.parametrize("synthetic", [False, True])
def test_a_repair_is_judged_on_what_was_held_out(*, synthetic: bool) -> None:
    units, removed, smaller = pruned(network())
    calibration = Calibration(noisy(1, 5), noisy(2, 2), 140, "noise", synthetic=synthetic, pixels=None)
    told: list[str] = []
    learnt = taught(units.graph, calibration)
    found = repair(units, removed, smaller, learnt, threads=1, report=lambda stage, share, detail: told.append(stage))
    assert set(told) == {"repair"}
    assert found.edit is not None
    assert found.edit.tensors is not None
    assert set(found.edit.tensors) & {"n.mean", "n.var", "m.mean", "m.var"} == set(), "restated norms serve the fitting and are not kept"
    made = weights(found.model)
    assert all((made[name] == tensor).all() for name, tensor in found.edit.tensors.items())
    untouched = {name: array for name, array in weights(smaller).items() if name not in found.edit.tensors}
    assert all((made[name] == array).all() for name, array in untouched.items())
    if not synthetic:
        expected = answers(units.graph.model, calibration.held_out)
        assert found.record.before == pytest.approx(divergence(expected, answers(smaller, calibration.held_out)))
        assert found.record.after == pytest.approx(divergence(expected, answers(found.model, calibration.held_out)))


def test_without_data_wide_products_are_only_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    units, removed, smaller = pruned(network())
    made = synthetic_calibration(units.graph)
    monkeypatch.setattr(module, "WIDEST_WITHOUT_DATA", 30)
    for calibration, alike in ((made, True), (replace(made, synthetic=False), False)):
        found = repair(units, removed, smaller, taught(units.graph, calibration), threads=1, report=lambda *told: None)
        assert found.edit is not None
        assert found.edit.tensors is not None
        ratio = found.edit.tensors["b"] / weights(smaller)["b"]
        spread = np.ptp(ratio.reshape(len(ratio), -1), axis=1).max()
        assert (spread < 1e-3) == alike


def test_a_request_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    model, output = tmp_path / "none.onnx", tmp_path / "small.onnx"
    sound = Request(
        model, output, output.with_suffix(".json"), output.with_suffix(".safetensors"), {"flops": 0.5}, "auto", 0, 1, None,
        best_effort=False, fold_batchnorm=False, threads=1, compensate=True, finetune=Finetune(), measure=None, metric=None,
        measure_latency=False, clock=False, predictor=None, report=lambda *told: None,
    )  # fmt: skip
    check_request(sound, None, latency_drop=None, dry_run=False, force=False)
    refused = {
        "nothing to reach": replace(sound, drops={}),
        "nowhere to write": replace(sound, output=None),
        "granularity": replace(sound, granularity=0),
        "is the model itself": replace(sound, path=output),
        "same name": replace(sound, script=output),
    }
    for reason, request in refused.items():
        with pytest.raises(UsageError, match=reason):
            check_request(request, None, latency_drop=None, dry_run=False, force=False)
    full = tmp_path / "full"
    full.mkdir()
    check_request(sound, full, latency_drop=None, dry_run=False, force=False)
    (full / "file").touch()
    with pytest.raises(UsageError, match="no empty directory"):
        check_request(sound, full, latency_drop=None, dry_run=False, force=False)
    check_request(sound, full, latency_drop=None, dry_run=False, force=True)


@pytest.mark.parametrize("option", [{"preprocess": "{}"}, {"data_limit": 10}])
def test_what_to_do_with_data_needs_data(path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="which is not there"):
        compress(path, None, dry_run=True, **option)


def test_a_network_that_passes_sequences_is_repaired(tmp_path: Path) -> None:
    net = Net(x=("N", 3, 8, 8), seed=1)
    y = net.op("Relu", net.conv(net.op("Relu", net.conv("x", "a", 3, 16, 3)), "b", 16, 8, 3))
    parts = net.op("SplitToSequence", y, net.ints(4, 4), axis=1)
    other = net.conv(y, "c", 8, 8)  # stands between the nodes that make and that read the sequence
    onnx.save(net.model(net.op("Add", other, net.op("ConcatFromSequence", parts, axis=1))), str(tmp_path / "net.onnx"))
    result = compress(tmp_path / "net.onnx", tmp_path / "small.onnx", flops_drop=0.1)
    assert result.repair is not None
    assert nasopt.verify(tmp_path / "net.onnx", tmp_path / "small.onnx").ok


def test_too_few_synthetic_inputs_are_not_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("nasopt.api.compress"), "FEWEST", 10_000)
    result = nasopt.compress(DIGITS, tmp_path / "small.onnx", flops_drop=0.3, generations=1, measure_latency=False)
    assert result.repair is None
    assert any("bring inputs with --data" in note for note in result.notes)
    assert not (tmp_path / "small.safetensors").exists()


def test_a_replaced_result_takes_its_weights_with_it(tmp_path: Path) -> None:
    compress(DIGITS, tmp_path / "small.onnx")
    assert (tmp_path / "small.safetensors").exists()
    compress(DIGITS, tmp_path / "small.onnx", compensate=False, force=True)
    assert not (tmp_path / "small.safetensors").exists()


def test_weights_that_no_script_names_stay(tmp_path: Path) -> None:
    """A file of that name may be anybody's: only what the replaced script names by hash is taken away."""
    compress(DIGITS, tmp_path / "small.onnx", compensate=False)
    (tmp_path / "small.safetensors").write_bytes(b"mine")
    compress(DIGITS, tmp_path / "small.onnx", compensate=False, force=True)
    assert (tmp_path / "small.safetensors").read_bytes() == b"mine"


@pytest.mark.parametrize("kept", [True, False])
def test_what_distillation_learned_is_written_or_noted_as_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    from nasopt.runtime import distil

    def learned(_: Graph, smaller: Graph, *__: Any, steps: int, **___: Any) -> distil.Distilled:
        name = next(name for name in smaller.weights if name.startswith("classifier."))
        return distil.Distilled({name: smaller.weights[name].array() * np.float32(1.5)}, steps, 2.0, 1.0, kept, ())

    monkeypatch.setattr(distil, "distil", learned)
    np.save(tmp_path / "inputs.npy", inputs(DIGITS, 100))
    result = compress(DIGITS, tmp_path / "small.onnx", data=tmp_path / "inputs.npy", finetune_steps=7)
    assert result.repair is not None
    assert (result.repair.distilled_steps, "7 steps of distillation" in result.repair.method) == ((7, True) if kept else (0, False))
    assert any("distillation was no gain" in note for note in result.notes) is not kept
    assert nasopt.verify(DIGITS, tmp_path / "small.onnx").ok


def test_distillation_needs_data_and_its_options_need_it() -> None:
    for options in ({"finetune_steps": 1}, {"augment": ["flip"]}, {"checkpoint": "state.safetensors"}):
        with pytest.raises(UsageError, match=r"--data|--finetune-steps"):
            nasopt.compress(DIGITS, flops_drop=0.3, dry_run=True, **options)  # type: ignore[arg-type]
