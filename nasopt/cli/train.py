"""``nasopt train …``: predictors learn from benchmark tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasopt.cli.options import force_option, seed_option, settings_option, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@click.group("train", invoke_without_command=True, short_help="Train predictors on benchmark tables.")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Train predictors on benchmark tables ('nasopt tables list')."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@verb(
    "aiop",
    group=command,
    summary="Train AIO-P's graph network on a space's labels.",
    examples="""
    nasopt train aiop --space nasbench_macro --metric mean_acc --labels 100 --test 200 --members 1 --epochs 20 -o trained
    nasopt train aiop --space nasbench201 --metric nats_test_cifar10 --labels 1562 -o trained201
    """,
)
@click.option("--space", metavar="SPACE", help="The space whose architectures have labels; see 'nasopt spaces list'.")
@click.option("--metric", metavar="NAME", help="What to predict, as 'nasopt tables query' takes it.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FOLDER", help="Where the predictor goes.")
@click.option("--labels", type=click.IntRange(min=10), metavar="N", help="How many to learn from, drawn by the seed; most without it.")
@click.option("--test", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="How many others to test on.")
@click.option("--members", type=click.IntRange(min=1), default=3, show_default=True, metavar="N", help="Networks in the ensemble.")
@click.option(
    "--scaling",
    type=click.Choice(["stand", "stand_flops", "none"]),
    default="stand",
    show_default=True,
    help="Of labels: standardised, divided by FLOPs before it, or not at all.",
)
@click.option(
    "--loss",
    type=click.Choice(["robust", "squared"]),
    default="robust",
    show_default=True,
    help="Whether large errors count linearly, or squared as in the paper.",
)
@click.option("--describe/--no-describe", default=True, help="Heads read a description of the network, too (default), or not (the paper).")
@click.option("--fold/--no-fold", default=True, help="Learn networks with their norms and with these folded (default), or as built only.")
@click.option("--backbone", metavar="FOLDER|TASK", help="Train adapters beside this predictor's first network, which stays as it is.")
@click.option(
    "--reproduce",
    type=click.Choice(["table3"]),
    help="Make AIO-P's Tables 3, 4, 21 and 22 anew from its authors' caches; of the other options only -o and --force count.",
)
@click.option("--caches", type=click.Path(path_type=Path), metavar="FOLDER", help="Where these caches are (gpi_*_comp_graph_cache.pkl).")
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="At most; 2,000 steps without it.")
@seed_option()
@settings_option()
@force_option()
def _aiop(
    terminal: Terminal,
    *,
    space: str | None,
    metric: str | None,
    output: Path,
    labels: int | None,
    test: int,
    members: int,
    scaling: Any,
    loss: str,
    describe: bool,
    fold: bool,
    backbone: str | None,
    reproduce: str | None,
    caches: Path | None,
    epochs: int | None,
    seed: int,
    settings: dict[str, Any],
    force: bool,
) -> int:
    """Train an ensemble of AIO-P's graph networks on what tables say of a space's architectures, and test it on others.

    Each network stops early by a part of the labels of its own. A run that was interrupted is taken up by the same command.
    """
    from nasopt.api.train import AIOPTraining, reproduce_aiop, train_aiop
    from nasopt.errors import UsageError
    from nasopt.report import predictors, reproduction

    if (reproduce is None) != (caches is None):
        raise UsageError("--reproduce TABLE and --caches FOLDER go together")
    if caches is not None:
        with terminal.progress() as progress:
            tables = reproduce_aiop(caches, output, force=force, progress=progress)
        return terminal.show(
            lambda: reproduction.reproduce_json(tables),
            lambda style: reproduction.reproduce_text(tables, style),
            schema="train-aiop-reproduce",
        )
    if space is None or metric is None:
        raise UsageError("name what to learn: --space SPACE and --metric NAME ('nasopt spaces list', 'nasopt tables list')")
    asked = AIOPTraining(
        space=space, metric=metric, settings=settings, labels=labels, test=test, members=members, scaling=scaling, robust=loss == "robust",
        epochs=epochs, seed=seed, describe=describe, fold=fold, backbone=backbone,
    )  # fmt: skip
    with terminal.progress() as progress:
        result = train_aiop(asked, output, force=force, progress=progress)
    return terminal.show(lambda: predictors.train_json(result), lambda style: predictors.train_text(result, style))
