"""The back-ends by name. A new one is a module and a line here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec

from nasopt.errors import MissingExtraError, UsageError
from nasopt.runtime.devices.command import Command
from nasopt.runtime.devices.contract import Backend
from nasopt.runtime.devices.onnx_runtime import OnnxRuntime
from nasopt.runtime.devices.open_vino import OpenVino
from nasopt.runtime.devices.pytorch import PyTorch

__all__ = ["BACKENDS", "COMMAND", "DEFAULT", "available", "backend", "package_of"]

DEFAULT, COMMAND = "onnxruntime", "command"


@dataclass(frozen=True, slots=True)
class _Engine:
    make: Callable[[int], Backend]
    package: str
    extra: str = ""


_ENGINES = {
    "onnxruntime": _Engine(OnnxRuntime, "onnxruntime"),
    "openvino": _Engine(OpenVino, "openvino", "openvino"),
    "openvino-bf16": _Engine(lambda threads: OpenVino(threads, bf16=True), "openvino", "openvino"),
    "torch": _Engine(PyTorch, "torch", "torch"),
}

BACKENDS = (*_ENGINES, COMMAND)
"""Their names."""


def available(name: str) -> bool:
    """Whether what a back-end needs is installed; nothing is imported."""
    return name == COMMAND or find_spec(_ENGINES[name].package) is not None


def package_of(name: str) -> str:
    """The Python package that does the work; empty for a command."""
    return "" if name == COMMAND else _ENGINES[name].package


def backend(name: str, *, threads: int = 1, command: str | None = None, timeout: float | None = None) -> Backend:
    """A back-end.

    Args:
        name: one of `BACKENDS`.
        threads: within an operator; a command decides about its own.
        command: of the back-end ``command``: the command line, in which ``{model}`` stands for the path of an ONNX file.
        timeout: of the back-end ``command``: seconds after which a run is stopped; 300 where None.

    Raises:
        UsageError: there is no such back-end, or an option does not belong to it.
        MissingExtraError: its engine is not installed.
    """
    if name not in BACKENDS:
        near = get_close_matches(name, BACKENDS, 1)
        raise UsageError(f"there is no back-end '{name}'{f'; did you mean {near[0]}?' if near else ''} (back-ends: {', '.join(BACKENDS)})")
    if threads < 1:
        raise UsageError(f"{threads} threads cannot run anything; ask for one or more")
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise UsageError(f"a timeout of {timeout:g} s is none; give a positive number of seconds")
    if name == COMMAND:
        if command is None:
            raise UsageError("the back-end 'command' needs the command: --device-command 'ssh board ./bench {model}'")
        if threads != 1:
            raise UsageError("--threads does not reach a --device-command: write it into the command")
        return Command(command) if timeout is None else Command(command, timeout)
    if command is not None or timeout is not None:
        raise UsageError(f"--{'device-command' if command is not None else 'timeout'} belongs to the back-end 'command', not to '{name}'")
    engine = _ENGINES[name]
    if not available(name):
        raise MissingExtraError(f"the back-end '{name}' needs {engine.package}: pip install 'nasopt[{engine.extra}]'")
    return engine.make(threads)
