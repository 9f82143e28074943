"""Results about devices, as text and as the bodies of JSON documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nasopt.report.layout import columns, printable
from nasopt.report.units import milliseconds, plural

if TYPE_CHECKING:
    from nasopt.device_results import Calibrated, Calibration, Device, DeviceDetail, DevicesResult
    from nasopt.report.layout import Style

__all__ = ["calibrate_json", "calibrate_text", "list_json", "list_text", "show_json", "show_text"]

Body = dict[str, Any]
WIDEST = 60
"""Characters of a network's name that a table has room for; JSON has all of it."""


def calibrate_json(result: Calibrated) -> Body:
    """The body of ``nasopt device calibrate``."""
    return {**_calibration(result.calibration), "path": str(result.path), "seconds": result.seconds}


def calibrate_text(result: Calibrated, style: Style) -> str:
    """What was measured, and where it is kept."""
    kept = f"{plural(len(result.calibration.networks), 'network')} in {result.seconds:.0f} s -> {style(str(result.path), 'bold')}"
    return "\n".join([*_table(result.calibration, style), kept])


def list_json(result: DevicesResult) -> Body:
    """The body of ``nasopt device list``."""
    devices = [{**asdict(one.device), "date": one.date, "networks": len(one.networks), "failed": len(one.failed)} for one in result.devices]
    return {"folder": str(result.folder), "devices": devices, "backends": dict(result.backends), "damaged": list(result.damaged)}


def list_text(result: DevicesResult, style: Style) -> str:
    """A line a device, and what else there is to run networks on."""
    rows = [("device", "back-end", "threads", "networks", "calibrated", "")]
    for one in result.devices:
        device = one.device
        count = f"{len(one.networks)}{f', {len(one.failed)} failed' if one.failed else ''}"
        rows.append(
            (
                style(device.name, "bold"),
                device.backend,
                _threads(device),
                count,
                one.date[:10],
                style(printable(device.command or ""), "dim"),
            )
        )
    table = columns(rows, "llrrll", indent=0) if len(rows) > 1 else [f"no device was calibrated yet (in {result.folder})"]
    backends = [name if there else f"{name} (not installed)" for name, there in result.backends.items()]
    damaged = [f"{style('damaged', 'yellow')}  {printable(line)}" for line in result.damaged]
    return "\n".join([*table, *damaged, style(f"back-ends: {', '.join(backends)}", "dim")])


def show_json(result: DeviceDetail) -> Body:
    """The body of ``nasopt device show``."""
    changed = {what: {"was": was, "now": now} for what, (was, now) in result.changed.items()}
    return {**_calibration(result.calibration), "path": str(result.path), "changed": changed}


def show_text(result: DeviceDetail, style: Style) -> str:
    """What was measured, on what, and what of that is another by now."""
    machine = ", ".join(f"{what} {value}" for what, value in result.calibration.machine.items())
    changed = [
        f"{style('changed', 'yellow')}  {printable(f'{what}: {was} -> {now}')}: calibrate anew with --force"
        for what, (was, now) in result.changed.items()
        if now
    ]
    gone = [
        f"{style('changed', 'yellow')}  {printable(f'{what}: {was} is gone')}" for what, (was, now) in result.changed.items() if not now
    ]
    return "\n".join([*_table(result.calibration, style), printable(machine), *changed, *gone])


def _calibration(calibration: Calibration) -> Body:
    return {**asdict(calibration), "machine": dict(calibration.machine)}


def _threads(device: Device) -> str:
    return "" if device.command is not None else str(device.threads)


def _table(calibration: Calibration, style: Style) -> list[str]:
    device = calibration.device
    how = printable(device.command) if device.command is not None else plural(device.threads, "thread")
    head = f"{style(device.name, 'bold')}  {device.backend}, {how}, {calibration.date}"
    rows = [("median", "q1", "q3", "runs", "network")]
    rows += [
        (style(milliseconds(one.median_ms), "bold"), milliseconds(one.q1_ms), milliseconds(one.q3_ms), str(one.runs), _short(one.name))
        for one in calibration.networks
    ]
    failed = [f"  {style('failed', 'yellow')}  {_short(one.name)}: {printable(one.reason)}" for one in calibration.failed]
    return [head, *columns(rows, "rrrrl"), *failed]


def _short(name: str) -> str:
    return printable(name if len(name) <= WIDEST else f"{name[: WIDEST - 3]}...")
