"""What BatchNormalization remembers of the training data, put to use where there are no data.

Synthetic images differ from what a network was trained on. The first norm tells by how much: brightness and contrast follow in closed
form. For what remains, the norms are *restated* on the synthetic images, so that each layer still receives channels of the mean and
variance that it was trained with; a network fitted to its original in that world serves in the real one (docs/benchmarks.md has the gain).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nasopt.graphs.graph import Graph, Node
from nasopt.runtime.calibration import Calibration
from nasopt.runtime.preprocess import image_layout
from nasopt.runtime.walk import Walk

__all__ = ["matched", "restated"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_SMALLEST = 1e-8


def restated(graph: Graph, batches: Sequence[Mapping[str, Array]], *, threads: int = 1) -> dict[str, Array]:
    """Mean and variance of every BatchNormalization as these inputs make them, by the names of the stored tensors.

    Args:
        graph: the network.
        batches: its inputs, once a batch.
        threads: of ONNX Runtime.
    """
    found: dict[str, Array] = {}
    with Walk(graph, batches, threads=threads) as walk:
        for node in graph.nodes:
            if not _own_statistics(graph, node):
                continue
            walk.advance(node.index)
            mean, variance = _moments(walk.values(node.inputs[0]))
            for name, value in zip(node.inputs[3:5], (mean, np.maximum(variance, _SMALLEST)), strict=True):
                if np.isfinite(value).all():
                    found[name] = value.astype(graph.weights[name].array().dtype)
                    walk.replace(name, found[name])
    return found


def matched(graph: Graph, calibration: Calibration) -> Calibration:
    """Synthetic images in the brightness and contrast that the first norm of the network remembers.

    Args:
        graph: the network.
        calibration: synthetic inputs of zero mean and unit variance.

    Returns:
        The same inputs scaled and shifted; as they are where the network does not begin with a convolution and a BatchNormalization.
    """
    first = _first_norm(graph)
    if first is None:
        return calibration
    norm, convolution, name = first
    kernel = graph.weights[convolution.inputs[1]].array().astype(np.float64)
    mean, variance = (graph.weights[stored].array().astype(np.float64) for stored in norm.inputs[3:5])
    with Walk(graph, calibration.fit[:2]) as walk:
        walk.advance(norm.index)
        _, seen = _moments(walk.values(norm.inputs[0]))
    bias = graph.weights[convolution.inputs[2]].array() if len(convolution.inputs) > 2 and convolution.inputs[2] in graph.weights else 0.0
    if not (np.isfinite(seen).all() and np.isfinite(mean - bias).all()):
        return calibration
    offset = np.linalg.lstsq(kernel.reshape(*kernel.shape[:2], -1).sum(axis=2), mean - bias, rcond=None)[0]
    alive = (seen > _SMALLEST) & (variance > _SMALLEST)
    gain = float(np.exp(np.median(np.log(variance[alive] / seen[alive])) / 2)) if alive.any() else 1.0
    if not (np.isfinite(offset).all() and np.isfinite(gain)):
        return calibration
    shape = (-1,) if image_layout(graph.bound[name]) == "NHWC" else (-1, 1, 1)

    def put(batches: Sequence[dict[str, Array]]) -> tuple[dict[str, Array], ...]:
        return tuple(
            {key: (value * gain + offset.reshape(shape)).astype(value.dtype) if key == name else value for key, value in batch.items()}
            for batch in batches
        )

    return replace(calibration, fit=put(calibration.fit), held_out=put(calibration.held_out))


def _first_norm(graph: Graph) -> tuple[Node, Node, str] | None:
    """The first BatchNormalization, its convolution and the image input, where nothing but padding and turning lies between them."""
    norm = next((node for node in graph.nodes if _own_statistics(graph, node)), None)
    convolution = graph.producers.get(norm.inputs[0]) if norm is not None else None
    if norm is None or convolution is None or convolution.op != "Conv" or int(convolution.attrs.get("group", 1)) > 1:
        return None
    value = convolution.inputs[0]
    while (step := graph.producers.get(value)) is not None and step.op in ("Pad", "Transpose", "Identity"):
        value = step.inputs[0]
    images = value in graph.inputs and image_layout(graph.bound[value]) is not None
    return (norm, convolution, value) if images and convolution.inputs[1] in graph.weights else None


def _own_statistics(graph: Graph, node: Node) -> bool:
    """A BatchNormalization in inference mode whose mean and variance no other node reads."""
    if node.op != "BatchNormalization" or node.domain or len([name for name in node.outputs if name]) > 1:
        return False
    return all(name in graph.weights and len(graph.consumers[name]) == 1 for name in node.inputs[3:5])


def _moments(values: Sequence[Array]) -> tuple[Floats, Floats]:
    """Mean and variance of the channels (axis 1) of a value over batches and places."""
    axes = tuple(axis for axis in range(values[0].ndim) if axis != 1)
    count = sum(value.size // value.shape[1] for value in values)
    mean = sum(value.sum(axis=axes, dtype=np.float64) for value in values) / count
    square = sum(np.square(value, dtype=np.float64).sum(axis=axes) for value in values) / count
    return np.asarray(mean), np.asarray(np.maximum(square - mean**2, 0.0))
