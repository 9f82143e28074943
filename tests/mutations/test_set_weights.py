"""New weights lie beside the script: read by hash, refused where they are others, left out where the file is missing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import nasopt
from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph
from nasopt.mutations import MUTATIONS, Edit
from nasopt.mutations.script import Script, read_script, replay
from nasopt.mutations.set_weights import pack, weights_edit
from nasopt.results import VerifyResult
from tests.generated import weights
from tests.small import chain, compressed, prune_edit

NEW = {"b": np.full((4, 8, 1, 1), 0.25, np.float32), "a": np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)}


def written(folder: Path, tensors: dict[str, np.ndarray] | None = None) -> list[Path]:
    """Original, result, script and weights: channels are pruned, then weights set."""
    prune = prune_edit(chain(), seed=1)
    small = weights(replay(chain(), [prune], {}, "net"))
    tensors = tensors or {name: np.resize(NEW[name], small[name].shape) for name in NEW}
    edit = weights_edit(tensors, "by hand")
    edit = replace(edit, detail={**edit.detail, "file": "small.safetensors"})
    path = folder / "small.safetensors"
    path.write_bytes(pack(tensors))
    return [*compressed(chain(), folder, [prune, edit]), path]


def failed(result: VerifyResult) -> list[str]:
    return [check.name for check in result.checks if not check.ok]


def test_weights_make_the_round_trip(tmp_path: Path) -> None:
    original, result, script, file = written(tmp_path)
    read = read_script(script)
    assert not read.structural
    edit = read.edits[-1]
    assert (edit.detail["file"], edit.detail["tensors"], edit.detail["how"]) == (file.name, 2, "by hand")
    assert edit.tensors is not None
    stored = weights(onnx.load(str(result)))
    assert set(edit.tensors) == {"a", "b"}
    for name, tensor in edit.tensors.items():
        assert tensor.dtype == np.float32
        assert (stored[name] == tensor).all()
        assert (stored[name].reshape(-1) == np.resize(NEW[name], stored[name].shape).reshape(-1)).all()
    again = tmp_path / "again.onnx"
    applied = nasopt.apply(script, original, again)
    assert (applied.output, applied.structural) == (again, False)
    assert all((array == stored[name]).all() for name, array in weights(onnx.load(str(again))).items())
    verified = nasopt.verify(original, result)
    assert verified.ok, verified
    (check,) = [check for check in verified.checks if check.name == "set-weights"]
    assert check.detail.startswith("2 weights")


def test_without_the_file_the_structure_is_what_is_left(tmp_path: Path) -> None:
    original, result, script, file = written(tmp_path)
    file.unlink()
    assert read_script(script).structural
    again = tmp_path / "again.onnx"
    assert nasopt.apply(script, original, again).structural
    inherited = weights(replay(chain(), read_script(script).edits[:1], {}, "net"))
    assert all((array == inherited[name]).all() for name, array in weights(onnx.load(str(again))).items())
    verified = nasopt.verify(original, result)
    assert failed(verified) == ["set-weights", "replay"]
    details = {check.name: check.detail for check in verified.checks}
    assert "'small.safetensors', which holds 2 new weights, does not lie beside the script" in details["set-weights"]
    assert "weights have other values" in details["replay"]


def test_another_file_of_weights_is_refused(tmp_path: Path) -> None:
    original, result, script, file = written(tmp_path)
    file.write_bytes(pack({name: array + 1 for name, array in NEW.items()}))
    for refused in (
        lambda: read_script(script),
        lambda: nasopt.apply(script, original, tmp_path / "again.onnx"),
        lambda: nasopt.verify(original, result),
    ):
        with pytest.raises(InvalidEditError, match="not the file of weights that the script names") as caught:
            refused()
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "again.onnx").exists()


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    *_, script, file = written(tmp_path)
    file.write_bytes(b"nothing of the kind")
    document = json.loads(script.read_text())
    document["edits"][-1]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    script.write_text(json.dumps(document))
    with pytest.raises(InvalidEditError, match="not a safetensors file") as caught:
        read_script(script)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["file", "sha256"])
def test_an_edit_without_its_file_is_damaged(missing: str, tmp_path: Path) -> None:
    *_, script, _ = written(tmp_path)
    document = json.loads(script.read_text())
    del document["edits"][-1][missing]
    script.write_text(json.dumps(document))
    with pytest.raises(InvalidEditError, match="damaged"):
        read_script(script)


def test_a_file_is_looked_for_beside_the_script_and_nowhere_else(tmp_path: Path) -> None:
    *_, script, file = written(tmp_path)
    inner = tmp_path / "inner"
    inner.mkdir()
    moved = inner / script.name
    document = json.loads(script.read_text())
    document["edits"][-1]["file"] = f"../{file.name}"
    moved.write_text(json.dumps(document))
    assert read_script(moved).structural
    file.rename(inner / file.name)
    assert not read_script(moved).structural


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("nowhere", np.zeros(3, np.float32), "stores no tensor 'nowhere'"),
        ("b", np.zeros((4, 9, 1, 1), np.float32), "4x9x1x1"),
        ("b", np.zeros((4, 8, 1, 1), np.float64), "float64"),
    ],
)
def test_weights_that_do_not_fit_are_refused(name: str, array: np.ndarray, reason: str) -> None:
    with pytest.raises(InvalidEditError, match=reason):
        replay(chain(), [weights_edit({name: array}, "by hand")], {}, "net")


def test_more_or_fewer_weights_than_the_script_says_fail(tmp_path: Path) -> None:
    original, result, script, _ = written(tmp_path)
    document = json.loads(script.read_text())
    document["edits"][-1]["tensors"] = 3
    script.write_text(json.dumps(document))
    assert failed(nasopt.verify(original, result)) == ["set-weights"]
    del document["edits"][-1]["tensors"]
    script.write_text(json.dumps(document))
    assert failed(nasopt.verify(original, result)) == ["replay"], "the script is damaged, and that is said, not raised"


def test_the_mutation_is_chosen_by_nobody() -> None:
    mutation = MUTATIONS["set-weights"]
    graph = Graph(chain())
    assert list(mutation.sites(graph)) == []
    assert mutation.whole(graph) is None
    assert (mutation.lossless, mutation.relearns) == (False, True)
    edit = weights_edit(NEW, "by hand")
    assert mutation.describe(edit) == "set 2 weights anew (by hand)"
    assert mutation.apply(graph, Edit(edit.kind, edit.detail)) is graph.model


def test_the_same_weights_make_the_same_bytes() -> None:
    backwards = dict(reversed(NEW.items()))
    assert pack(NEW) == pack(backwards)
    assert weights_edit(NEW, "x").detail["sha256"] == weights_edit(backwards, "x").detail["sha256"] == hashlib.sha256(pack(NEW)).hexdigest()
    turned = {"a": np.asfortranarray(NEW["a"]), "b": NEW["b"][:, ::-1]}
    assert pack(turned) == pack({name: np.ascontiguousarray(array) for name, array in turned.items()})


def test_a_script_without_new_weights_is_not_structural(tmp_path: Path) -> None:
    *_, script = compressed(chain(), tmp_path, [prune_edit(chain(), seed=1)])
    assert not read_script(script).structural
    assert not Script("a", "sha256:", (weights_edit(NEW, "x"),)).structural
    assert Script("a", "sha256:", (Edit("set-weights", {"file": "x"}),)).structural
