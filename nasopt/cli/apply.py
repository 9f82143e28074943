"""``nasopt apply``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nasopt.cli.options import existing_file, force_option, model_argument, output_file, verb

if TYPE_CHECKING:
    from pathlib import Path

    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb("apply", summary="Replay an edit script on a model.", examples="nasopt apply small.json net.onnx -o again.onnx")
@click.argument("script", type=existing_file)
@model_argument()
@click.option("-o", "--output", type=output_file, required=True, help="Where to write the result.")
@force_option()
def command(terminal: Terminal, script: Path, model: Path, *, output: Path, force: bool) -> int:
    """Replay the edit SCRIPT that compress wrote on MODEL."""
    from nasopt.api.apply import apply
    from nasopt.report import json, text

    result = apply(script, model, output, force=force)
    code = terminal.show(lambda: json.apply(script, model, result), lambda style: text.apply(script, model, result, style))
    if result.structural:
        terminal.warn("INHERITED WEIGHTS: the file of new weights does not lie beside the script; the result has the structure only")
    return code
