"""``nasopt predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasopt.cli.options import existing_file, input_shape_option, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb(
    "predict",
    summary="Predict how well a network would do.",
    examples="""
    nasopt predict net.onnx --task imagenet
    nasopt predict --list-tasks
    nasopt predict net.onnx --checkpoint trained/ --json
    """,
)
@click.argument("model", type=existing_file, required=False)
@click.option("--task", metavar="NAME", help="What to predict, of what ships with nasopt.")
@click.option("--list-tasks", "listed", is_flag=True, help="List these tasks, and how good their predictors are.")
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Instead of a task: a predictor that 'nasopt train aiop' wrote.",
)
@input_shape_option()
def command(
    terminal: Terminal,
    model: Path | None,
    *,
    task: str | None,
    listed: bool,
    checkpoint: Path | None,
    input_shapes: dict[str, tuple[int, ...]],
) -> int:
    """Predict how well the architecture of MODEL, an ONNX file, would do a task.

    Its weights do not matter: what is predicted is what the architecture would reach if it were trained as those were that the predictor
    learned from. A warning says when it is unlike all of those.
    """
    from nasopt.errors import UsageError
    from nasopt.report import predictors

    if listed:
        from nasopt.api.tasks import list_tasks

        tasks = list_tasks()
        return terminal.show(
            lambda: predictors.tasks_json(tasks), lambda style: predictors.tasks_text(tasks, style), schema="predict-tasks"
        )
    if model is None:
        raise UsageError("name the ONNX file to predict for (or --list-tasks)")
    from nasopt.api.predict import predict

    result = predict(model, checkpoint, task=task, input_shapes=input_shapes)
    if result.warning is not None:
        terminal.warn(result.warning)
    return terminal.show(lambda: predictors.predict_json(result), lambda style: predictors.predict_text(result, style))
