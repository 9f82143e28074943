"""Files that the command line itself writes: refused early, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nasopt.errors import UsageError

__all__ = ["check_target", "write_text"]


def check_target(path: Path, *, force: bool) -> None:
    """Refuses a target that could not be written later.

    Args:
        path: the file to write.
        force: whether an existing file may be replaced.

    Raises:
        UsageError: if the folder does not exist or cannot be written to, or the file exists.
    """
    folder = path.parent
    if not folder.is_dir():
        msg = f"cannot write {path}: the folder {folder} does not exist"
        raise UsageError(msg)
    if not os.access(folder, os.W_OK):
        msg = f"cannot write {path}: no permission to write in {folder}"
        raise UsageError(msg)
    if path.exists() and not force:
        msg = f"{path} exists; --force overwrites it"
        raise UsageError(msg)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all.

    Args:
        path: the file to write; replaced if it exists.
        text: its content.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
