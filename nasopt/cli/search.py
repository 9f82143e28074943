"""``nasopt search``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasopt.cli.options import existing_file, force_option, output_file, seed_option, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb(
    "search",
    summary="Search a benchmark's space for the best architectures.",
    examples="""
    nasopt search --space nasbench201 --task cifar10 --predictor zcp --samples 40
    nasopt search --space nasbench201 --objective accuracy --objective latency:pixel3 --samples 100 --run pixel3.run
    nasopt search --resume pixel3.run --export found/
    """,
)
@click.option("--space", metavar="NAME", help="The space: nasopt spaces list.")
@click.option("--task", metavar="NAME", help="Of the accuracies.  [default: the first that the tables have]")
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    metavar="WHAT",
    help="accuracy, accuracy:TASK, latency:DEVICE, macs, params, max:METRIC or min:METRIC; several are a front.  [default: accuracy]",
)
@click.option("--predictor", metavar="NAME", help="What the predictor reads: zcp, vec or zcpvec.  [default: zcpvec if there are proxies]")
@click.option("--strategy", default="predictor", show_default=True, metavar="NAME", help="predictor, random, local, evolution or nsga2.")
@click.option(
    "--samples", type=click.IntRange(min=1), default=40, show_default=True, metavar="N", help="Ask about N architectures, all told."
)
@seed_option()
@click.option("--run", type=output_file, metavar="FILE", help="Record the run in FILE (name it *.run).")
@click.option("--resume", type=output_file, metavar="FILE", help="Go on with the run in FILE.")
@click.option("--init-from", type=existing_file, metavar="RUN|CSV", help="Begin with what an earlier run or your own measurements say.")
@click.option(
    "--export", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help="Write the front's networks as ONNX files."
)
@force_option()
def command(
    terminal: Terminal,
    *,
    space: str | None,
    task: str | None,
    objectives: tuple[str, ...],
    predictor: str | None,
    strategy: str,
    samples: int,
    seed: int,
    run: Path | None,
    resume: Path | None,
    init_from: Path | None,
    export: Path | None,
    force: bool,
) -> int:
    """Search a space of architectures whose measurements are in published tables.

    The search asks for the validation accuracy and the costs of as few architectures as it can; test accuracies are told at the end only.
    """
    from nasopt.api.search import search
    from nasopt.report import searches

    recorded = resume or run
    try:
        with terminal.progress() as progress:
            result = search(
                space,
                task=task,
                objectives=objectives,
                predictor=predictor,
                strategy=strategy,
                samples=samples,
                seed=seed,
                run=run,
                resume=resume,
                init_from=init_from,
                export=export,
                force=force,
                progress=progress,
            )
    except KeyboardInterrupt:
        if recorded is not None and recorded.exists():
            terminal.warn(f"interrupted; go on with: nasopt search --resume {recorded}")
        raise
    return terminal.show(lambda: searches.search_json(result), lambda style: searches.search_text(result, style))
