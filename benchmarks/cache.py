"""Where benchmarks keep what they built, decoded or measured: `$NASOPT_BENCH_CACHE` or ~/.cache/nasopt-bench."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    path = Path(os.environ.get("NASOPT_BENCH_CACHE") or Path.home() / ".cache" / "nasopt-bench")
    path.mkdir(parents=True, exist_ok=True)
    return path
