"""Imported releases: kept as Parquet in the user's cache, with a card that says what they are, and listed beside the catalogue."""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.errors import MissingExtraError, UsageError
from nasopt.files import write_atomically
from nasopt.spaces.tables.catalogue import CATALOGUE
from nasopt.spaces.tables.info import Rule, TableInfo
from nasopt.spaces.tables.places import cache_dir
from nasopt.spaces.tables.release import Release

__all__ = ["catalogue", "keep"]

KEYS = ("arch_str", "hash", "arch_key", "arch", "model")
"""Columns that name an architecture, the first that a release has."""


def keep(release: Release) -> tuple[TableInfo, Path]:
    """Writes a release into the user's cache, over what was imported under its name before.

    Args:
        release: what a reader made of the official files.

    Returns:
        What is known of it now, and its file.

    Raises:
        UsageError: it has no column that names its rows, or the cache cannot be written.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("benchmark tables need pyarrow: pip install 'nasopt[tables]'") from None
    key = next((name for name in KEYS if name in release.columns), None) or next(iter(release.columns), None)
    if key is None or not re.fullmatch(r"[\w.-]+", release.name):
        raise UsageError(f"the release '{release.name}' cannot be kept: it has no columns, or no name that a file can have")
    folder = cache_dir() / "imported"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror})") from None
    table = pa.table({name: pa.array(_plain(column)) for name, column in release.columns.items()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    data = buffer.getvalue()
    card = {
        "name": release.name, "group": release.space, "key": key, "units": release.units, "source": release.source,
        "licence": release.licence, "notes": release.notes, "rows": release.rows, "columns": list(release.columns),
        "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    path = folder / f"{release.space}-{release.name}.parquet"
    path.with_suffix(".json").unlink(missing_ok=True)  # never a card beside another file
    write_atomically(path, data)
    write_atomically(path.with_suffix(".json"), json.dumps(card, indent=1).encode())
    return _info(card, path), path


def catalogue() -> list[TableInfo]:
    """What is known of every table: those of the catalogue, then imported ones."""
    found = list(CATALOGUE)
    for card in sorted((cache_dir() / "imported").glob("*.json")):
        try:
            told = json.loads(card.read_text(encoding="utf-8"))
            found.append(_info(told, card.with_suffix(".parquet")))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not ours, or half-deleted: the file that it speaks of cannot be vouched for
    return found


def _info(card: dict[str, Any], path: Path) -> TableInfo:
    units = dict(card["units"])
    rules = tuple(Rule(re.escape(name), _kind(name, unit), unit) for name, unit in units.items())
    keys = Rule("|".join(map(re.escape, (card["key"], "index", "arch_str", "hash", "arch_key", "model"))), "key")
    devices = Rule(r"latency_(?P<device>\w+)|(?P<name>\w+)_latency", "latency", "ms")
    about = f"Imported. {card['notes']}".strip()
    whose = "" if card["group"] == "timm" else card["group"]
    return TableInfo(
        f"{card['group']}/{card['name']}", f"imported/{path.name}", whose, card["key"], about, card["source"], card["licence"],
        (keys, *rules, devices),
    )  # fmt: skip


def _kind(name: str, unit: str) -> str:
    if unit == "ms":
        return "latency"
    return "metric" if unit in ("%", "fraction") or "acc" in name else "cost"


def _plain(column: Any) -> Any:
    return column if isinstance(column, np.ndarray) and column.dtype.kind in "biuf" else list(column)
