"""ONNX Runtime sessions: quiet, deterministic, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

from nasopt.errors import ModelNotSupportedError

if TYPE_CHECKING:
    import onnx
    import onnxruntime

    from nasopt.graphs.graph import Graph

__all__ = ["open_session", "random_inputs", "run"]

Array = np.ndarray[Any, Any]

_SILENT = 4


def open_session(
    model: onnx.ModelProto | str, *, threads: int = 1, optimise: bool = True, origin: str = "model"
) -> onnxruntime.InferenceSession:
    """Opens a session.

    Args:
        model: a model, or the path of one (needed where weights are stored beside it).
        threads: intra-op threads.
        optimise: off for verification, where the graph must run as it is written.
        origin: what error messages call the model.

    Raises:
        ModelNotSupportedError: ONNX Runtime cannot load the model (an operator without a CPU kernel, say).
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimise:
        # Verification runs large networks a few times: what makes many runs faster would only double the memory.
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.enable_cpu_mem_arena = False
    source = model if isinstance(model, str) else model.SerializeToString()
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  ONNX Runtime's errors have no common base
        reason = " ".join(str(error).split())
        raise ModelNotSupportedError(f"{origin}: ONNX Runtime cannot load it: {reason[:300]}") from None


def random_inputs(graph: Graph, seed: int) -> dict[str, Array]:
    """Random inputs of the bound shapes: normal where float, small and not negative where integer, so that indices stay in range."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, Array] = {}
    for value in graph.model.graph.input:
        if value.name not in graph.bound:
            continue
        dtype = tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = graph.bound[value.name]
        if np.issubdtype(dtype, np.floating):
            inputs[value.name] = rng.standard_normal(shape).astype(dtype)
        elif dtype == np.bool_:
            inputs[value.name] = rng.integers(0, 2, shape).astype(np.bool_)
        else:
            inputs[value.name] = rng.integers(0, 2, shape).astype(dtype)
    return inputs


def run(session: onnxruntime.InferenceSession, inputs: Mapping[str, Array], *, origin: str = "model") -> list[Any]:
    """All outputs of one run.

    Raises:
        ModelNotSupportedError: the network fails on these inputs.
    """
    try:
        return list(session.run(None, dict(inputs)))
    except Exception as error:  # noqa: BLE001  ONNX Runtime's errors have no common base
        reason = " ".join(str(error).split())
        raise ModelNotSupportedError(f"{origin}: fails when it runs: {reason[:300]}") from None
