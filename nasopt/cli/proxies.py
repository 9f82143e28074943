"""``nasopt proxies``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasopt.cli.options import existing_file, input_shape_option, seed_option, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb(
    "proxies",
    summary="Score by zero-cost proxies.",
    examples="""
    nasopt proxies net.onnx
    nasopt proxies net.onnx --proxy synflow --proxy nwot --json
    nasopt proxies net.onnx --data images.npy --labels classes.npy
    """,
)
@click.argument("model", type=existing_file)
@click.option("--proxy", "names", metavar="NAME", multiple=True, help="One of the thirteen (docs/proxies.md); all without it. Repeatable.")
@click.option("--data", type=click.Path(path_type=Path), metavar="PATH", help="Inputs: .npy, .npz, images (docs/data.md). Random without.")
@click.option("--preprocess", metavar="FILE|JSON", help="What makes inputs of images.")
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE.npy", help="Classes of the inputs. Random without.")
@click.option("--batch", type=click.IntRange(min=2), default=64, show_default=True, metavar="N", help="Look at N inputs.")
@seed_option()
@input_shape_option()
def command(
    terminal: Terminal,
    model: Path,
    *,
    names: tuple[str, ...],
    data: Path | None,
    preprocess: str | None,
    labels: Path | None,
    batch: int,
    seed: int,
    input_shapes: dict[str, tuple[int, ...]],
) -> int:
    """Score MODEL, an ONNX file, by zero-cost proxies: what its weights and one batch say of it, without training.

    They rank architectures at the start of training; a trained network's scores are of its trained weights. Needs PyTorch.
    """
    from nasopt.api.proxies import proxies
    from nasopt.report import predictors

    result = proxies(
        model, names, data=data, preprocess=preprocess, labels=labels, batch=batch, seed=seed, input_shapes=input_shapes
    )  # fmt: skip
    return terminal.show(lambda: predictors.proxies_json(result), lambda style: predictors.proxies_text(result, style))
