"""``nasopt verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nasopt.cli.options import existing_file, input_shape_option, model_argument, seed_option, verb

if TYPE_CHECKING:
    from pathlib import Path

    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb(
    "verify",
    summary="Check a result against its original.",
    examples="""
    nasopt verify net.onnx small.onnx
    nasopt verify net.onnx small.onnx --script small.json
    """,
)
@model_argument("original")
@model_argument("result")
@click.option("--script", type=existing_file, help="The edit script that made RESULT, if it is not the one beside it.")
@input_shape_option()
@seed_option()
def command(
    terminal: Terminal, original: Path, result: Path, *, script: Path | None, input_shapes: dict[str, tuple[int, ...]], seed: int
) -> int:
    """Check that RESULT is ORIGINAL with channels removed, and nothing else.

    Ends with exit code 1 if a check fails, or if no edit script is found: the result is then checked as far as it can be.
    """
    from nasopt.api.verify import verify
    from nasopt.report import json, text

    outcome = verify(original, result, script=script, input_shapes=input_shapes, seed=seed)
    return terminal.show(
        lambda: json.verify(outcome, original=original, result=result, script=script),
        lambda style: text.verify(outcome, style, original=original, result=result),
        exit_code=0 if outcome.ok else 1,
    )
