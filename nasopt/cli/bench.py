"""``nasopt bench``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nasopt.cli.options import existing_file, input_shape_option, model_argument, seed_option, threads_option, verb

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
    """,
)
@model_argument()
@click.option("--against", type=existing_file, help="Time this model in turns with MODEL.")
@input_shape_option()
@threads_option()
@click.option("--runs", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="Timed runs.")
@seed_option()
def command(
    terminal: Terminal, model: Path, *, against: Path | None, input_shapes: dict[str, tuple[int, ...]], threads: int, runs: int, seed: int
) -> int:
    """Time MODEL on this machine: median and quartiles."""
    from nasopt.api.bench import bench
    from nasopt.report import json, text

    result = bench(model, against=against, input_shapes=input_shapes, threads=threads, runs=runs, seed=seed)
    return terminal.show(lambda: json.bench(result), lambda style: text.bench(result, style))
