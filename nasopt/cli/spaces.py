"""``nasopt spaces …``: the search spaces of published benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasopt.cli.options import force_option, output_file, seed_option, settings_option, verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@click.group("spaces", invoke_without_command=True, short_help="Search spaces: list, sample, build and draw architectures.")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Search spaces of published benchmarks: list, sample, build and draw their architectures.

    A space has settings (resolution, classes, width, …): --set NAME=VALUE gives another value than the published one.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


_architecture_option = click.option(
    "--arch", "architecture", required=True, metavar="TEXT", help="The architecture: its official string, or a key of the tables."
)


@verb("list", group=command, summary="List the search spaces.", examples="nasopt spaces list")
def _list(terminal: Terminal) -> int:
    """List the search spaces, how many architectures each has, and its settings."""
    from nasopt.api.spaces import list_spaces
    from nasopt.report import spaces

    result = list_spaces()
    return terminal.show(lambda: spaces.list_json(result), lambda style: spaces.list_text(result, style))


@verb(
    "show",
    group=command,
    summary="Show what a space consists of.",
    examples="""
    nasopt spaces show nasbench201
    nasopt spaces show ofa_mbv3 --set width=1.2
    """,
)
@click.argument("space")
@settings_option()
def _show(terminal: Terminal, space: str, *, settings: dict[str, Any]) -> int:
    """Show what SPACE consists of: its source, genes, operations, settings, and an example."""
    from nasopt.api.spaces import show_space
    from nasopt.report import spaces

    result = show_space(space, settings)
    return terminal.show(lambda: spaces.show_json(result), lambda style: spaces.show_text(result, style))


@verb("sample", group=command, summary="Draw random architectures.", examples="nasopt spaces sample nasbench201 -n 5 --seed 1")
@click.argument("space")
@click.option("-n", "--count", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="How many.")
@seed_option()
@settings_option()
def _sample(terminal: Terminal, space: str, *, count: int, seed: int, settings: dict[str, Any]) -> int:
    """Draw random architectures of SPACE, one official string a line."""
    from nasopt.api.spaces import sample_space
    from nasopt.report import spaces

    result = sample_space(space, count, seed=seed, settings=settings)
    return terminal.show(lambda: spaces.sample_json(result), lambda style: spaces.sample_text(result, style))


@verb(
    "build",
    group=command,
    summary="Write an architecture's network as ONNX.",
    examples="""
    nasopt spaces build nasbench_macro --arch 02012220 -o net.onnx
    nasopt spaces build nasbench_macro --arch 02012220 --set classes=100 --seed 3 -o net100.onnx
    """,
)
@click.argument("space")
@_architecture_option
@click.option("-o", "--output", type=output_file, required=True, metavar="OUT", help="The ONNX file to write.")
@seed_option()
@settings_option()
@force_option()
def _build(terminal: Terminal, space: str, *, architecture: str, output: Path, seed: int, settings: dict[str, Any], force: bool) -> int:
    """Write the network of an architecture of SPACE as ONNX, with seeded initial weights, ready for training."""
    from nasopt.api.spaces import build_architecture
    from nasopt.report import spaces

    result = build_architecture(space, architecture, output, seed=seed, settings=settings, force=force)
    return terminal.show(lambda: spaces.build_json(result), lambda style: spaces.build_text(result, style))


@verb(
    "draw",
    group=command,
    summary="Draw an architecture's cell or network as SVG.",
    examples="""
    nasopt spaces draw nasbench_macro --arch 02012220 -o layers.svg
    nasopt spaces draw nasbench_macro --arch 02012220 --network -o network.svg
    """,
)
@click.argument("space")
@_architecture_option
@click.option("-o", "--output", type=output_file, required=True, metavar="OUT", help="The SVG file; OUT-normal.svg, … for several cells.")
@click.option("--network", is_flag=True, help="The whole network instead of what is searched.")
@settings_option()
@force_option()
def _draw(terminal: Terminal, space: str, *, architecture: str, output: Path, network: bool, settings: dict[str, Any], force: bool) -> int:
    """Draw the cell of an architecture of SPACE, or its network, as SVG."""
    from nasopt.api.spaces import draw_architecture
    from nasopt.errors import UsageError
    from nasopt.files import check_writable, write_atomically
    from nasopt.report import spaces
    from nasopt.report.dag import svg

    if output.suffix != ".svg":
        raise UsageError(f"{output}: drawings of architectures are SVG; name a file that ends in .svg")
    result = draw_architecture(space, architecture, network=network, settings=settings)
    parts = result.drawings
    paths = {part: output if len(parts) == 1 else output.with_name(f"{output.stem}-{part}{output.suffix}") for part in parts}
    for path in paths.values():
        check_writable(path, force=force)
    for part, path in paths.items():
        write_atomically(path, svg(parts[part]).encode())
    return terminal.show(lambda: spaces.draw_json(result, paths), lambda style: spaces.draw_text(paths, style))
