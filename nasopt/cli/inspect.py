"""``nasopt inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasopt.cli.options import input_shape_option, model_argument, verb

if TYPE_CHECKING:
    from pathlib import Path

    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb(
    "inspect",
    summary="Show what a model costs, and where.",
    examples="""
    nasopt inspect net.onnx
    nasopt inspect net.onnx -v --input-shape input:1,3,640,640
    nasopt inspect net.onnx --json | jq .macs
    """,
)
@model_argument()
@input_shape_option()
def command(terminal: Terminal, model: Path, *, input_shapes: dict[str, tuple[int, ...]]) -> int:
    """Show what MODEL costs: MACs, parameters, memory, and where they go.

    Lists the heaviest nodes; -v lists all.
    """
    from nasopt.api.inspect import inspect
    from nasopt.report import json, text

    result = inspect(model, input_shapes=input_shapes)
    return terminal.show(lambda: json.inspect(result), lambda style: text.inspect(result, style, verbosity=terminal.verbosity))
