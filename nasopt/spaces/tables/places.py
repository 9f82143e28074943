"""Where tables lie: ``$NASOPT_DATA/data``, then the user's cache directory; files are read only if their SHA-256 is as published.

``INDEX.json`` in either directory gives the SHA-256 of its files by name, and ``NAME.parquet.sha256`` that of an imported table. A file is
hashed when a process first opens it (some 1.5 ms for each MB), and again when its size or time changes: no verdict has to be kept. A file
of which nobody gives a SHA-256 is read as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from nasopt.errors import UsageError

__all__ = ["IMPORTED", "cache_directory", "digest", "directories", "find", "published_digest", "require_intact"]

IMPORTED = "imported"
"""Directory of imported tables, in the cache directory."""

Stamp = tuple[int, int]
"""Size and time of a file."""


def cache_directory() -> Path:
    """``nasopt/tables`` in ``$XDG_CACHE_HOME``, or in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "nasopt" / "tables"


def directories() -> tuple[Path, ...]:
    """Where published tables are looked for, in this order."""
    named = os.environ.get("NASOPT_DATA", "")
    return (*([Path(named) / "data"] if named else []), cache_directory())


def find(file: str) -> Path | None:
    """The first file of this name below the directories; None where there is none."""
    return next((path for directory in directories() if (path := directory / file).is_file()), None)


def require_intact(path: Path) -> None:
    """Fails where a file is not the one that was published or imported.

    Raises:
        UsageError: its SHA-256 is another, or it cannot be read.
    """
    try:
        published = published_digest(path)
        if published and _digest(path, _stamp(path)) != published:
            raise UsageError(f"{path}: is not the table that was published (its SHA-256 is another): fetch or import it again")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None


def published_digest(path: Path) -> str:
    """The SHA-256 that a table should have; empty where nobody says."""
    beside = path.with_name(f"{path.name}.sha256")
    if beside.is_file():
        return beside.read_text(encoding="ascii", errors="replace").partition(" ")[0].strip().lower()
    for directory in directories():
        index = directory / "INDEX.json"
        if path.is_relative_to(directory) and index.is_file():
            return _index(index, _stamp(index)).get(path.relative_to(directory).as_posix(), "")
    return ""


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _digest(path: Path, _: Stamp) -> str:
    return digest(path)


@lru_cache(maxsize=8)
def _index(path: Path, _: Stamp) -> dict[str, str]:
    try:
        entries = json.loads(path.read_bytes())
        return {str(file): str(entry["sha256"]).lower() for file, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(f"{path}: is no index of tables: expected a JSON object of files, each with its sha256") from None
