"""An exception becomes one line, one exit code and, with ``--json``, one document."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from nasopt.errors import ConstraintUnreachableError, NasoptError

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["Failure", "answer", "understand"]

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Failure:
    """What the user hears of an exception."""

    message: str
    exit_code: int
    kind: str
    reachable: dict[str, float] | None = field(default=None)


def understand(error: BaseException) -> Failure:
    """Finds the line and the exit code for an exception.

    Args:
        error: what ended the command.

    Returns:
        One line, its exit code and the name of the error.
    """
    kind = type(error).__name__
    match error:
        case ConstraintUnreachableError():
            return Failure(_line(str(error)), error.exit_code, kind, dict(error.reachable))
        case NasoptError():
            return Failure(_line(str(error)), error.exit_code, kind)
        case click.ClickException():
            return Failure(_line(error.format_message()), 2, "UsageError")
        case KeyboardInterrupt() | click.Abort():
            return Failure("interrupted; nothing was left half-written", INTERRUPTED, "Interrupted")
        case OSError(filename=str() as filename, strerror=str() as reason):
            return Failure(_line(f"{filename}: {reason}"), 2, kind)
        case _:
            said = _line(str(error))
            return Failure(f"unexpected {kind}{': ' if said else ''}{said}; run with -vv for the traceback", 1, kind)


def answer(error: BaseException, terminal: Terminal) -> int:
    """Tells the user what went wrong.

    Args:
        error: what ended the command.
        terminal: how to tell it.

    Returns:
        The exit code.
    """
    failure = understand(error)
    if terminal.verbosity >= 2 and failure.exit_code != INTERRUPTED:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if terminal.json:
        from nasopt.report import json

        body = json.failure(failure.kind, failure.message, failure.reachable)
        terminal.out(json.dumps(json.document("error", body, command=terminal.command, seed=terminal.seed, exit_code=failure.exit_code)))
    terminal.say(failure.message if failure.exit_code == INTERRUPTED else f"error: {failure.message}")
    return failure.exit_code


def _line(message: str) -> str:
    """One line, whatever the message holds."""
    from nasopt.report.layout import printable

    return printable(" ".join(part.strip() for part in message.splitlines() if part.strip()))
