"""Where tables lie: in ``$NASOPT_DATA/data``, or in the user's cache, where imported releases go."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from nasopt.errors import UsageError
from nasopt.spaces.tables.info import TableInfo

__all__ = ["cache_dir", "digest", "expected", "find", "locate"]


def cache_dir() -> Path:
    """The folder of imported tables: ``nasopt/tables`` in the user's cache directory (XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nasopt" / "tables"


def locate(info: TableInfo) -> Path | None:
    """Where a table lies; None where it does not."""
    root = os.environ.get("NASOPT_DATA")
    places = [Path(root) / "data" / info.file] if root else []
    places.append(cache_dir() / info.file)
    return next((place for place in places if place.is_file()), None)


def find(info: TableInfo) -> Path:
    """Where a table lies, its size checked against what is on record (its checksum is checked by ``nasopt tables show``).

    Raises:
        UsageError: it is nowhere, and the message says what to fetch from where; or it is damaged.
    """
    path = locate(info)
    if path is None:
        raise UsageError(
            f"the table {info.name} is not here: set NASOPT_DATA to the folder whose data/{info.file} it is, or {info.fetch}"
        )  # fmt: skip
    known = expected(path)
    if known is not None and path.stat().st_size != known["bytes"]:
        raise UsageError(f"{path}: has {path.stat().st_size} bytes and should have {known['bytes']}; it is damaged, fetch it again")
    return path


def expected(path: Path) -> dict[str, Any] | None:
    """Bytes and SHA-256 that are on record for a file: beside it if it was imported, else in the folder's INDEX.json; None without."""
    own = path.with_suffix(".json")
    if own.is_file():
        return _read(own)
    index = path.parent.parent / "INDEX.json"
    entry = _read(index).get(f"{path.parent.name}/{path.name}") if index.is_file() else None
    return entry if isinstance(entry, dict) else None


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: holds no JSON object")
    return found
