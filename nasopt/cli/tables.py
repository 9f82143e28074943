"""``nasopt tables …``: the tables of published benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasopt.cli.options import verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@click.group("tables", invoke_without_command=True, short_help="Benchmark tables: list, query and import them.")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Tables of published benchmarks: list, show, query and import them.

    They are looked for in $NASOPT_DATA/data and in the user's cache directory, where imported ones go.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@verb("list", group=command, summary="List the tables.", examples="nasopt tables list")
def _list(terminal: Terminal) -> int:
    """List the tables, and what each holds; those that are not here are marked."""
    from nasopt.api.tables import list_tables
    from nasopt.report import tables

    result = list_tables()
    return terminal.show(lambda: tables.list_json(result), lambda style: tables.list_text(result, style))


@verb(
    "show",
    group=command,
    summary="Show columns, units and sources of tables.",
    examples="""
    nasopt tables show nasbench_macro
    nasopt tables show nasbench201/accuracy
    """,
)
@click.argument("table")
def _show(terminal: Terminal, table: str) -> int:
    """Show columns, units, sources and licences of TABLE: a group such as nasbench201, or one of its tables.

    Checksums are computed; a table that differs from its record makes the exit code 1.
    """
    from nasopt.api.tables import show_tables
    from nasopt.report import tables

    result = show_tables(table)
    damaged = any(one.verified is False for one in result.tables)
    return terminal.show(
        lambda: tables.show_json(result), lambda style: tables.show_text(result, style), exit_code=1 if damaged else 0
    )  # fmt: skip


@verb(
    "query",
    group=command,
    summary="Look up what tables say of an architecture.",
    examples="""
    nasopt tables query nasbench_macro --arch 02012220 --metric mean_acc --metric params
    nasopt tables query fbnet --arch 4_8_0_8_5_5_1_0_2_7_7_4_7_3_0_5_6_5_6_1_2_0 --metric latency:pixel3 --metric zcp_nasflat/flops
    """,
)
@click.argument("table")
@click.option("--arch", "architecture", required=True, metavar="TEXT", help="The architecture: its key, its official string, or an index.")
@click.option(
    "--metric",
    "metrics",
    required=True,
    multiple=True,
    metavar="NAME",
    help="A column, FILE/COLUMN, COLUMN@TASK, or latency:DEVICE. Repeatable.",
)
def _query(terminal: Terminal, table: str, *, architecture: str, metrics: tuple[str, ...]) -> int:
    """Look up what TABLE, a group or one of its tables, says of an architecture. Values are not rounded."""
    from nasopt.api.tables import query_tables
    from nasopt.report import tables

    result = query_tables(table, architecture, metrics)
    return terminal.show(lambda: tables.query_json(result), lambda style: tables.query_text(result, style))


@verb(
    "import",
    group=command,
    summary="Import an official release.",
    examples="""
    nasopt tables import NAS-Bench-201-v1_1-096897.pth
    nasopt tables import nasbench_only108.tfrecord
    """,
)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
def _import(terminal: Terminal, path: Path) -> int:
    """Import an official release from PATH, a file or folder as it was downloaded; nothing in it is executed.

    NAS-Bench-201 and NATS-Bench, NAS-Bench-101, HW-NAS-Bench, HELP and timm's results can be imported. The largest take minutes.
    """
    from nasopt.api.tables import import_table
    from nasopt.report import tables

    with terminal.progress() as progress:
        result = import_table(path, progress=progress)
    return terminal.show(lambda: tables.import_json(result), lambda style: tables.import_text(result, style))
