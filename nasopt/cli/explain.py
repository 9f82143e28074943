"""``nasopt explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nasopt.cli.options import input_shape_option, model_argument, verb

if TYPE_CHECKING:
    from pathlib import Path

    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb(
    "explain",
    summary="Show which channels can go, which cannot, and why.",
    examples="""
    nasopt explain net.onnx
    nasopt explain net.onnx --preserve '*head*'
    """,
)
@model_argument()
@input_shape_option()
@click.option("--preserve", metavar="GLOB", multiple=True, help="Keep the channels of matching weights or nodes. Repeatable.")
def command(terminal: Terminal, model: Path, *, input_shapes: dict[str, tuple[int, ...]], preserve: tuple[str, ...]) -> int:
    """Show which channels of MODEL can go, which cannot, and why.

    Names for each frozen group the operator that froze it and the MACs that it locks; -v lists every weight of a group.
    """
    from nasopt.api.explain import explain
    from nasopt.report import json, text

    result = explain(model, input_shapes=input_shapes, preserve=preserve)
    return terminal.show(lambda: json.explain(result), lambda style: text.explain(result, style, verbosity=terminal.verbosity))
