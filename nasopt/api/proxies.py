"""``proxies``: a network's zero-cost proxies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx.helper import tensor_dtype_to_np_dtype

from nasopt.errors import MissingExtraError, ModelNotSupportedError, UsageError
from nasopt.graphs.graph import Graph, load_graph
from nasopt.predictor_results import ProxiesResult

if TYPE_CHECKING:
    from nasopt.runtime.bridge import TorchNetwork

__all__ = ["BATCH", "proxies"]

Array = np.ndarray[Any, Any]

BATCH = 64
"""Rows that are looked at."""


def proxies(
    model: str | Path,
    names: Sequence[str] = (),
    *,
    data: str | Path | None = None,
    preprocess: str | Path | None = None,
    labels: str | Path | None = None,
    batch: int = BATCH,
    seed: int = 0,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> ProxiesResult:
    """Scores a network by zero-cost proxies (docs/proxies.md), with the weights that are in its file; nothing is trained or written.

    For a `torch.nn.Module` there is `nasopt.predictors.proxies.registry.scores`.

    Args:
        model: the ONNX file.
        names: of proxies; all of them where empty.
        data: inputs, as `compress` takes them: a ``.npy`` or ``.npz`` file or a folder of images; standard normal where None.
        preprocess: how images become inputs.
        labels: a ``.npy`` file of classes, one a row of the data; random by the seed where None.
        batch: rows to look at, at most; a network whose batch is written into it gets that.
        seed: of what is drawn.
        input_shapes: shapes to bind dynamic inputs to.

    Raises:
        MissingExtraError: PyTorch is not installed.
        UsageError: a file, name or label that cannot be used.
        ModelNotSupportedError: a model that cannot run in PyTorch, or takes no batch.
    """
    try:
        from nasopt.predictors.proxies.registry import known, scores
        from nasopt.runtime.bridge import to_torch
    except MissingExtraError:
        raise MissingExtraError("zero-cost proxies need PyTorch: pip install 'nasopt[torch]'") from None
    import torch

    asked = known(names)
    if batch < 2:
        raise UsageError(f"--batch must be at least 2, not {batch}: proxies compare rows")
    if data is None and (labels is not None or preprocess is not None):
        raise UsageError("--labels and --preprocess belong to --data")
    path = Path(model)
    graph = load_graph(path, input_shapes)
    network = to_torch(graph)
    rows = _rows(graph, network, batch)
    if data is None:
        feeds, source, classes = _random(graph, rows, seed), "random inputs", None
    else:
        feeds, source, classes = _read(graph, Path(data), rows, seed, preprocess, labels)
    tensors = [torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in graph.inputs]
    try:
        found = scores(
            network, tensors, None if classes is None else torch.from_numpy(classes), names=asked, seed=seed, whole=not network.batchable
        )  # fmt: skip
    except (RuntimeError, NotImplementedError) as error:
        raise ModelNotSupportedError(f"{path}: PyTorch cannot differentiate it: {str(error)[:300]}") from None
    return ProxiesResult(path, found, len(tensors[0]), source, "random" if classes is None else Path(str(labels)).name)


def _rows(graph: Graph, network: TorchNetwork, batch: int) -> int:
    """How many rows the network gets."""
    if network.batchable:
        return batch
    sizes = {shape[0] if shape else 1 for shape in graph.bound.values()}
    if len(sizes) != 1 or min(sizes) < 2:
        written = ", ".join(map(str, sorted(sizes))) or "none"
        raise ModelNotSupportedError(
            f"{graph.origin}: it takes no batch of several rows (first dimension of its inputs: {written}), which proxies need: export it "
            "with a dynamic batch"
        )
    return sizes.pop()


def _random(graph: Graph, rows: int, seed: int) -> dict[str, Array]:
    """Standard normal where float, 0 or 1 where not, so that indices stay in range."""
    rng, feeds = np.random.default_rng(seed), {}
    for name in graph.inputs:
        shape, dtype = (rows, *graph.bound[name][1:]), tensor_dtype_to_np_dtype(graph.dtypes[name])
        drawn = rng.standard_normal(shape) if np.issubdtype(dtype, np.floating) else rng.integers(0, 2, shape)
        feeds[name] = drawn.astype(dtype)
    return feeds


def _read(
    graph: Graph, data: Path, rows: int, seed: int, preprocess: str | Path | None, labels: str | Path | None
) -> tuple[dict[str, Array], str, Array | None]:
    """The first rows of the user's inputs, drawn by the seed; what they are called; their classes."""
    from nasopt.runtime.calibration import read_calibration

    least = max((shape[0] for shape in graph.bound.values() if shape), default=1)
    read = read_calibration(
        data, graph, labels=None if labels is None else Path(labels), preprocess=preprocess, limit=max(rows, 2 * least), seed=seed
    )
    batches = (*read.held_out, *read.fit)
    feeds = {name: np.concatenate([part[name] for part in batches])[:rows] for name in graph.inputs}
    classes = None
    if read.labels is not None and read.held_out_labels is not None:
        classes = np.concatenate([part.reshape(-1) for part in (*read.held_out_labels, *read.labels)])[:rows]
    return feeds, f"inputs of {data.name}", classes
