"""Calibrations that are kept, a JSON file each: in ``$NASOPT_DEVICES``, else ``$XDG_DATA_HOME/nasopt/devices``, else ``~/.local/share/…``.

A device's name is its file's. `resolve` finds what a name means: a device that was calibrated, or a back-end as it stands.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nasopt.device_results import Calibration, Device, FailedNetwork, NetworkLatency
from nasopt.errors import UsageError
from nasopt.files import write_atomically
from nasopt.runtime.devices.contract import Backend
from nasopt.runtime.devices.registry import BACKENDS, COMMAND, DEFAULT, backend

__all__ = [
    "Calibration",
    "Device",
    "Resolved",
    "check_folder",
    "check_name",
    "file_of",
    "folder",
    "open_device",
    "read",
    "resolve",
    "stored",
    "write",
]

FORMAT = "nasopt/calibration/1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a name means.

    Attributes:
        device: the device.
        backend: what times networks on it.
        calibration: what was measured there; None if it was never calibrated.
    """

    device: Device
    backend: Backend
    calibration: Calibration | None = None


def folder() -> Path:
    """Where calibrations lie."""
    named = os.environ.get("NASOPT_DEVICES", "")
    if named:
        return Path(named)
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share") / "nasopt" / "devices"


def check_name(name: str, backend: str) -> str:
    """A name that a device may have.

    Raises:
        UsageError: it holds something else than letters, digits and ``. _ -``, or it is the name of another back-end.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot name a device: up to 64 letters, digits, '.', '_' and '-', a letter or digit first")
    if name in BACKENDS and (name != backend or name == COMMAND):
        raise UsageError(f"'{name}' is a back-end: {f'add --backend {name}, or ' if name != COMMAND else ''}give the device another name")
    return name


def file_of(name: str) -> Path:
    """The file of a device."""
    return folder() / f"{name}.json"


def check_folder() -> None:
    """Fails before any work is done where a calibration could not be kept in the end.

    Raises:
        UsageError: the folder cannot be written, or cannot be made.
    """
    there = folder().absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        tempfile.TemporaryFile(dir=there).close()  # rights alone do not tell
    except OSError as error:
        raise UsageError(f"{folder()}: cannot be written ({error.strerror}); $NASOPT_DEVICES names another folder") from None


def write(calibration: Calibration) -> Path:
    """Keeps a calibration, in place of an earlier one of this device.

    Returns:
        Its file.

    Raises:
        UsageError: it cannot be written.
    """
    path = file_of(calibration.device.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: cannot be made ({error.strerror}); $NASOPT_DEVICES names another folder") from None
    body = {"format": FORMAT, **asdict(calibration), "machine": dict(calibration.machine)}
    write_atomically(path, (json.dumps(body, indent=2, allow_nan=False) + "\n").encode())
    return path


def read(name: str) -> Calibration:
    """The calibration of a device.

    Raises:
        UsageError: there is none of this name, or its file is damaged.
    """
    path = file_of(name) if _NAME.fullmatch(name) else None
    if path is None or not path.is_file():
        raise _unknown(name)
    return _read(path)


def stored() -> Iterator[tuple[Path, Calibration | UsageError]]:
    """Every file and what it holds, by name; of a damaged one, what is wrong."""
    for path in sorted(folder().glob("*.json"), key=lambda path: path.stem):
        try:
            yield path, _read(path)
        except UsageError as error:
            yield path, error


def open_device(device: Device) -> Backend:
    """The back-end of a device; see `nasopt.runtime.devices.registry.backend` for the errors."""
    return backend(device.backend, threads=device.threads, command=device.command, timeout=device.timeout)


def resolve(
    name: str | None = None, *, threads: int | None = None, command: str | None = None, timeout: float | None = None
) -> Resolved:  # fmt: skip
    """What a name means: a device that was calibrated, or else a back-end.

    Args:
        name: of either; None is ONNX Runtime as it stands, or the command if there is one, whatever was calibrated.
        threads: None for those of the device, or 1. A calibrated device has its own.
        command: of the back-end ``command``.
        timeout: of the command, in seconds.

    Raises:
        UsageError: the name is neither, its file is damaged, or the options contradict what was calibrated.
        MissingExtraError: its engine is not installed.
    """
    if name is None:
        name = DEFAULT if command is None else COMMAND
    elif _NAME.fullmatch(name) and file_of(name).is_file():
        calibration = read(name)
        device = calibration.device
        asked = {
            "--threads": (threads, device.threads),
            "--device-command": (command, device.command),
            "--timeout": (timeout, device.timeout),
        }
        wrong = [option for option, (given, kept) in asked.items() if given is not None and given != kept]
        if not wrong:
            return Resolved(device, open_device(device), calibration)
        if name not in BACKENDS:
            raise UsageError(f"device '{name}' was calibrated with another {wrong[0]}: leave it out, or calibrate a device of another name")
    if name not in BACKENDS:
        raise _unknown(name)
    device = Device(name, name, 1 if threads is None else threads, command, timeout)
    return Resolved(device, open_device(device))


def _unknown(name: str) -> UsageError:
    kept = sorted(path.stem for path in folder().glob("*.json"))
    near = get_close_matches(name, [*kept, *BACKENDS], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    if name in BACKENDS:
        return UsageError(f"the back-end '{name}' was not calibrated: nasopt device calibrate NAME --backend {name}")
    return UsageError(f"there is no device '{name}'{hint} (calibrated: {', '.join(kept) or 'none'}; back-ends: {', '.join(BACKENDS)})")


def _read(path: Path) -> Calibration:
    try:
        body = json.loads(path.read_bytes())
        if body["format"] != FORMAT:
            raise ValueError
        device = _record(Device, body["device"])
        if device.name != path.stem or device.backend not in BACKENDS:
            raise ValueError
        networks = tuple(_record(NetworkLatency, entry) for entry in body["networks"])
        if not all(math.isfinite(one.median_ms) and one.median_ms > 0 for one in networks):
            raise ValueError
        failed = tuple(_record(FailedNetwork, entry) for entry in body["failed"])
        return Calibration(device, {str(key): str(value) for key, value in body["machine"].items()}, str(body["date"]), networks, failed)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError(f"{path}: is no calibration, or a damaged one: remove it, or calibrate the device anew with --force") from None


def _record(kind: Any, entry: dict[str, Any]) -> Any:
    """A record of exactly its fields, each of the type that it is declared with.

    Raises:
        ValueError, TypeError: it is something else.
    """
    kinds = {"str": str, "int": int, "float": (int, float), "str | None": (str, type(None)), "float | None": (int, float, type(None))}
    known = {field.name: kinds[str(field.type)] for field in fields(kind)}
    if set(entry) != set(known):
        raise ValueError
    for name, value in entry.items():
        if not isinstance(value, known[name]) or isinstance(value, bool):  # type: ignore[arg-type]  # types and tuples of them
            raise TypeError(name)
    return kind(**entry)
