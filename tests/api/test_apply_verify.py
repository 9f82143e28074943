"""``apply`` and ``verify``: a result can be made again, and is checked against its original."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import nasopt
from nasopt.api.verify import verify_edits
from nasopt.errors import InvalidEditError, ModelNotSupportedError, UsageError, VerificationError
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import content_hash, write_model
from nasopt.mutations import MUTATIONS, Edit
from nasopt.results import VerifyResult
from nasopt.runtime.sessions import open_session
from tests.generated import random_feeds, random_network
from tests.small import Net, chain, compressed, prune_edit


def failed(result: VerifyResult) -> list[str]:
    return [check.name for check in result.checks if not check.ok]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return compressed(chain(), tmp_path, [prune_edit(chain(), seed=1)])


def rewrite(path: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    model = onnx.load(str(path))
    change(model)
    onnx.save(model, str(path))


def shift(name: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(0.01), name))

    return change


def test_a_result_is_verified_by_the_script_beside_it(files: list[Path]) -> None:
    original, small, script = files
    result = nasopt.verify(original, small)
    assert result.ok, result
    assert result.max_relative_error is not None
    assert result.max_relative_error <= 1e-5
    names = ["original hash", "result hash", "prune-channels", "replay", "checker", "interface", "shapes", "runs"]
    assert [check.name for check in result.checks] == names
    assert nasopt.verify(original, small, script=script, seed=7).ok


def test_without_a_script_the_replay_is_not_checked(files: list[Path]) -> None:
    original, small, script = files
    script.rename(script.with_name("elsewhere.json"))
    result = nasopt.verify(original, small)
    assert failed(result) == ["replay"], "nothing is verified, but what needs no script is checked"
    assert [check.name for check in result.checks] == ["replay", "checker", "interface", "shapes", "runs"]
    assert "no edit script lies beside" in result.checks[0].detail
    assert "--script" in result.checks[0].detail
    assert failed(nasopt.verify(small, original)) == ["replay"], "without a script nobody can say which came of which"
    assert nasopt.verify(original, small, script=script.with_name("elsewhere.json")).ok
    rewrite(small, lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[0], "dim_param", "batch"))
    assert failed(nasopt.verify(original, small)) == ["replay", "interface"]


def test_a_result_with_other_weights_fails(files: list[Path]) -> None:
    original, small, _ = files
    rewrite(small, shift("b"))
    result = nasopt.verify(original, small)
    assert failed(result) == ["result hash", "replay"]
    (detail,) = [check.detail for check in result.checks if check.name == "replay"]
    assert "weights have other values: weight values at 'b'" in detail


def test_a_result_with_another_structure_fails(files: list[Path]) -> None:
    original, small, _ = files
    rewrite(small, lambda model: setattr(model.graph.node[2], "op_type", "Sigmoid"))
    result = nasopt.verify(original, small)
    assert failed(result) == ["result hash", "replay"]
    (detail,) = [check.detail for check in result.checks if check.name == "replay"]
    assert "not what the script makes of the original: node removed at 'node2' and 1 more" in detail


def test_another_original_fails(files: list[Path]) -> None:
    original, small, _ = files
    rewrite(original, shift("a"))
    assert failed(nasopt.verify(original, small)) == ["original hash", "replay"]
    onnx.save(random_network(3), str(original))
    assert failed(nasopt.verify(original, small)) == ["original hash", "replay", "interface", "shapes"]


def test_a_script_that_removes_other_channels_fails(files: list[Path]) -> None:
    original, small, script = files
    document = json.loads(script.read_text())
    removed = document["edits"][0]["groups"][0]["remove"]
    document["edits"][0]["groups"][0]["remove"] = sorted(set(range(8)) - set(removed))[: len(removed)]
    script.write_text(json.dumps(document))
    assert failed(nasopt.verify(original, small)) == ["replay"]


def test_a_script_that_does_not_fit_fails(files: list[Path]) -> None:
    original, small, script = files
    document = json.loads(script.read_text())
    document["edits"][0]["groups"][0]["remove"] = list(range(8))
    script.write_text(json.dumps(document))
    result = nasopt.verify(original, small)
    assert failed(result) == ["replay"]
    assert result.max_relative_error is None
    (detail,) = [check.detail for check in result.checks if check.name == "replay"]
    assert "would lose all its channels" in detail


def test_apply_makes_the_same_bytes(files: list[Path], tmp_path: Path) -> None:
    original, small, script = files
    again = nasopt.apply(script, original, tmp_path / "again.onnx").output
    assert again == tmp_path / "again.onnx"
    assert again.read_bytes() == small.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        nasopt.apply(script, original, again)
    nasopt.apply(str(script), str(original), str(again), force=True)


def other_channels(document: dict[str, Any]) -> None:
    """As many channels of the same group, but others."""
    group = document["edits"][0]["groups"][0]
    group["remove"] = sorted(set(range(8)) - set(group["remove"]))[: len(group["remove"])]


def swapped_groups(document: dict[str, Any]) -> None:
    first, second = document["edits"][0]["groups"]
    first["remove"], second["remove"] = second["remove"], first["remove"]


def no_edit(document: dict[str, Any]) -> None:
    document["edits"] = []


@pytest.mark.parametrize("tamper", [other_channels, swapped_groups, no_edit])
def test_apply_refuses_a_script_that_was_changed(tamper: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    net = Net(x=(1, 3, 6, 6))
    hidden = net.op("Relu", net.conv(net.op("Relu", net.conv("x", "a", 3, 8, 3)), "b", 8, 8))
    model = net.model(net.conv(hidden, "c", 8, 4))
    edit = prune_edit(model, seed=4, share=0.4)
    assert len({tuple(group["remove"]) for group in edit.detail["groups"]}) == 2
    original, small, script = compressed(model, tmp_path, [edit])
    document = json.loads(script.read_text())
    tamper(document)
    script.write_text(json.dumps(document))
    again = tmp_path / "again.onnx"
    with pytest.raises(InvalidEditError, match=r"makes another model .* than 'small\.onnx'.*nothing was written"):
        nasopt.apply(script, original, again)
    assert sorted(tmp_path.iterdir()) == [original, script, small]
    document["result"]["sha256"] = ""
    script.write_text(json.dumps(document))
    assert nasopt.apply(script, original, again).output.is_file(), "an empty hash says that the change is meant"


@pytest.mark.parametrize("limit", [1 << 31, 100])
def test_names_of_files_are_no_difference(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Script, model and result may all be renamed; above protobuf's limit, weights lie beside the model and count as well."""
    net = Net(x=(1, 3, 6, 6))
    model = net.model(net.conv(net.op("Relu", net.conv("x", "a", 3, 32, 3)), "b", 32, 16))
    monkeypatch.setattr("nasopt.graphs.model_file.PROTOBUF_LIMIT", limit)
    monkeypatch.setattr("nasopt.api.apply.PROTOBUF_LIMIT", limit)
    original, small, script = compressed(model, tmp_path, [prune_edit(model, seed=1)])
    result = onnx.load(str(small))
    write_model(result, small)
    document = json.loads(script.read_text())
    document["result"]["sha256"] = content_hash(small).removeprefix("sha256:")
    script.write_text(json.dumps(document))
    renamed, source = script.rename(tmp_path / "steps.json"), original.rename(tmp_path / "source.onnx")
    (tmp_path / "else").mkdir()
    again = nasopt.apply(renamed, source, tmp_path / "else" / "again.onnx").output
    assert {entry.key: entry.value for entry in onnx.load(str(again)).metadata_props} == {"nasopt.script": "steps.json"}
    assert not nasopt.diff(small, again).changes


