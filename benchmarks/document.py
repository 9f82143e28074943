"""What every benchmark prints: one JSON document on stdout that says when, where, with what and by which command it was measured."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "onnx", "onnxruntime", "pymoo", "torch", "torch-pruning", "onnx-tool")
ROOT = Path(__file__).resolve().parent.parent


def document(body: Mapping[str, Any]) -> str:
    """The body behind its circumstances."""
    command = shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
    head = {"command": command, "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"), "machine": machine()}
    return json.dumps({**head, "versions": versions(), "commit": commit(), **body}, indent=1)


def machine() -> dict[str, str | int | None]:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count(), "system": platform.platform()}


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str:
    """Of the tree that was measured; a plus sign where `nasopt` differs from it."""
    head, dirty = (
        subprocess.run(["/usr/bin/env", "git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        for words in (["rev-parse", "--short", "HEAD"], ["status", "--short", "nasopt"])
    )
    return head + ("+" if dirty else "")


def say(*words: object) -> None:
    """Progress, on stderr."""
    print(*words, file=sys.stderr, flush=True)
