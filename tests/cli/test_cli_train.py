"""``nasopt train aiop`` and ``nasopt predict``, through to files."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from nasopt.cli.main import application
from tests.cli.conftest import only_document


def test_the_first_example_in_the_help_works_and_is_asked(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str):
        return CliRunner().invoke(application, arguments)

    example = run("train", "aiop", "--help").stdout.partition("Examples:")[2].strip().splitlines()[0]
    program, *arguments = shlex.split(example)
    assert program == "nasopt"
    document = only_document(run(*arguments, "--json"))
    assert (document["schema"], document["labels"], document["members"]) == ("nasopt/train-aiop/1", 100, 1)
    again = run(*arguments)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert run("spaces", "build", "ofa_mbv3", "--arch", run("spaces", "sample", "ofa_mbv3").stdout.strip(), "-o", "net.onnx").exit_code == 0
    said = run("predict", "net.onnx", "--checkpoint", "trained")
    assert said.exit_code == 0
    assert "mean_acc" in said.stdout
    assert "unlike" in said.stderr
    missing = run("predict", "net.onnx", "--checkpoint", str(tmp_path))
    assert missing.exit_code == 2
    assert len(missing.stderr.strip().splitlines()) == 1


def test_a_group_without_a_verb_shows_its_verbs() -> None:
    assert "aiop" in CliRunner().invoke(application, ["train"]).stdout