def test_apply_refuses_another_model(files: list[Path], tmp_path: Path) -> None:
    original, _, script = files
    rewrite(original, shift("a"))
    with pytest.raises(InvalidEditError, match="was made for another model"):
        nasopt.apply(script, original, tmp_path / "again.onnx")
    assert not (tmp_path / "again.onnx").exists()


def test_apply_writes_nothing_that_is_unsound(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, _, script = files
    sound = MUTATIONS["prune-channels"].apply

    def spoilt(graph: Graph, edit: Edit) -> onnx.ModelProto:
        model = sound(graph, edit)
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == "b")
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(np.nan), "b"))
        return model

    monkeypatch.setattr(MUTATIONS["prune-channels"], "apply", spoilt)
    with pytest.raises(VerificationError, match="nothing was written"):
        nasopt.apply(script, original, tmp_path / "again.onnx")
    assert not (tmp_path / "again.onnx").exists()


def test_a_fault_in_the_rewriting_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removing the neighbours of the chosen channels gives a sound model, but another function than the masked original's."""
    edit, right = prune_edit(chain(), seed=1), np.compress
    assert verify_edits(chain(), [edit], {})[0].ok
    monkeypatch.setattr("numpy.compress", lambda keep, array, axis: right(np.roll(keep, 1), array, axis))
    outcome, _ = verify_edits(chain(), [edit], {})
    assert failed(outcome) == ["prune-channels"]
    assert outcome.max_relative_error is not None
    assert outcome.max_relative_error > 1e-2


