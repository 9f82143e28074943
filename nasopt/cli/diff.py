"""``nasopt diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasopt.cli.options import input_shape_option, model_argument, verb

if TYPE_CHECKING:
    from pathlib import Path

    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb("diff", summary="Show what differs between two models.", examples="nasopt diff net.onnx small.onnx")
@model_argument("before")
@model_argument("after")
@input_shape_option()
def command(terminal: Terminal, before: Path, after: Path, *, input_shapes: dict[str, tuple[int, ...]]) -> int:
    """Show what differs between the models BEFORE and AFTER: costs, nodes, weights, interface."""
    from nasopt.api.diff import diff
    from nasopt.report import json, text

    result = diff(before, after, input_shapes=input_shapes)
    return terminal.show(lambda: json.diff(result), lambda style: text.diff(result, style, verbosity=terminal.verbosity))
