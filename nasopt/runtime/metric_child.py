"""The other side of `nasopt.runtime.metric`: a program that runs a user's function in a process of its own.

It is started by its path and imports nothing of nasopt, so that nothing of nasopt can be in the way of what the user's file imports.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import traceback
from pathlib import Path

__all__: list[str] = []


def _measure(path: Path, function: str, model: str) -> float:
    sys.path[:0] = [str(path.parent), str(Path.cwd())]  # the first is what `python FILE.py` would have
    taken = path.stem in sys.modules or path.stem in sys.stdlib_module_names
    name = f"metric_{path.stem}" if taken else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and the workers of a data loader look for it
    spec.loader.exec_module(module)
    value = getattr(module, function)(model)
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        msg = f"it returned {value!r:.60}, which is not a number"
        raise _NoNumberError(msg)
    number = float(value)
    if not math.isfinite(number):
        msg = f"it returned {number}, which is not a finite number"
        raise _NoNumberError(msg)
    return number


class _NoNumberError(Exception):
    """What the function returned is of no use."""


def _told(error: BaseException, path: Path) -> str:
    """The last line of an error, and the line of the user's file at which it came about."""
    if isinstance(error, _NoNumberError):
        return str(error)
    last = traceback.format_exception_only(error)[-1].strip()
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{last} (line {lines[-1]})" if lines else last


def _main() -> None:
    path, function, model, answer = Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    try:
        told: dict[str, float | str] = {"value": _measure(path, function, model)}
    except BaseException as error:  # noqa: BLE001  whatever the user's function raises, sys.exit among it
        traceback.print_exc()
        told = {"error": _told(error, path)}
    answer.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    _main()
