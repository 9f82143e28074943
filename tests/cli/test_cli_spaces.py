"""``nasopt spaces …``, through to files: what is printed, what is written, and what is refused."""

from __future__ import annotations

import shlex
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

from nasopt.cli.main import application
from nasopt.cli.spaces import command
from nasopt.graphs.graph import load_graph
from nasopt.spaces.registry import SPACES
from tests.cli.conftest import only_document

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"


@pytest.fixture
def spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(application, ["spaces", *arguments])

    return invoke


def test_all_spaces_are_listed(spaces) -> None:
    document = only_document(spaces("list", "--json"))
    assert document["schema"] == "nasopt/spaces-list/1"
    assert [space["name"] for space in document["spaces"]] == list(SPACES)
    text = spaces("list").stdout
    assert all(name in text for name in SPACES)
    assert "15,625" in text


def test_a_group_without_a_verb_shows_its_verbs(spaces) -> None:
    result = spaces()
    assert result.exit_code == 0
    assert all(name in result.stdout for name in command.commands)


@pytest.mark.parametrize("name", ["show", "sample", "build", "draw", "list"])
def test_the_examples_in_the_help_work(spaces, name: str) -> None:
    examples = spaces(name, "--help").stdout.partition("Examples:")[2].strip().splitlines()
    assert examples
    for example in examples:
        program, group, verb, *arguments = shlex.split(example)
        assert (program, group, verb) == ("nasopt", "spaces", name)
        result = spaces(verb, *arguments)
        assert result.exit_code == 0, result.output


def test_samples_come_a_line_each_and_follow_the_seed(spaces) -> None:
    first = spaces("sample", "nasbench201", "-n", "7", "--seed", "3")
    assert len(first.stdout.splitlines()) == 7
    assert first.stdout == spaces("sample", "nasbench201", "-n", "7", "--seed", "3").stdout
    assert first.stdout != spaces("sample", "nasbench201", "-n", "7", "--seed", "4").stdout


def test_a_built_network_is_a_model_with_weights(spaces, tmp_path: Path) -> None:
    document = only_document(spaces("build", "nasbench201", "--arch", CELL, "--set", "classes=7", "-o", "net.onnx", "--json"))
    graph = load_graph(tmp_path / "net.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "net.onnx"), full_check=True)
    assert graph.shape(graph.outputs[0]) == (1, 7)
    assert all(weight.array().size for weight in graph.weights.values())
    assert document["macs"] > 0
    assert document["architecture"]["text"] == CELL
    assert document["settings"]["classes"] == 7


def test_nothing_is_overwritten_unasked(spaces, tmp_path: Path) -> None:
    for verb, name in (("build", "net.onnx"), ("draw", "net.svg")):
        (tmp_path / name).write_text("mine")
        result = spaces(verb, "nasbench201", "--arch", CELL, "-o", name)
        assert result.exit_code == 2
        assert "--force" in result.stderr
        assert (tmp_path / name).read_text() == "mine"
    refused = spaces("draw", "nasbench201", "--arch", CELL, "-o", "net.png")
    assert refused.exit_code == 2
    assert ".svg" in refused.stderr


@pytest.mark.parametrize("space", ["nasbench201", "nasbench301"])
def test_images_that_cannot_be_halved_twice_are_refused(spaces, space: str) -> None:
    result = spaces("sample", space, "--set", "resolution=33")
    assert result.exit_code == 2
    assert "multiple of 4" in result.stderr


def test_what_is_there_is_replaced_when_asked(spaces, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("mine")
    assert spaces("build", "nasbench201", "--arch", CELL, "-o", "net.onnx", "--force").exit_code == 0


@pytest.mark.parametrize("options", [[], ["--network"]])
def test_drawings_are_svg(spaces, tmp_path: Path, options: list[str]) -> None:
    assert spaces("draw", "nasbench201", "--arch", CELL, *options, "-o", "cell.svg").exit_code == 0
    text = (tmp_path / "cell.svg").read_text()
    assert text.startswith("<svg")
    assert ("Conv 3×3" if options else "nor_conv_3x3") in text


def test_a_space_of_two_cells_gives_two_files(spaces, tmp_path: Path) -> None:
    text = spaces("sample", "nasbench301").stdout.strip()
    assert spaces("draw", "nasbench301", "--arch", text, "-o", "cell.svg").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"cell-normal.svg", "cell-reduce.svg"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nasbench200"], "did you mean nasbench"),
        (["build", "nasbench201", "--arch", "conv", "-o", "net.onnx"], "is no architecture"),
        (["build", "nasbench201", "--arch", CELL, "-o", "no/net.onnx"], "does not exist"),
        (["sample", "nasbench201", "--set", "classes"], "NAME=VALUE"),
        (["sample", "nasbench201", "--set", "classes=2", "--set", "classes=3"], "given twice"),
        (["sample", "nasbench201", "--set", "colour=3"], "no setting 'colour'"),
        (["sample", "nasbench201", "-n", "0"], "0"),
        (["build", "nasbench201", "-o", "net.onnx"], "--arch"),
        (["paint", "nasbench201"], "No such command"),
    ],
)
def test_wrong_use_is_answered_in_one_line(spaces, tmp_path: Path, arguments: list[str], said: str) -> None:
    result = spaces(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
