"""Edit scripts: written, read, replayed to the byte, and refused where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from nasopt.errors import InvalidEditError, UsageError
from nasopt.graphs.graph import Graph
from nasopt.mutations import MUTATIONS, Edit
from nasopt.mutations.script import Script, read_script, refer_to_script, replay, script_of
from tests.generated import random_network
from tests.small import chain, prune_edit


def edits_of(model: onnx.ModelProto, seed: int) -> list[Edit]:
    """Every mutation, one after the other."""
    edits: list[Edit] = []
    for kind in ("simplify", "prune-channels", "fold-batchnorm"):
        edit = prune_edit(model, seed=seed) if kind == "prune-channels" else MUTATIONS[kind].whole(Graph(model))
        if edit is not None:
            edits.append(edit)
            model = MUTATIONS[kind].apply(Graph(model), edit)
    return edits


@pytest.mark.parametrize("seed", range(25))
def test_a_script_that_was_written_and_read_gives_the_same_bytes(seed: int, tmp_path: Path) -> None:
    model = random_network(seed)
    edits = edits_of(model, seed)
    script = Script("a.onnx", "sha256:1", tuple(edits), {"input": (1, 3, 8, 8)}, "b.onnx", "sha256:2")
    path = tmp_path / "b.json"
    path.write_text(script.to_json())
    again = read_script(path)
    assert again == script
    once, twice = (replay(model, chosen, {}, "a").SerializeToString(deterministic=True) for chosen in (edits, again.edits))
    assert once == twice


def test_a_script_is_json_with_a_group_on_few_lines() -> None:
    text = Script("a.onnx", "sha256:1", (prune_edit(chain(), seed=1),), {}, "b.onnx", "sha256:2").to_json()
    document = json.loads(text)
    assert document["schema"] == "nasopt/script/1"
    assert document["original"] == {"file": "a.onnx", "sha256": "1"}
    assert document["edits"][0]["kind"] == "prune-channels"
    assert len(text.splitlines()) < 40


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "expected 'nasopt/script/1'"),
        ('{"schema": "nasopt/script/9"}', "schema 'nasopt/script/9'"),
        ('{"schema": "nasopt/script/1"}', "damaged"),
        ('{"schema": "nasopt/script/1", "original": {}, "result": {}, "input_shapes": {}, "edits": []}', "damaged"),
        ('{"schema": "nasopt/script/1", "original": 1, "result": {}, "input_shapes": [], "edits": {}}', "damaged"),
    ],
)
def test_what_is_no_script_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(InvalidEditError, match=said):
        read_script(path)


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_script(tmp_path / "none.json")


@pytest.mark.parametrize(
    "edit",
    [
        Edit("prune-channels", {"groups": ["a"]}),
        Edit("prune-channels", {"groups": [{"tensor": ["a"], "axis": 0, "remove": [0]}]}),
        Edit("prune-channels", {"groups": [{"tensor": "a", "axis": 0, "remove": [[0, 1], [2]]}]}),
        Edit("prune-channels", {"groups": 3}),
        Edit("simplify", {}),
        Edit("simplify", {"remove": [], "replace": 3}),
        Edit("fold-batchnorm", {"fold": 3}),
        Edit("fold-batchnorm", {}),
    ],
    ids=str,
)
def test_a_damaged_edit_is_refused(edit: Edit) -> None:
    with pytest.raises(InvalidEditError):
        replay(chain(), [edit], {}, "net.onnx")


def test_an_edit_of_a_later_version_is_refused() -> None:
    with pytest.raises(InvalidEditError, match="holds a 'kernel-swap' edit, which this version does not know"):
        replay(chain(), [Edit("kernel-swap")], {}, "net.onnx")


def test_a_script_for_another_network_is_refused() -> None:
    other = random_network(5)
    with pytest.raises(InvalidEditError):
        replay(other, [prune_edit(chain(), seed=1)], {}, "other.onnx")


def test_a_result_names_its_script(tmp_path: Path) -> None:
    model, result = chain(), tmp_path / "small.onnx"
    model.metadata_props.add(key="mine", value="kept")
    assert script_of(result, model) is None
    (tmp_path / "small.json").touch()
    assert script_of(result, model) == tmp_path / "small.json"
    for name in ("first.json", "second.json"):
        refer_to_script(model, tmp_path / name)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"mine": "kept", "nasopt.script": "second.json"}
    assert script_of(result, model) == tmp_path / "small.json"
    (tmp_path / "second.json").touch()
    assert script_of(result, model) == tmp_path / "second.json"
