"""Keras networks, exported by Keras and by tf2onnx in the interpreter that `NASOPT_TF_PYTHON` names (TensorFlow is an extra)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cache import cache_dir

KERAS = tuple(f"{name}.{exporter}" for name in ("mobilenet", "resnet", "unet", "separable") for exporter in ("keras", "tf2onnx"))
SCRIPT = Path(__file__).with_name("nhwc_export.py")
VERSION = 1


def keras_models(*, fresh: bool = False) -> dict[str, Path]:
    """Name → file, checked against Keras; without `NASOPT_TF_PYTHON` only what the cache already holds."""
    python = os.environ.get("NASOPT_TF_PYTHON")
    found = {}
    for job in KERAS:
        target = cache_dir() / "keras" / f"{job}.v{VERSION}.onnx"
        if python and (fresh or not target.exists()):
            _export(python, job, target)
        if target.exists():
            found[f"keras_{job}"] = target
    return found


def _export(python: str, job: str, target: Path) -> None:
    import numpy as np

    name, _, exporter = job.partition(".")
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        model, check = Path(temporary) / target.name, Path(temporary) / "check.npz"
        environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [python, "-P", str(SCRIPT), name, exporter, str(model), str(check)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"keras network {job}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        with np.load(check) as z:
            x, expected = z["x"], z["y"]
        found = _run(model, x)
        difference = float(np.abs(found - expected).max() / np.abs(expected).max())
        if not difference <= 1e-4:
            raise RuntimeError(f"keras network {job}: ONNX Runtime and Keras differ by {difference:.1e} of the largest output")
        model.replace(target)


def _run(model: Path, x: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]
