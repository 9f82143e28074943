"""``nasopt bench``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nasopt.cli.options import (
    device_command_option,
    device_option,
    existing_file,
    input_shape_option,
    model_argument,
    seed_option,
    threads_option,
    verb,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb(
    "bench",
    summary="Time a model on this machine.",
    examples="""
    nasopt bench net.onnx --threads 4
    nasopt bench small.onnx --against net.onnx
    nasopt bench net.onnx --device openvino
    nasopt bench net.onnx --device-command 'ssh board ./bench {model}'
    """,
)
@model_argument()
@click.option("--against", type=existing_file, help="Time this model in turns with MODEL.")
@input_shape_option()
@device_option()
@device_command_option()
@threads_option("Threads to time with; a calibrated device has its own.  [default: 1]", default=None)
@click.option(
    "--runs", type=click.IntRange(min=1), metavar="N", help="Timed runs.  [default: 50; on a device, what takes three seconds or more]"
)
@seed_option()
def command(
    terminal: Terminal,
    model: Path,
    *,
    against: Path | None,
    input_shapes: dict[str, tuple[int, ...]],
    device: str | None,
    device_command: str | None,
    threads: int | None,
    runs: int | None,
    seed: int,
) -> int:
    """Time MODEL on this machine: median and quartiles."""
    from nasopt.api.bench import bench
    from nasopt.report import json, text

    if runs is None and device is None and device_command is None:
        runs = 50
    result = bench(
        model,
        against=against,
        input_shapes=input_shapes,
        threads=threads,
        runs=runs,
        seed=seed,
        device=device,
        device_command=device_command,
    )
    return terminal.show(lambda: json.bench(result), lambda style: text.bench(result, style))
