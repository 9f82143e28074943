"""``nasopt doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasopt.cli.options import verb

if TYPE_CHECKING:
    from nasopt.cli.terminal import Terminal

__all__ = ["command"]


@verb("doctor", summary="Show versions, extras and the machine.", examples="nasopt doctor --json")
def command(terminal: Terminal) -> int:
    """Show versions, extras and the machine, and what is wrong with them.

    Ends with exit code 1 if something is.
    """
    from nasopt.api.doctor import doctor
    from nasopt.report import json, text

    result = doctor()
    return terminal.show(lambda: json.doctor(result), lambda style: text.doctor(result, style), exit_code=1 if result.problems else 0)
