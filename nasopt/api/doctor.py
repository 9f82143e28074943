"""``doctor``: what is installed, on what machine, and what is wrong with it."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata

from nasopt import __version__
from nasopt.results import DoctorResult
from nasopt.runtime.devices.machine import processor

__all__ = ["doctor"]


def doctor() -> DoctorResult:
    """Looks at the installation without importing what is optional.

    Returns:
        Versions of what nasopt needs, which extras are installed, the machine, and problems in a sentence each.
    """
    versions = {"nasopt": __version__, "python": platform.python_version()}
    extras: dict[str, bool] = {}
    problems: list[str] = []
    for name, extra in _requirements():
        version = _version(name)
        if extra is None:
            versions[name] = version or "missing"
            problems += [f"{name} is not installed; pip install {name}"] if version is None else []
        else:
            extras[extra] = extras.get(extra, True) and version is not None
    problems += _runtime_problems()
    machine = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "installation": "package" if _version("nasopt") else "source tree",
    }
    machine |= {name: value for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY") if (value := os.environ.get(name)) is not None}
    return DoctorResult(versions, extras, machine, tuple(problems))


def _requirements() -> list[tuple[str, str | None]]:
    """What the distribution requires, each with the extra that asks for it; of a source tree that is not installed, the least."""
    try:
        lines = metadata.requires("nasopt") or []
    except metadata.PackageNotFoundError:
        lines = ["click", "numpy", "onnx", "onnxruntime", "pillow", "pymoo", "rich", "safetensors", "scipy"]
    found = []
    for line in lines:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == ['\"]([\w.-]+)", line)
        if name and name.group() != "nasopt" and (extra is None or extra.group(1) not in ("all", "dev")):
            found.append((name.group(), extra.group(1) if extra else None))
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _runtime_problems() -> list[str]:
    """Whether ONNX Runtime runs a network, and reads what the installed onnx writes."""
    try:
        import numpy as np
        from onnx import TensorProto, helper

        from nasopt.errors import NasoptError
        from nasopt.runtime.sessions import open_session, run
    except ImportError as error:
        return [f"cannot be imported: {error}"]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "trial", [value], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    try:
        (got,) = run(open_session(model), {"x": np.array([1, -2], np.float32)})
    except NasoptError as error:
        return [f"ONNX Runtime does not work: {error}"]
    return [] if got.tolist() == [-1, 2] else [f"ONNX Runtime computes wrongly: -[1, -2] = {got.tolist()}"]
