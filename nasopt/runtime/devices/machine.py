"""What a measurement was made on: the machine, and the versions of what took part."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from nasopt import __version__
from nasopt.runtime.devices.registry import package_of

__all__ = ["machine", "processor"]


def machine(backend: str) -> dict[str, str]:
    """System, processor, cores, and the versions of nasopt and of what a back-end runs on."""
    found = {"system": f"{platform.system()} {platform.machine()}", "processor": processor(), "cores": str(os.cpu_count())}
    found["nasopt"] = __version__
    package = package_of(backend)
    if package:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
