"""Files that nasopt writes: refused early, and written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nasopt.errors import UsageError

__all__ = ["check_writable", "write_atomically"]


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that a reader sees all of it or none: a temporary file beside it, flushed, then renamed."""
    try:
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".nasopt-")
    except OSError as error:  # which names a file that nobody asked for
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(0o666 & ~_umask())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def check_writable(path: Path, *, force: bool) -> None:
    """Fails before any work is done where `path` could not be written in the end.

    Raises:
        UsageError: it exists and `force` is off, is a directory, or its directory does not exist or is not writable.
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a directory; name a file")
    if path.exists() and not force:
        raise UsageError(f"{path}: exists already; --force overwrites it")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: its directory does not exist; create it first")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()  # rights alone do not tell: of /proc, say, or a full disk
    except OSError as error:
        raise UsageError(f"{path}: its directory is not writable ({error.strerror})") from None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
