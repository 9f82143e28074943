"""Make a trained ONNX network smaller: ONNX in, ONNX out, weights kept, no data set, no source code, no GPU.

Each verb of the command line is a function here (groups of verbs have theirs in `nasopt.api.spaces`, `nasopt.api.tables`,
`nasopt.api.train`, `nasopt.api.device` and `nasopt.api.runs`; `search` is in `nasopt.api.search`): it returns a record
of `nasopt.results` or raises an error of `nasopt.errors`.
Names are looked up when they are first used, so that ``import nasopt`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_VERBS = frozenset({"apply", "bench", "compress", "diff", "doctor", "draw", "explain", "inspect", "predict", "proxies", "verify"})
_HOMES = dict.fromkeys(("PredictResult", "Predicted", "ProxiesResult"), "nasopt.predictor_results")

__all__ = [
    "Answer",
    "ApplyResult",
    "BenchResult",
    "Check",
    "CompressResult",
    "ConstraintUnreachableError",
    "Cost",
    "DeviceError",
    "DiffResult",
    "DoctorResult",
    "DrawResult",
    "ExplainResult",
    "FrontPoint",
    "FrozenGroup",
    "Group",
    "InspectResult",
    "InvalidEditError",
    "Labelled",
    "Latency",
    "LatencyStats",
    "LayerChange",
    "LayerFit",
    "Measured",
    "MissingExtraError",
    "ModelNotSupportedError",
    "NasoptError",
    "NodeCost",
    "PredictResult",
    "Predicted",
    "ProxiesResult",
    "Repair",
    "Sample",
    "TensorInfo",
    "UsageError",
    "VerificationError",
    "VerifyResult",
    "apply",
    "bench",
    "compress",
    "diff",
    "doctor",
    "draw",
    "explain",
    "inspect",
    "predict",
    "proxies",
    "verify",
]

if TYPE_CHECKING:
    from nasopt.api.apply import apply
    from nasopt.api.bench import bench
    from nasopt.api.compress import compress
    from nasopt.api.diff import diff
    from nasopt.api.doctor import doctor
    from nasopt.api.draw import draw
    from nasopt.api.explain import explain
    from nasopt.api.inspect import inspect
    from nasopt.api.predict import predict
    from nasopt.api.proxies import proxies
    from nasopt.api.verify import verify
    from nasopt.errors import (
        ConstraintUnreachableError,
        DeviceError,
        InvalidEditError,
        MissingExtraError,
        ModelNotSupportedError,
        NasoptError,
        UsageError,
        VerificationError,
    )
    from nasopt.predictor_results import Predicted, PredictResult, ProxiesResult
    from nasopt.results import (
        Answer,
        ApplyResult,
        BenchResult,
        Check,
        CompressResult,
        Cost,
        DiffResult,
        DoctorResult,
        DrawResult,
        ExplainResult,
        FrontPoint,
        FrozenGroup,
        Group,
        InspectResult,
        Labelled,
        Latency,
        LatencyStats,
        LayerChange,
        LayerFit,
        Measured,
        NodeCost,
        Repair,
        Sample,
        TensorInfo,
        VerifyResult,
    )


def __getattr__(name: str) -> Any:
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    if name in _VERBS:
        home = f"nasopt.api.{name}"
    else:
        home = "nasopt.errors" if name.endswith("Error") else _HOMES.get(name, "nasopt.results")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