def test_external_data_make_a_round_trip(tmp_path: Path) -> None:
    original = tmp_path / "net.onnx"
    files = compressed(chain(), tmp_path, [prune_edit(chain(), seed=1)])
    script = json.loads(files[2].read_text())
    onnx.save_model(chain(), str(original), save_as_external_data=True, location="net.data", size_threshold=0)
    script["original"]["sha256"] = content_hash(original).removeprefix("sha256:")
    files[2].write_text(json.dumps(script))
    again = nasopt.apply(files[2], original, tmp_path / "again.onnx").output
    assert not any(tensor.external_data for tensor in onnx.load_model(str(again), load_external_data=False).graph.initializer)
    assert nasopt.verify(original, files[1]).ok
    (tmp_path / "net.data").unlink()
    with pytest.raises(ModelNotSupportedError, match=r"'net\.data'"):
        nasopt.apply(files[2], original, again, force=True)


@pytest.mark.parametrize("seed", range(12))
def test_a_dynamic_batch_stays_dynamic(seed: int, tmp_path: Path) -> None:
    """Half of the generated networks leave their batch open: the result runs with any batch, and agrees with itself."""
    model = random_network(seed)
    batch = [value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input if value.name.startswith("input")]
    _, small, _ = compressed(model, tmp_path, [prune_edit(model, seed=seed)])
    result = onnx.load(str(small))
    assert [value for value in result.graph.input if value.name.startswith("input")] == [
        value for value in model.graph.input if value.name.startswith("input")
    ]
    assert list(result.graph.output) == list(model.graph.output)
    session = open_session(result, optimise=False)
    feeds = random_feeds(model)
    if all(batch):
        wide = {name: np.concatenate([value, value]) for name, value in feeds.items()}
        for one, two in zip(session.run(None, feeds), session.run(None, wide), strict=True):
            assert two.shape == (2 * one.shape[0], *one.shape[1:])
            assert np.abs(two[: len(one)] - one).max() <= 1e-4 * max(1.0, np.abs(one).max())
    else:
        session.run(None, feeds)


def with_function() -> onnx.ModelProto:
    """A model function between two convolutions."""
    net = Net(x=("batch", 3, 6, 6))
    a = net.conv(net.conv("x", "a", 3, 8), "b", 8, 6)
    y = net.op("Twice", a, domain="mine", out="twice")
    body = [onnx.helper.make_node("Add", ["v", "v"], ["w"])]
    function = onnx.helper.make_function("mine", "Twice", ["v"], ["w"], body, [onnx.helper.make_opsetid("", 17)])
    model = net.model(net.conv(y, "c", 6, 4), functions=[function], imports=["mine"])
    model.metadata_props.add(key="author", value="me")
    model.doc_string = "a network"
    return model


def test_metadata_functions_and_opsets_survive(tmp_path: Path) -> None:
    model = with_function()
    original, small, _ = compressed(model, tmp_path, [prune_edit(model, seed=1)])
    result = onnx.load(str(small))
    assert list(result.functions) == list(model.functions)
    assert list(result.opset_import) == list(model.opset_import)
    assert {entry.key: entry.value for entry in result.metadata_props} == {"author": "me", "nasopt.script": "small.json"}
    assert result.doc_string == "a network"
    assert nasopt.verify(original, small).ok
    assert nasopt.diff(original, small).after.params < nasopt.diff(original, small).before.params
