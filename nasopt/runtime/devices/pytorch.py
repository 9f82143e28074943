"""PyTorch on the CPU of this machine, through the bridge (`nasopt.runtime.bridge`): each operator runs as it stands, nothing is fused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx

from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import read_model
from nasopt.runtime.devices.contract import FEWEST, MOST, WARM_UP, Array, InProcess, Opened, origin_of

__all__ = ["PyTorch"]


@dataclass(frozen=True, slots=True)
class PyTorch:
    """See `nasopt.runtime.devices.contract.Backend`."""

    threads: int = 1
    name: ClassVar[str] = "torch"
    warm_up: ClassVar[int] = WARM_UP
    fewest: ClassVar[int] = FEWEST
    most: ClassVar[int] = MOST

    def open(self, model: onnx.ModelProto | Path, inputs: dict[str, Array]) -> Opened:
        """Makes a module of the network, in evaluation mode."""
        import torch

        from nasopt.runtime.bridge import to_torch

        origin = origin_of(model)
        proto = read_model(model) if isinstance(model, Path) else model
        network = to_torch(Graph(proto, {name: array.shape for name, array in inputs.items()}, origin=origin))
        feed = {name: torch.from_numpy(np.array(array)) for name, array in inputs.items()}

        def run() -> Any:
            return network(feed)

        return InProcess(origin, "PyTorch", run, lambda: [value.numpy() for value in run()], self.threads, lambda: _inference(self.threads))


@contextmanager
def _inference(threads: int) -> Iterator[None]:
    """Inference mode and a number of threads, which belongs to the whole process: afterwards it is what it was."""
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
