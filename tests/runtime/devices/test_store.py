"""Calibrations are kept as they were made, and whatever is wrong with a file or a name is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasopt.device_results import Calibration, Device, FailedNetwork, NetworkLatency
from nasopt.errors import UsageError
from nasopt.runtime.devices import store
from nasopt.runtime.devices.command import Command

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True).filter(lambda name: name not in store.BACKENDS)
times = st.floats(1e-6, 1e6)
devices = st.one_of(
    st.builds(Device, names, st.sampled_from(["onnxruntime", "torch", "openvino"]), st.integers(1, 64)),
    st.builds(Device, names, st.just("command"), st.just(1), st.text(), st.none() | st.floats(0.1, 1e3)),
)
calibrations = st.builds(
    Calibration,
    devices,
    st.dictionaries(st.text(), st.text(), max_size=3),
    st.text(),
    st.lists(st.builds(NetworkLatency, st.text(), times, times, times, st.integers(1, 500)), max_size=3).map(tuple),
    st.lists(st.builds(FailedNetwork, st.text(), st.text()), max_size=2).map(tuple),
)
LAPTOP = Calibration(
    Device("laptop", "onnxruntime", 2), {"cores": "2"}, "2026-11-27T00:00:00+00:00", (NetworkLatency("n", 2.0, 1.5, 3, 20),)
)
BOARD = Calibration(Device("board", "command", 1, "sh -c 'echo 3' {model}", 5.0), {}, "", (NetworkLatency("n", 2.0, 1.5, 3, 20),))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASOPT_DEVICES", str(tmp_path / "some" / "devices"))
    return tmp_path / "some" / "devices"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calibration=calibrations)
def test_what_is_kept_comes_back(calibration: Calibration) -> None:
    path = store.write(calibration)
    assert path == store.file_of(calibration.device.name)
    assert store.read(calibration.device.name) == calibration
    assert (path, calibration) in list(store.stored())
    assert calibration.medians == {one.name: one.median_ms for one in calibration.networks}


def test_where_they_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NASOPT_DEVICES")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert store.folder() == tmp_path / "data" / "nasopt" / "devices"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for base in ("relative", ""):
        monkeypatch.setenv("XDG_DATA_HOME", base)
        assert store.folder() == tmp_path / "home" / ".local" / "share" / "nasopt" / "devices"
    assert list(store.stored()) == []


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-x", "a/b", "a b", "ä", "a\n", "a" * 65, "../up", "x\x00"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a device"):
        store.check_name(name, "onnxruntime")
    with pytest.raises(UsageError, match="there is no device"):
        store.read(name)
    with pytest.raises(UsageError, match="there is no device"):
        store.resolve(name)


def test_a_back_ends_name_is_for_its_own_device() -> None:
    assert store.check_name("torch", "torch") == "torch"
    with pytest.raises(UsageError, match="add --backend torch"):
        store.check_name("torch", "onnxruntime")
    with pytest.raises(UsageError, match="'command' is a back-end: give the device another name"):
        store.check_name("command", "command")


def damage(**changes: object) -> bytes:
    """LAPTOP's file with some keys set, or left out where None."""
    body = json.loads(store.write(LAPTOP).read_text())
    body |= changes
    return json.dumps({key: value for key, value in body.items() if value is not None}).encode()


DEVICE = {"name": "laptop", "backend": "onnxruntime", "threads": 2, "command": None, "timeout": None}
NETWORK = {"name": "n", "median_ms": 2.0, "q1_ms": 1.5, "q3_ms": 3, "runs": 20}


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "nasopt/calibration/2"},
        {"format": None},
        {"device": None},
        {"device": DEVICE | {"name": "other"}},
        {"device": DEVICE | {"backend": "gpu"}},
        {"device": DEVICE | {"threads": "2"}},
        {"device": DEVICE | {"threads": True}},
        {"device": DEVICE | {"odd": 1}},
        {"device": []},
        {"networks": [NETWORK | {"median_ms": 0}]},
        {"networks": [NETWORK | {"median_ms": None}]},
        {"networks": [NETWORK | {"median_ms": float("nan")}]},
        {"networks": [{}]},
        {"networks": 3},
        {"failed": [1]},
        {"machine": []},
        {"date": None},
    ],
)
def test_damaged_records(changes: dict[str, object]) -> None:
    content = damage(**changes)
    store.file_of("laptop").write_bytes(content)
    check_damaged()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b"[" * 100_000])
def test_damaged_files(content: bytes, folder: Path) -> None:
    folder.mkdir(parents=True)
    store.file_of("laptop").write_bytes(content)
    check_damaged()


def check_damaged() -> None:
    path = store.file_of("laptop")
    for call in (store.read, store.resolve):
        with pytest.raises(UsageError) as caught:
            call("laptop")
        assert str(caught.value).startswith(f"{path}: is no calibration, or a damaged one: ")
    store.write(BOARD)
    (_, board), (where, error) = store.stored()
    assert (board, where) == (BOARD, path)
    assert isinstance(error, UsageError)


def test_folders_that_cannot_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.parent.mkdir()
    folder.write_text("a file")
    with pytest.raises(UsageError, match="cannot be made"):
        store.write(LAPTOP)
    with pytest.raises(UsageError, match=r"cannot be written \(Not a directory\); \$NASOPT_DEVICES"):
        store.check_folder()
    folder.unlink()
    store.check_folder()
    assert not folder.exists()
    (folder / "laptop.json").mkdir(parents=True)
    with pytest.raises(UsageError, match="there is no device"):
        store.read("laptop")
    assert [type(found) for _, found in store.stored()] == [UsageError]


def test_what_a_name_means() -> None:
    store.write(LAPTOP)
    store.write(BOARD)
    laptop = store.resolve("laptop")
    assert (laptop.device, laptop.calibration, laptop.backend.name, laptop.backend.threads) == (LAPTOP.device, LAPTOP, "onnxruntime", 2)
    assert store.resolve("laptop", threads=2) == laptop
    board = store.resolve("board")
    assert board.backend == Command("sh -c 'echo 3' {model}", 5.0)
    assert board.calibration == BOARD
    plain = store.resolve()
    assert (plain.device, plain.calibration) == (Device("onnxruntime", "onnxruntime"), None)
    torch = store.resolve("torch", threads=3)
    assert (torch.device, torch.backend.threads, torch.calibration) == (Device("torch", "torch", 3), 3, None)
    command = store.resolve(command="true {model}", timeout=3)
    assert (command.device.name, command.backend) == ("command", Command("true {model}", 3))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("laptp", {}, "did you mean laptop"),
        ("laptop", {"threads": 1}, "was calibrated with another --threads"),
        ("laptop", {"command": "true {model}"}, "was calibrated with another --device-command"),
        ("board", {"timeout": 7.0}, "was calibrated with another --timeout"),
        ("command", {}, "needs the command"),
        ("torch", {"command": "true {model}"}, "belongs to the back-end 'command'"),
    ],
)
def test_what_means_nothing(name: str, options: dict[str, object], said: str) -> None:
    store.write(LAPTOP)
    store.write(BOARD)
    with pytest.raises(UsageError, match=said):
        store.resolve(name, **options)  # type: ignore[arg-type]


def test_a_back_end_that_was_calibrated_under_its_own_name() -> None:
    kept = Calibration(Device("onnxruntime", "onnxruntime", 1), {}, "", LAPTOP.networks)
    store.write(kept)
    assert store.resolve().calibration is None
    assert store.resolve("onnxruntime", threads=1).calibration == kept
    assert store.resolve("onnxruntime", threads=2).calibration is None
