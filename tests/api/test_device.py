"""Devices are calibrated, listed and shown; single networks may fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest

import nasopt
from nasopt.api.device import calibrate, list_devices, show_device
from nasopt.errors import DeviceError, UsageError
from nasopt.runtime.devices.registry import BACKENDS
from nasopt.runtime.devices.store import resolve
from nasopt.spaces.calibration_networks import calibration_networks
from tests.small import chain


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASOPT_DEVICES", str(tmp_path / "devices"))
    return tmp_path / "devices"


def program(folder: Path, source: str) -> str:
    """A command that notes that it was called, reads the file as `data`, and goes on with this source."""
    path = folder / "bench.py"
    path.write_text(f"import sys\nopen({str(folder / 'calls')!r}, 'a').write('x')\ndata = open(sys.argv[1], 'rb').read()\n{source}")
    return f"{sys.executable} -S {path} {{model}}"


def test_a_back_end_of_this_process() -> None:
    told: list[tuple[str, float | None, str]] = []
    result = calibrate("laptop", threads=2, networks=3, seconds=0, progress=lambda *said: told.append(said))
    kept = result.calibration
    assert [network.name for network in kept.networks] == list(calibration_networks()[:3])
    assert all(0 < network.q1_ms <= network.median_ms <= network.q3_ms and network.runs == 20 for network in kept.networks)
    assert {"system", "processor", "cores", "nasopt", "onnxruntime"} == set(kept.machine)
    assert told[0] == ("calibrate", 0.0, "0 of 3 networks")
    assert resolve("laptop").calibration == kept
    (listed,) = list_devices().devices
    shown = show_device("laptop")
    assert listed == shown.calibration == kept
    assert (shown.path, shown.changed) == (result.path, {})


def test_a_command_with_networks_that_fail(tmp_path: Path) -> None:
    command = program(tmp_path, "assert b'ofa_resnet50' not in data, 'too deep'\nprint(len(data), 'us')")
    result = calibrate("board", command=command, timeout=50, networks=6, seconds=0)
    kept = result.calibration
    assert (kept.device.backend, kept.device.command, kept.device.timeout) == ("command", command, 50)
    assert {one.name for one in kept.networks} | {one.name for one in kept.failed} == set(calibration_networks()[:6])
    assert [one.name.partition("(")[0] for one in kept.failed] == ["ofa_resnet50"]
    assert all(one.median_ms == one.q1_ms and one.runs == 3 for one in kept.networks)
    assert all(one.reason.endswith("AssertionError: too deep") for one in kept.failed)
    assert set(kept.machine) == {"system", "processor", "cores", "nasopt"}
    assert resolve("board").calibration == kept


def test_a_device_that_is_broken_is_not_asked_for_long(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DeviceError, match=r"device 'board' runs none of the first 2 networks: .*exit code 1: no route"):
        calibrate("board", command=program(tmp_path, "sys.exit('no route')"))
    assert (tmp_path / "calls").read_text() == "xxxx"
    assert not folder.exists()


def test_a_calibration_is_replaced_only_with_force(tmp_path: Path) -> None:
    command = program(tmp_path, "print(3)")
    first = calibrate("board", command=command, networks=1, seconds=0)
    before = first.path.read_bytes()
    with pytest.raises(UsageError, match="calibrated already; --force"):
        calibrate("board", networks=1)
    assert first.path.read_bytes() == before
    calibrate("board", networks=1, seconds=0, force=True)
    assert show_device("board").calibration.device.backend == "onnxruntime"
    with pytest.raises(DeviceError):
        calibrate("board", command=program(tmp_path, "sys.exit(1)"), force=True)
    assert show_device("board").calibration.device.backend == "onnxruntime"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a b", {}, "cannot name a device"),
        ("torch", {}, "is a back-end"),
        ("x", {"backend": "gpu"}, "there is no back-end 'gpu'"),
        ("x", {"backend": "torch", "command": "true {model}"}, "belongs to the back-end"),
        ("x", {"networks": 0}, "ask for one or more"),
        ("x", {"command": "true {model}", "threads": 2}, "write it into the command"),
    ],
)
def test_wrong_use(name: str, options: dict, said: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=said):
        calibrate(name, **options)
    assert not folder.exists()


def test_what_changed_and_what_is_damaged(folder: Path) -> None:
    path = calibrate("laptop", networks=1, seconds=0).path
    body = json.loads(path.read_text())
    body["machine"] |= {"cores": "512", "engine": "9"}
    path.write_text(json.dumps(body))
    assert set(show_device("laptop").changed) == {"cores", "engine"}
    assert show_device("laptop").changed["engine"] == ("9", "")
    (folder / "odd.json").write_text("{}")
    listed = list_devices()
    assert [one.device.name for one in listed.devices] == ["laptop"]
    assert len(listed.damaged) == 1
    assert tuple(listed.backends) == BACKENDS
    with pytest.raises(UsageError, match="damaged"):
        show_device("odd")
    with pytest.raises(UsageError, match="the back-end 'torch' was not calibrated"):
        show_device("torch")


def test_bench_on_a_device(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(chain(), path)
    command = program(tmp_path, "print(len(data))")
    alone = nasopt.bench(path, device_command=command, runs=None)
    assert (alone.latency.median_ms, alone.engine, alone.device) == (path.stat().st_size, "command", "command")
    calibrate("board", command=command, networks=1, seconds=0)
    named = nasopt.bench(path, against=path, device="board", runs=4)
    assert (named.runs, named.engine, named.device) == (4, "command", "board")
    assert named.against_latency == named.latency
    calibrate("laptop", threads=2, networks=1, seconds=0)
    assert nasopt.bench(path, device="laptop", runs=3).threads == 2
    with pytest.raises(UsageError, match="another --threads"):
        nasopt.bench(path, device="laptop", threads=1)
    with pytest.raises(DeviceError, match="exit code 1"):
        nasopt.bench(path, device_command="false {model}")
