"""``nasopt device …`` and ``bench --device``, through to files: what is printed, what is kept, and what is refused."""

from __future__ import annotations

import inspect
import shlex
import sys
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from nasopt.api import device as api
from nasopt.cli.device import command
from nasopt.cli.main import application
from nasopt.runtime.devices.registry import BACKENDS
from nasopt.spaces.calibration_networks import calibration_networks
from tests.cli.conftest import only_document
from tests.report import example_results as examples
from tests.small import chain


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NASOPT_DEVICES", str(tmp_path / "devices"))
    monkeypatch.chdir(tmp_path)
    onnx.save(chain(), "net.onnx")
    return lambda *arguments: CliRunner().invoke(application, list(arguments))


def test_from_calibration_to_use(device, tmp_path: Path) -> None:
    assert "no device was calibrated yet" in device("device", "list").stdout
    document = only_document(device("device", "calibrate", "laptop", "--networks", "1", "--json"))
    assert document["schema"] == "nasopt/device-calibrate/1"
    assert [network["name"] for network in document["networks"]] == [calibration_networks()[0]]
    assert Path(document["path"]).is_file()
    (tmp_path / "bench.py").write_text("print('latency 0.5 s')")
    bench = f"{shlex.quote(sys.executable)} bench.py {{model}}"
    result = device("device", "calibrate", "board", "--device-command", bench, "--timeout", "60", "--networks", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("500.0 ms") == 6
    listed = only_document(device("device", "list", "--json"))
    assert [(one["name"], one["backend"], one["networks"]) for one in listed["devices"]] == [
        ("board", "command", 2),
        ("laptop", "onnxruntime", 1),
    ]
    shown = only_document(device("device", "show", "laptop", "--json"))
    assert shown["networks"] == document["networks"]
    assert "laptop  onnxruntime, 1 thread" in device("device", "show", "laptop").stdout
    timed = only_document(device("bench", "net.onnx", "--device", "board", "--json"))
    assert (timed["device"], timed["engine"], timed["latency"]["median_ms"]) == ("board", "command", 500)
    assert 3 <= timed["runs"] <= 10
    timed = only_document(device("bench", "net.onnx", "--device-command", bench, "--runs", "2", "--json"))
    assert (timed["device"], timed["runs"]) == ("command", 2)
    assert only_document(device("bench", "net.onnx", "--json"))["runs"] == 50


def test_a_group_without_a_verb_shows_its_verbs(device) -> None:
    result = device("device")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in command.commands)


def test_the_help_names_all_back_ends(device) -> None:
    said = " ".join(device("device", "calibrate", "--help").stdout.split())
    assert all(name in said for name in BACKENDS)


@pytest.mark.parametrize("name", ["calibrate", "list", "show"])
def test_the_examples_in_the_help_pass_every_option(device, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"calibrate": examples.CALIBRATED, "list": examples.DEVICES, "show": examples.SHOWN_DEVICE}
    function = {"calibrate": "calibrate", "list": "list_devices", "show": "show_device"}[name]
    signature = inspect.signature(getattr(api, function))
    calls: list[inspect.BoundArguments] = []

    def recorded(*args: object, **kwargs: object) -> object:
        calls.append(signature.bind(*args, **kwargs))
        return answers[name]

    monkeypatch.setattr(api, function, recorded)
    lines = device("device", name, "--help").stdout.partition("Examples:")[2].strip().splitlines()
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "nasopt"
        assert device(*arguments).exit_code == 0
    assert len(calls) == len(lines) > 0
    if name == "calibrate":
        assert calls[-1].arguments | {"name": "board", "command": "ssh board ./bench {model}", "timeout": 60} == calls[-1].arguments
        device("device", "calibrate", "x", "--backend", "torch", "--threads", "3", "--networks", "4", "--force")
        expected = {"name": "x", "backend": "torch", "threads": 3, "networks": 4, "force": True, "command": None}
        assert calls[-1].arguments | expected == calls[-1].arguments


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["device", "show", "laptop"], 2, "there is no device 'laptop'"),
        (["device", "calibrate", "a/b"], 2, "cannot name a device"),
        (["device", "calibrate", "x", "--backend", "opnvino"], 2, "did you mean openvino?"),
        (["device", "calibrate", "x", "--timeout", "0"], 2, "--timeout"),
        (["device", "calibrate", "x", "--networks", "0"], 2, "--networks"),
        (["device", "calibrate", "x", "--device-command", "bench"], 2, "say where the path of the network goes"),
        (["device", "calibrate", "x", "--device-command", "false {model}"], 6, "runs none of the first 2 networks"),
        (["bench", "net.onnx", "--device", "laptop"], 2, "there is no device 'laptop'"),
        (["bench", "net.onnx", "--device-command", "false {model}"], 6, "'false {model}': ended with exit code 1"),
        (["bench", "net.onnx", "--device-command", "echo {model}"], 6, "which is no time"),
    ],
)
def test_what_goes_wrong_is_answered_in_one_line(device, tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    result = device(*arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "devices").exists()
