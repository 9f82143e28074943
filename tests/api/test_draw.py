"""``draw``: networks and computational graphs, in every form that a file can have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from nasopt.api.draw import draw
from nasopt.cli.main import application
from nasopt.errors import UsageError
from nasopt.spaces.registry import get_space
from nasopt.spaces.weights import initialise
from tests.small import chain


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    onnx.save(chain(), path)
    return path


def test_a_network_and_its_graph_are_drawn_alike(model: Path, tmp_path: Path) -> None:
    first = draw(model)
    assert first.counts["nodes"] == 6
    assert first.counts["weighted"] == 2
    graph = tmp_path / "net.json"
    graph.write_text(first.json)
    again = draw(graph)
    assert again.drawing == first.drawing
    assert again.json == first.json


@pytest.mark.parametrize(
    ("kind", "start"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("html", b"<!doctype html>"), ("json", b'{"name":"net"')]
)
def test_the_ending_decides_on_the_form(model: Path, tmp_path: Path, kind: str, start: bytes) -> None:
    output = tmp_path / f"out.{kind}"
    result = CliRunner().invoke(application, ["draw", str(model), "-o", str(output), "--json"])
    assert result.exit_code == 0, result.output
    assert output.read_bytes().startswith(start)
    assert json.loads(result.stdout)["nodes"] == 6
    assert CliRunner().invoke(application, ["draw", str(model), "-o", str(output)]).exit_code == 2  # it exists


def test_other_endings_and_files_are_refused(model: Path, tmp_path: Path) -> None:
    for output in ("out.pdf", "out"):
        result = CliRunner().invoke(application, ["draw", str(model), "-o", str(tmp_path / output)])
        assert result.exit_code == 2
        assert ".svg, .png, .html, .json" in result.stderr
    strange = tmp_path / "strange.json"
    strange.write_text("[]")
    with pytest.raises(UsageError, match="not a computational graph"):
        draw(strange)
    strange.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot be read"):
        draw(strange)


def test_every_node_is_in_a_box(tmp_path: Path) -> None:
    space = get_space("ofa_mbv3", resolution=128)
    path = tmp_path / "large.onnx"
    onnx.save(initialise(space.build(space.sample(np.random.default_rng(0)))), path)
    found = draw(path)
    words = " ".join(line for box in found.drawing.boxes for line in box.lines)
    ops = [node["op"] for node in json.loads(found.json)["nodes"]]
    for op in set(ops):
        assert words.split().count(op) >= ops.count(op), op
