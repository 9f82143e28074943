"""``nasopt predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasopt.cli.options import input_shape_option, model_argument, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb(
    "predict",
    summary="Predict how well a network would do.",
    examples="""
    nasopt predict net.onnx --checkpoint trained/
    nasopt predict net.onnx --checkpoint trained/ --json
    """,
)
@model_argument()
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    metavar="FOLDER",
    help="A predictor that 'nasopt train aiop' wrote.",
)
@input_shape_option()
def command(terminal: Terminal, model: Path, *, checkpoint: Path, input_shapes: dict[str, tuple[int, ...]]) -> int:
    """Predict how well the architecture of MODEL, an ONNX file, would do the task of a trained predictor.

    Its weights do not matter: what is predicted is what the architecture would reach if it were trained as those were that the predictor
    learned from. A warning says when it is unlike all of those.
    """
    from nasopt.api.predict import predict
    from nasopt.report import predictors

    result = predict(model, checkpoint, input_shapes=input_shapes)
    if result.warning is not None:
        terminal.warn(result.warning)
    return terminal.show(lambda: predictors.predict_json(result), lambda style: predictors.predict_text(result, style))
