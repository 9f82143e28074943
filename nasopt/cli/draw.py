"""``nasopt draw``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasopt.cli.options import force_option, input_shape_option, model_argument, output_file, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal
    from nasopt.results import DrawResult

__all__ = ["command"]

KINDS = (".svg", ".png", ".html", ".json")


@verb(
    "draw",
    summary="Draw a model's computational graph.",
    examples="""
    nasopt draw net.onnx -o net.svg
    nasopt draw net.onnx -o net.png
    nasopt draw net.onnx -o net.json
    """,
)
@model_argument()
@click.option("-o", "--output", type=output_file, required=True, metavar="OUT", help="The file to write: .svg, .png, .html or .json.")
@input_shape_option()
@force_option()
def command(terminal: Terminal, model: Path, *, output: Path, input_shapes: dict[str, tuple[int, ...]], force: bool) -> int:
    """Draw the computational graph of MODEL, an ONNX file or such a graph in JSON, as AIO-P's predictor sees it.

    The ending of OUT decides on the form; .json is the graph itself.
    """
    from nasopt.api.draw import draw
    from nasopt.errors import UsageError
    from nasopt.files import check_writable, write_atomically
    from nasopt.report import json, text

    if output.suffix not in KINDS:
        raise UsageError(f"{output}: can be {', '.join(KINDS)}; name a file that ends so")
    check_writable(output, force=force)
    result = draw(model, input_shapes=input_shapes)
    write_atomically(output, _rendered(result, output.suffix))
    return terminal.show(lambda: json.draw(result, output), lambda style: text.draw(result, style, output=output))


def _rendered(result: DrawResult, kind: str) -> bytes:
    if kind == ".json":
        return result.json.encode()
    if kind == ".png":
        from nasopt.report.raster import png

        return png(result.drawing)
    from nasopt.report import dag

    return (dag.svg if kind == ".svg" else dag.html)(result.drawing).encode()
