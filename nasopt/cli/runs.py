"""``nasopt runs …``: the records of searches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasopt.cli.options import existing_file, force_option, output_file, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@click.group("runs", invoke_without_command=True, short_help="Runs of searches: list, show, watch and export them.")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Records of searches (nasopt search --run FILE): list, show, watch and export them, also while a search goes on."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@verb("list", group=command, summary="List the runs in a folder.", examples="nasopt runs list")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
def _list(terminal: Terminal, folder: Path) -> int:
    """List the runs (*.run) in FOLDER, the one that changed last first."""
    from nasopt.api.runs import list_runs
    from nasopt.report import searches

    result = list_runs(folder)
    return terminal.show(lambda: searches.list_json(result), lambda style: searches.list_text(result, style))


@verb("show", group=command, summary="Show a run.", examples="nasopt runs show pixel3.run")
@click.argument("run", type=existing_file)
def _show(terminal: Terminal, run: Path) -> int:
    """Show how far RUN has come, and the best that it has found."""
    from nasopt.api.runs import show_run
    from nasopt.report import searches

    result = show_run(run)
    return terminal.show(lambda: searches.show_json(result), lambda style: searches.show_text(result, style))


@verb("front", group=command, summary="Show the front of a run.", examples="nasopt runs front pixel3.run")
@click.argument("run", type=existing_file)
def _front(terminal: Terminal, run: Path) -> int:
    """Show the architectures of RUN that no other beats in every objective."""
    from nasopt.api.runs import show_run
    from nasopt.report import searches

    result = show_run(run)
    return terminal.show(lambda: searches.front_json(result), lambda style: searches.front_text(result, style))


@verb("watch", group=command, summary="Follow a run until it is done.", examples="nasopt runs watch pixel3.run")
@click.argument("run", type=existing_file)
def _watch(terminal: Terminal, run: Path) -> int:
    """Print the architectures that RUN asks about as it does so, until it is done."""
    from nasopt.api.runs import show_run, watch_run
    from nasopt.report import searches

    for number, samples, arch, values in watch_run(run):
        terminal.say(searches.answer_text(number, samples, arch, values))
    result = show_run(run)
    return terminal.show(lambda: searches.show_json(result), lambda style: searches.show_text(result, style))


@verb("export", group=command, summary="Write a run as CSV.", examples="nasopt runs export pixel3.run -o pixel3.csv")
@click.argument("run", type=existing_file)
@click.option("-o", "--output", type=output_file, required=True, metavar="OUT", help="The CSV file to write.")
@force_option()
def _export(terminal: Terminal, run: Path, *, output: Path, force: bool) -> int:
    """Write every evaluation of RUN as a CSV file."""
    from nasopt.api.runs import table_of
    from nasopt.files import check_writable, write_atomically
    from nasopt.report import searches

    check_writable(output, force=force)
    rows = table_of(run)
    write_atomically(output, searches.csv_of(rows).encode())
    return terminal.show(lambda: searches.export_json(output, rows), lambda style: searches.export_text(output, rows, style))
