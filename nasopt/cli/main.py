"""The command ``nasopt``: finds the verb, runs it, and ends with its exit code."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from nasopt import __version__
from nasopt.cli.terminal import Terminal

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["GROUPS", "VERBS", "application", "main"]

VERBS = ("compress", "inspect", "explain", "apply", "diff", "verify", "bench", "draw", "predict", "proxies", "search", "doctor")
GROUPS = ("spaces", "tables", "train", "device", "runs")
"""Commands that have verbs of their own."""


class Application(click.Group):
    """A group that imports a verb when it is called, and answers every exception in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*VERBS, *GROUPS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in (*VERBS, *GROUPS):
            return None
        command: click.Command = import_module(f"nasopt.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise click.Abort from interrupt  # before click prints an empty line about it

    def main(
        self,
        args: Any = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command line.

        Args:
            args: the arguments; those of the process where None.
            prog_name: what the program calls itself.
            complete_var: the environment variable that asks for shell completion.
            standalone_mode: leave the process with the exit code instead of returning it.
            **extra: passed on to click.

        Returns:
            The exit code.
        """
        arguments = list(sys.argv[1:] if args is None else args)
        terminal = Terminal(arguments)
        try:
            command_line = arguments or ["--help"]
            outcome = super().main(command_line, prog_name or "nasopt", complete_var, standalone_mode=False, obj=terminal, **extra)
            code = outcome if isinstance(outcome, int) else 0
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no traceback reaches the user unasked
            from nasopt.cli.failures import answer

            code = answer(error, terminal)
        if standalone_mode:
            sys.exit(code)
        return code


@click.command(
    cls=Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Start with:
  nasopt inspect MODEL.onnx
  nasopt compress MODEL.onnx --flops-drop 0.13 -o SMALL.onnx
\b
Exit codes: 0 done, 1 unexpected or not verified, 2 usage, 3 constraint out of reach,
4 model not understood, 5 written but slower, 6 device failed, 130 interrupted.""",
)
@click.version_option(__version__, prog_name="nasopt", message="%(prog)s %(version)s")
def application() -> None:
    """Make a trained ONNX network smaller. No data set, no source code, no GPU."""


def main() -> None:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name may hold what the terminal's encoding does not
    try:
        application.main()
    finally:
        _flush()


def _flush() -> None:
    """Flushes stdout; if its reader has gone, the rest goes nowhere, or the interpreter would complain about it at its end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    raise KeyboardInterrupt
