"""OpenVINO on the CPU of this machine, one stream, in single precision or in bfloat16.

Its threads are not tied to cores: tied to one that something else keeps busy, a network takes several times as long as it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx

from nasopt.errors import DeviceError, MissingExtraError
from nasopt.runtime.devices.contract import FEWEST, MOST, WARM_UP, Array, InProcess, Opened, origin_of, unsupported

__all__ = ["OpenVino"]


@dataclass(frozen=True, slots=True)
class OpenVino:
    """See `nasopt.runtime.devices.contract.Backend`.

    Attributes:
        threads: of inference.
        bf16: compute in bfloat16, on a CPU that does.
    """

    threads: int = 1
    bf16: bool = False
    warm_up: ClassVar[int] = WARM_UP
    fewest: ClassVar[int] = FEWEST
    most: ClassVar[int] = MOST

    @property
    def name(self) -> str:
        return "openvino-bf16" if self.bf16 else "openvino"

    def open(self, model: onnx.ModelProto | Path, inputs: dict[str, Array]) -> Opened:
        """Compiles the network for the shapes of `inputs`."""
        core = _core()
        if self.bf16 and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise DeviceError("openvino-bf16: this CPU does not compute in bfloat16; use openvino")
        try:
            read = core.read_model(str(model)) if isinstance(model, Path) else core.read_model(model=model.SerializeToString())
            if read.is_dynamic():
                read.reshape({name: list(array.shape) for name, array in inputs.items()})
            compiled = core.compile_model(
                read,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "bf16" if self.bf16 else "f32",
                    "PERFORMANCE_HINT": "LATENCY",
                    "NUM_STREAMS": 1,
                    "INFERENCE_NUM_THREADS": self.threads,
                    "ENABLE_CPU_PINNING": False,
                },
            )
            request = compiled.create_infer_request()
        except Exception as error:  # noqa: BLE001  OpenVINO's errors have no common base
            raise unsupported(model, "OpenVINO", error) from None
        feed = {name: np.ascontiguousarray(array) for name, array in inputs.items()}

        def run() -> Any:
            return request.infer(feed, share_inputs=True, share_outputs=True)

        def answers() -> list[Array]:
            return [np.array(value) for value in run().values()]

        return InProcess(origin_of(model), "OpenVINO", run, answers, self.threads)


@lru_cache(maxsize=1)
def _core() -> Any:
    """OpenVINO's engine: making it loads its plug-ins."""
    try:
        import openvino
    except ModuleNotFoundError:
        raise MissingExtraError("this device needs OpenVINO: pip install 'nasopt[openvino]'") from None
    return openvino.Core()
