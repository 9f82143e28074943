"""Programs of the user's, run as processes that never outlive what was asked of them, and what they said last."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

__all__ = ["ended", "last_line", "run_child", "tail"]

_TOLD = 300
"""Characters of a process' last words that are repeated."""


def run_child(command: Sequence[str], *, stdout: BinaryIO, stderr: BinaryIO, timeout: float | None) -> int:
    """Runs a program to its end, with nothing to read.

    It gets a session of its own: when it is stopped, so is what it started (where the system knows groups of processes). It is stopped
    when it takes too long, and whatever else ends the waiting, an interrupt above all.

    Args:
        command: the program and its arguments; no shell sees them.
        stdout: where its output goes. Files and no pipes, so that nothing waits for what it leaves running.
        stderr: where its errors go.
        timeout: seconds; None waits.

    Returns:
        Its exit code; below 0, the signal that killed it.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took too long and was stopped.
    """
    process = subprocess.Popen(  # noqa: S603  running the user's code is what he asked for
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
    )
    try:
        return process.wait(timeout)
    except BaseException:
        _kill(process)
        raise


def ended(code: int) -> str:
    """An exit code in words: ``ended with exit code 3``, ``was killed by SIGKILL``."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def tail(said: BinaryIO, size: int) -> str:
    """The last `size` bytes of a file as text."""
    said.seek(max(said.seek(0, os.SEEK_END) - size, 0))
    return said.read().decode(errors="replace")


def last_line(said: BinaryIO) -> str:
    """The last line of a file that holds anything, or the beginning of that line; it may say why."""
    return next((line.strip()[:_TOLD] for line in reversed(tail(said, 1 << 14).split("\n")) if line.strip()), "")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Stops the process and its group."""
    if os.name == "posix":
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
