"""ONNX Runtime on the CPU of this machine, with its graph optimisations on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import onnx

from nasopt.runtime.devices.contract import FEWEST, MOST, WARM_UP, Array, InProcess, Opened, origin_of
from nasopt.runtime.sessions import open_session

__all__ = ["OnnxRuntime"]


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """See `nasopt.runtime.devices.contract.Backend`."""

    threads: int = 1
    name: ClassVar[str] = "onnxruntime"
    warm_up: ClassVar[int] = WARM_UP
    fewest: ClassVar[int] = FEWEST
    most: ClassVar[int] = MOST

    def open(self, model: onnx.ModelProto | Path, inputs: dict[str, Array]) -> Opened:
        """Opens a session; a path is handed on, because weights may be stored beside it."""
        origin = origin_of(model)
        session = open_session(str(model) if isinstance(model, Path) else model, threads=self.threads, origin=origin)

        def run() -> list[Array]:
            return list(session.run(None, inputs))

        return InProcess(origin, "ONNX Runtime", run, run, self.threads)
