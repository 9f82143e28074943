"""The verbs of the library replaced by recorders, so that only the command line is tested."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from nasopt.cli.main import application
from nasopt.results import ApplyResult
from tests.report import example_results as examples

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = {
    "compress": examples.RESNET,
    "inspect": examples.INSPECT,
    "explain": examples.EXPLAIN,
    "apply": ApplyResult(Path("again.onnx")),
    "diff": examples.DIFF,
    "verify": examples.VERIFIED,
    "bench": examples.BENCH,
    "draw": examples.DRAWING,
    "predict": examples.PREDICTED,
    "proxies": examples.PROXIES,
    "search": examples.SEARCHED,
    "doctor": examples.DOCTOR,
}

COMMAND_LINES = {
    "compress": ["compress", "net.onnx", "--flops-drop", "0.13", "-o", "small.onnx"],
    "inspect": ["inspect", "net.onnx", "--input-shape", "image:1x3x32x32"],
    "explain": ["explain", "net.onnx", "--preserve", "*head*"],
    "apply": ["apply", "small.json", "net.onnx", "-o", "again.onnx"],
    "diff": ["diff", "net.onnx", "small.onnx"],
    "verify": ["verify", "net.onnx", "small.onnx", "--script", "small.json"],
    "bench": ["bench", "small.onnx", "--against", "net.onnx", "--runs", "7"],
    "draw": ["draw", "net.onnx", "-o", "net.svg"],
    "predict": ["predict", "net.onnx", "--checkpoint", "trained"],
    "proxies": ["proxies", "net.onnx", "--proxy", "nwot"],
    "search": ["search", "--space", "nasbench201", "--samples", "20"],
    "doctor": ["doctor"],
}
"""One that works for each verb; the files exist where the tests run, except for the outputs of compress and apply."""


@dataclass
class Verbs:
    """What the command line called, and what it is answered."""

    answers: dict[str, Any] = field(default_factory=lambda: dict(RESULTS))
    calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=dict)

    def call(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        self.calls[verb] = (args, kwargs)
        answer = self.answers[verb]
        if isinstance(answer, BaseException):
            raise answer
        return answer(**kwargs) if callable(answer) else answer

    def options(self, verb: str) -> dict[str, Any]:
        """The keyword arguments that `verb` was called with."""
        return self.calls[verb][1]


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Verbs:
    """The recorder; set ``verbs.answers[verb]`` to a result, an exception or a function."""
    recorder = Verbs()
    for verb in RESULTS:
        module = ModuleType(f"nasopt.api.{verb}")
        setattr(module, verb, lambda *args, verb=verb, **kwargs: recorder.call(verb, *args, **kwargs))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return recorder


@pytest.fixture
def nasopt(verbs: Verbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command line in a folder that holds net.onnx, small.json, small.onnx and a folder, trained."""
    monkeypatch.chdir(tmp_path)
    for name in ("net.onnx", "small.json", "small.onnx"):
        (tmp_path / name).write_bytes(b"model")
    (tmp_path / "trained").mkdir()
    return lambda *arguments, **extra: CliRunner().invoke(application, list(arguments), **extra)


def only_document(result: Result) -> dict[str, Any]:
    """The one JSON document that stdout holds."""
    document = json.loads(result.stdout)  # fails on anything before or after it
    assert isinstance(document, dict)
    return document
