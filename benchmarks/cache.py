"""Where benchmarks keep what they built, decoded or measured: `$NASOPT_BENCH_CACHE` or ~/.cache/nasopt-bench."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def cache_dir() -> Path:
    path = Path(os.environ.get("NASOPT_BENCH_CACHE") or Path.home() / ".cache" / "nasopt-bench")
    path.mkdir(parents=True, exist_ok=True)
    return path


def cached(kind: str, key: Iterable[object]) -> Path:
    """The file that holds what was measured under a key."""
    return cache_dir() / kind / f"{'-'.join(map(str, key))}.json"


def remembered(kind: str, key: Iterable[object], measure: Callable[[], dict[str, Any]], *, fresh: bool = False) -> dict[str, Any]:
    """What was measured under a key, or is measured now. Its file appears whole, so that a run may be killed at any time."""
    file = cached(kind, key)
    if fresh or not file.exists():
        found = json.dumps(measure())
        file.parent.mkdir(exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(found)
        draft.replace(file)
    known: dict[str, Any] = json.loads(file.read_text())
    return known
