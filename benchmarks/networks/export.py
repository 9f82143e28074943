"""torch module → ONNX file in the cache, by either exporter of torch, checked against torch in ONNX Runtime."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

from benchmarks.cache import cache_dir

from .registry import NETWORKS, Network

EXPORTERS = {
    "dynamo": "torch.export, BatchNormalization kept, fixed batch",
    "dynamo-optimized": "torch.export, onnxscript's optimizer (BatchNormalization folded), fixed batch",
    "dynamo-dynamic": "torch.export, BatchNormalization kept, dynamic batch",
    "legacy": "TorchScript, BatchNormalization folded, dynamic batch",
    "legacy-bn": "TorchScript, BatchNormalization kept, dynamic batch",
}
TOLERANCE = 1e-4
VERSION = 1  # part of the file name: raise it when a definition or its weights change


def build(name: str, exporter: str = "dynamo", *, fresh: bool = False) -> Path:
    """The network as an ONNX file: exported at the first call, checked once, found in the cache afterwards."""
    network = NETWORKS[name]
    if exporter not in EXPORTERS:
        raise ValueError(f"exporter {exporter!r} is none of {', '.join(EXPORTERS)}")
    target = cache_dir() / "torch" / f"{name}.{exporter}.v{VERSION}.onnx"
    if fresh or not target.exists():
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            file = Path(folder) / target.name
            difference = _export(network, exporter, file)
            if not difference <= TOLERANCE:
                raise RuntimeError(f"{name} by {exporter}: ONNX Runtime and torch differ by {difference:.1e} of the largest output")
            file.replace(target)
    return target


def module(name: str) -> Any:
    """The torch module behind `build(name)`, with the same weights, in evaluation mode."""
    from .weights import prepared

    network = NETWORKS[name]
    return prepared(network.builder, network.input_shape, name)


def _export(network: Network, exporter: str, file: Path) -> float:
    import torch

    model = module(network.name)
    example = torch.randn(network.input_shape, generator=torch.Generator().manual_seed(7))
    common: dict[str, Any] = {"input_names": ["input"], "output_names": list(network.outputs), "opset_version": network.opset}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter.startswith("dynamo"):
            if exporter == "dynamo-dynamic":  # a batch of one would be taken for a constant
                example = example.repeat(2, *([1] * (example.dim() - 1)))
                common["dynamic_shapes"] = ({0: torch.export.Dim("batch", min=1, max=4096)},)
            torch.onnx.export(
                model,
                (example,),
                str(file),
                dynamo=True,
                optimize=exporter == "dynamo-optimized",
                external_data=False,
                verbose=False,
                **common,
            )
        else:
            axes = {value: {0: "batch"} for value in ("input", *network.outputs)}
            mode = torch.onnx.TrainingMode.PRESERVE if exporter == "legacy-bn" else torch.onnx.TrainingMode.EVAL
            torch.onnx.export(model, (example,), str(file), dynamo=False, training=mode, dynamic_axes=axes, **common)
    return difference(model, file, network.input_shape)


def difference(model: Any, file: Path, shape: tuple[int, ...]) -> float:
    """Largest |ONNX Runtime - torch| over largest |torch|, over the outputs."""
    import numpy as np
    import onnxruntime
    import torch

    x = torch.randn(shape, generator=torch.Generator().manual_seed(11))
    with torch.no_grad():
        expected = model(x)
    expected = expected if isinstance(expected, tuple) else (expected,)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    worst = 0.0
    for a, b in zip((value.numpy() for value in expected), found, strict=True):
        if not np.isfinite(a).all() or a.std() < 1e-6:
            raise RuntimeError(f"{file.name}: outputs vanish or explode (standard deviation {a.std():.1e})")
        worst = max(worst, float(np.abs(a - b).max() / np.abs(a).max()))
    return worst
