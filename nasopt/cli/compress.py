"""``nasopt compress``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasopt.cli.config import config_option
from nasopt.cli.options import (
    device_command_option,
    device_option,
    force_option,
    input_shape_option,
    model_argument,
    output_file,
    seed_option,
    threads_option,
    verb,
)
from nasopt.cli.types import drop, granularity
from nasopt.errors import UsageError

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal
    from nasopt.results import CompressResult

__all__ = ["command"]

INPUTS = ("data", "labels", "preprocess", "checkpoint")
"""Options that may name files which a report must not overwrite."""


@verb(
    "compress",
    summary="Make a trained model smaller.",
    examples="""
    nasopt compress net.onnx --flops-drop 0.13 -o small.onnx
    nasopt compress net.onnx --flops-drop 0.3 --params-drop 0.2 -o small.onnx --report report.html
    nasopt compress net.onnx --latency-drop 0.2 --device openvino -o small.onnx
    nasopt compress net.onnx --flops-drop 0.5 --preserve '*head*' --dry-run
    nasopt compress net.onnx --config nasopt.toml -o small.onnx --json > result.json
    """,
)
@model_argument()
@click.option("-o", "--output", type=output_file, help="Where to write the result; its edit script goes beside it.")
@click.option("--flops-drop", type=drop, metavar="SHARE", help="Ask for this much less computation (MACs): 0.13 is 13 % less.")
@click.option("--params-drop", type=drop, metavar="SHARE", help="Ask for this many fewer parameters.")
@click.option("--memory-drop", type=drop, metavar="SHARE", help="Ask for this much less peak activation memory.")
@click.option("--latency-drop", type=drop, metavar="SHARE", help="Ask for this much less latency, measured on --device.")
@device_option()
@device_command_option()
@click.option("--best-effort", is_flag=True, help="Write the nearest network if the drop is out of reach.")
@click.option("--dry-run", is_flag=True, help="Search and report, but write no model.")
@force_option()
@input_shape_option()
@click.option("--preserve", metavar="GLOB", multiple=True, help="Keep the channels of matching weights or nodes. Repeatable.")
@click.option("--granularity", type=granularity, metavar="auto|N", default="auto", show_default=True, help="Step of channel counts.")
@click.option("--importance", metavar="NAME", help="How channels are ranked: surgery (default), meanfield, l1, fisher (with --data), ...")
@click.option("--data", type=click.Path(path_type=Path), metavar="PATH", help="Unlabelled inputs: .npy, .npz, images (docs/data.md).")
@click.option("--preprocess", metavar="FILE|JSON", help="What makes inputs of images.")
@click.option("--data-limit", type=click.IntRange(min=2), metavar="N", help="Use at most N of the inputs; 1,000 without it.")
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE.npy", help="Classes of the inputs, to report accuracy on some.")
@click.option("--compensate/--no-compensate", default=True, help="Fit the weights that are left (default) or keep them as they are.")
@click.option("--finetune-steps", type=click.IntRange(min=1), metavar="N", help="Then distil from the original on --data, N steps of 128.")
@click.option("--finetune-epochs", type=click.FloatRange(min=0, min_open=True), metavar="N", help="... N rounds through the data.")
@click.option("--finetune-minutes", type=click.FloatRange(min=0, min_open=True), metavar="M", help="... for M minutes.")
@click.option("--augment", type=click.Choice(["flip", "crop"]), multiple=True, help="Change the images while distilling. Repeatable.")
@click.option("--checkpoint", type=output_file, metavar="FILE", help="Where distillation saves its state, and goes on from.")
@click.option("--learn-labels", is_flag=True, help="Distillation learns from --labels as well.")
@click.option("--measure", type=click.IntRange(min=1), metavar="N", help="Measure N candidates before one is chosen (with --data: 6).")
@click.option("--metric", metavar="FILE.py:FUNCTION", help="What to choose by: gets the path of an ONNX file, returns a number.")
@click.option("--predictor", metavar="TASK|FOLDER", help="Search by what a predictor says of the architecture, too ('nasopt predict').")
@click.option(
    "--predictor-weight",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="W",
    help="... and choose by it: its weight.",
)
@click.option("--simplify/--no-simplify", default=True, help="Remove identities, dead branches, duplicates (default) or not.")
@click.option("--fold-batchnorm/--no-fold-batchnorm", help="Fold BatchNorm into convolutions or not (default).")
@seed_option()
@click.option("--generations", type=click.IntRange(min=1), metavar="N", help="Generations of the search.")
@click.option("--time-limit", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Stop the search after this long.")
@click.option("--pareto", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write models along the Pareto front, too.")
@click.option("--latency/--no-latency", default=True, help="Time the network before and after (default) or not.")
@threads_option("Threads of inference; a calibrated device has its own.  [default: 1]", default=None)
@click.option("--report", type=output_file, metavar="FILE.html", help="Write a report to look at or print.")
@config_option()
def command(
    terminal: Terminal,
    model: Path,
    output: Path | None,
    *,
    flops_drop: float | None,
    params_drop: float | None,
    memory_drop: float | None,
    latency_drop: float | None,
    latency: bool,
    report: Path | None,
    dry_run: bool,
    force: bool,
    **options: Any,
) -> int:
    """Make MODEL smaller until it costs as little as asked; what is left of its weights is fitted to its answers.

    Ends with exit code 3 if no admissible network is small enough (nothing is written, unless --best-effort),
    and with 5 if the result is slower than MODEL (it is written).
    """
    if flops_drop is None and params_drop is None and memory_drop is None and latency_drop is None:
        msg = "nothing to reach: say how much smaller, e.g. --flops-drop 0.13 (or --params-drop, --memory-drop, --latency-drop)"
        raise UsageError(msg)
    if output is None and not dry_run:
        msg = "nowhere to write: name the result with -o OUT.onnx, or only look with --dry-run"
        raise UsageError(msg)
    if report is not None:
        mine = [] if output is None else [output, output.with_suffix(".json"), output.with_suffix(".safetensors")]
        _check_report(report, [model, *mine, *(Path(options[name]) for name in INPUTS if options.get(name) is not None)], force=force)

    from nasopt.api.compress import compress

    with terminal.progress() as progress:
        result = compress(
            model,
            output,
            flops_drop=flops_drop,
            params_drop=params_drop,
            memory_drop=memory_drop,
            latency_drop=latency_drop,
            measure_latency=latency,
            dry_run=dry_run,
            force=force,
            command=terminal.command,
            progress=progress,
            **options,
        )
    return _present(terminal, result, report)


def _check_report(report: Path, others: list[Path], *, force: bool) -> None:
    from nasopt.files import check_writable

    for other in others:
        if report.resolve() == other.resolve():
            msg = f"--report {report} would overwrite a file of the same run; name another"
            raise UsageError(msg)
    check_writable(report, force=force)


def _present(terminal: Terminal, result: CompressResult, report: Path | None) -> int:
    from nasopt.report import json, text

    if report is not None:
        from nasopt.files import write_atomically
        from nasopt.report.html import page

        write_atomically(report, page(result).encode())
    code = terminal.show(
        lambda: json.compress(result),
        lambda style: text.compress(result, style, verbosity=terminal.verbosity),
        exit_code=result.exit_code,
    )
    if result.latency is not None and result.latency.slower:
        terminal.warn(f"SLOWER: the result takes {result.latency.ratio:.2f} times as long as {result.path} on this machine")
    if not result.reached:
        terminal.warn("NOT REACHED: the result is the nearest that was found")
    return code
