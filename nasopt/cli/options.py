"""What several verbs share: arguments, options, and the frame in which a verb runs."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasopt.cli.terminal import Terminal
from nasopt.cli.types import input_shape, settings_by_name, shapes_by_name

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

__all__ = [
    "device_command_option",
    "device_option",
    "existing_file",
    "force_option",
    "input_shape_option",
    "model_argument",
    "output_file",
    "seed_option",
    "settings_option",
    "threads_option",
    "verb",
]

existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
output_file = click.Path(dir_okay=False, path_type=Path)


def verb(name: str, *, summary: str, examples: str, group: click.Group | None = None) -> Callable[[Callable[..., int]], click.Command]:
    """Makes a command of a function that takes the terminal first and returns the exit code.

    Args:
        name: how the command is called.
        summary: what it does, for the list of commands.
        examples: command lines for the end of its help, one a line.
        group: the command that it belongs to, as ``spaces`` in ``nasopt spaces build``.
    """
    schema = name if group is None else f"{group.name}-{name}"

    def decorate(function: Callable[..., int]) -> click.Command:
        @functools.wraps(function)
        @click.pass_context
        def run(ctx: click.Context, /, *, as_json: bool, verbose: int, quiet: bool, no_color: bool, **options: Any) -> int:
            terminal: Terminal = ctx.find_object(Terminal) or Terminal([])
            verbosity = -1 if quiet else verbose
            terminal.configure(schema, json=as_json, verbosity=verbosity, no_color=no_color, seed=options.get("seed"))
            return function(terminal, **options)

        epilog = "\b\nExamples:\n" + "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        command = click.command(name, short_help=summary, epilog=epilog)(run)
        command.params += _manners()
        if group is not None:
            group.add_command(command)
        return command

    return decorate


def _manners() -> list[click.Parameter]:
    """The options that every verb has, after its own."""
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."),
        click.Option(["-v", "--verbose"], count=True, help="Print more; -vv adds tracebacks."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Print only errors and warnings."),
        click.Option(["--no-color"], is_flag=True, help="No colours (as does the environment variable NO_COLOR)."),
    ]


def model_argument(name: str = "model") -> Decorator:
    """A model that must exist."""
    return click.argument(name, type=existing_file)


def input_shape_option() -> Decorator:
    """``--input-shape``, given to the verb as a dictionary."""
    return click.option(
        "--input-shape",
        "input_shapes",
        type=input_shape,
        metavar="NAME:SHAPE",
        multiple=True,
        callback=lambda _ctx, _param, pairs: shapes_by_name(pairs),
        help="Bind a dynamic input for the analysis, e.g. input:1,3,224,224. Repeatable.",
    )


def seed_option() -> Decorator:
    """``--seed``."""
    return click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Seed of all randomness.")


def settings_option() -> Decorator:
    """``--set``, of a search space, given to the verb as a dictionary."""
    return click.option(
        "--set",
        "settings",
        metavar="NAME=VALUE",
        multiple=True,
        callback=lambda _ctx, _param, pairs: settings_by_name(pairs),
        help="A setting of the space, e.g. classes=100. Repeatable.",
    )


def threads_option(help: str = "Threads to time with.", default: int | None = 1) -> Decorator:  # noqa: A002 - click's name for it
    """``--threads``."""
    return click.option("--threads", type=click.IntRange(min=1), default=default, show_default=True, metavar="N", help=help)


def device_option() -> Decorator:
    """``--device``."""
    return click.option("--device", metavar="NAME", help="Time on this device: a calibrated one or a back-end ('nasopt device list').")


def device_command_option() -> Decorator:
    """``--device-command``."""
    return click.option(
        "--device-command", metavar="CMD", help="Time by a command that prints milliseconds: 'ssh board ./bench {model}' (docs/devices.md)."
    )


def force_option() -> Decorator:
    """``--force``."""
    return click.option("--force", is_flag=True, help="Overwrite files that exist.")
