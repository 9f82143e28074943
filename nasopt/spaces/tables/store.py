"""Imported releases: kept as compact Parquet in the user's cache directory, with what is known of them and their SHA-256."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from pathlib import Path

from nasopt.errors import UsageError
from nasopt.files import write_atomically
from nasopt.spaces.tables.catalogue import GROUPS, USUAL_KEYS, Entry, group_named, tables_of
from nasopt.spaces.tables.columnar import packed
from nasopt.spaces.tables.columns import imported_columns
from nasopt.spaces.tables.places import IMPORTED, cache_directory
from nasopt.spaces.tables.release import Release

__all__ = ["import_table", "keep"]

NAME = re.compile(r"\w[\w.+-]*", re.ASCII)


def import_table(path: str | Path) -> Entry:
    """Reads a benchmark's official release and keeps it in the cache directory, where `query` finds it.

    Args:
        path: a file or folder as its authors published it (docs/tables.md lists those that are known).

    Returns:
        The table as the catalogue has it from now on.

    Raises:
        UsageError: it is no such release, it is damaged, or the cache directory cannot be written to.
    """
    from nasopt.spaces.tables.importing.formats import read_release

    release = read_release(path)
    kept = keep(release)
    return next(entry for entry in tables_of(group_named(release.space)) if entry.path == kept)


def keep(release: Release) -> Path:
    """Writes a release to ``imported/GROUP/NAME.parquet`` in the cache directory, and ``NAME.parquet.sha256`` beside it.

    An earlier import of the same name is replaced.

    Raises:
        UsageError: its architectures are not named as those of the other tables of its group, or it cannot be written.
    """
    group = GROUPS.get(release.space)
    wanted = group.key.columns if group else tuple(name for name in USUAL_KEYS if name in release.columns)[:1]
    missing = [name for name in wanted if name not in release.columns]
    if missing or not wanted:
        raise UsageError(
            f"the release {release.name} does not say which architectures its rows are: no column {', '.join(missing or USUAL_KEYS)} "
            "(of HELP, import the folder, with the files that name them)"
        )
    if not NAME.fullmatch(release.space):
        raise UsageError(f"the release {release.name} is of a space without a proper name: '{release.space}'")
    name = re.sub(r"[^\w.+-]", "_", release.name, flags=re.ASCII)
    description = {
        "group": release.space,
        "name": name,
        "title": f"imported: {release.rows:,} rows of {release.name}",
        "rows": release.rows,
        "columns": [asdict(column) for column in imported_columns(release.columns, release.units, wanted)],
        "source": release.source,
        "licence": release.licence,
        "notes": release.notes,
        "tasks": sorted(set(map(str, release.columns["task"]))) if "task" in release.columns else [],
    }
    content = packed(release.columns, description)
    path = cache_directory() / IMPORTED / release.space / f"{name}.parquet"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent}: cannot be created ({error.strerror}); XDG_CACHE_HOME names another cache directory") from None
    write_atomically(path, content)
    write_atomically(path.with_name(f"{path.name}.sha256"), f"{hashlib.sha256(content).hexdigest()}  {path.name}\n".encode())
    return path
