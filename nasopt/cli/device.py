"""``nasopt device …``: what latency is measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nasopt.cli.options import device_command_option, threads_option, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@click.group("device", invoke_without_command=True, short_help="Devices: calibrate them, list and show calibrations.")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Devices that latency is measured on: calibrate them, list and show what was measured.

    Calibrations are kept in $NASOPT_DEVICES, else in the user's data directory.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@verb(
    "calibrate",
    group=command,
    summary="Time the calibration networks on a device.",
    examples="""
    nasopt device calibrate laptop --threads 2
    nasopt device calibrate laptop-bf16 --backend openvino-bf16
    nasopt device calibrate board --device-command 'ssh board ./bench {model}' --timeout 60
    """,
)
@click.argument("name")
@click.option("--backend", metavar="NAME", help="onnxruntime, openvino, openvino-bf16, torch or command.  [default: onnxruntime]")
@threads_option()
@device_command_option()
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Stop a run of the command.  [default: 300]"
)
@click.option("--networks", type=click.IntRange(min=1), metavar="N", help="Time the first N networks only.  [default: all 20]")
@click.option("--force", is_flag=True, help="Replace an earlier calibration.")
def _calibrate(
    terminal: Terminal,
    name: str,
    *,
    backend: str | None,
    threads: int,
    device_command: str | None,
    timeout: float | None,
    networks: int | None,
    force: bool,
) -> int:
    """Time twenty small networks on a device, and keep the times under NAME.

    They are built here, and need no data.
    """
    from nasopt.api.device import calibrate
    from nasopt.report import devices

    with terminal.progress() as progress:
        result = calibrate(
            name,
            backend=backend,
            threads=threads,
            command=device_command,
            timeout=timeout,
            networks=networks,
            force=force,
            progress=progress,
        )
    return terminal.show(lambda: devices.calibrate_json(result), lambda style: devices.calibrate_text(result, style))


@verb("list", group=command, summary="List calibrated devices and back-ends.", examples="nasopt device list")
def _list(terminal: Terminal) -> int:
    """List the devices that were calibrated, and the back-ends, which can be named without."""
    from nasopt.api.device import list_devices
    from nasopt.report import devices

    result = list_devices()
    return terminal.show(lambda: devices.list_json(result), lambda style: devices.list_text(result, style))


@verb("show", group=command, summary="Show a device's calibration.", examples="nasopt device show laptop")
@click.argument("name")
def _show(terminal: Terminal, name: str) -> int:
    """Show what was measured on the device NAME, on what machine, and what of it is another by now."""
    from nasopt.api.device import show_device
    from nasopt.report import devices

    result = show_device(name)
    return terminal.show(lambda: devices.show_json(result), lambda style: devices.show_text(result, style))
