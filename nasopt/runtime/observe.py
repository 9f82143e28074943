"""Watching a network at work: mean and variance of every channel.

BatchNormalization keeps these statistics of the training data; a network whose norms were folded away, or never had any, keeps none.
Synthetic images are poor photographs but a far better guide than no activations at all (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx.helper import make_node, make_tensor_value_info
from onnx.numpy_helper import from_array

from nasopt.errors import ModelNotSupportedError
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, run

__all__ = ["observe"]

Array = np.ndarray[Any, Any]

_WORK = 2e10
"""MACs to spend on watching, at least two inputs."""


def observe(graph: Graph, channel_axis: Mapping[str, int], batches: Iterable[Mapping[str, Array]]) -> dict[str, tuple[Array, Array]]:
    """Mean and variance of values, per channel.

    The reductions are part of the network that is run, so that no activation is ever copied out of it.

    Args:
        graph: the network, input shapes bound.
        channel_axis: which values to watch, and along which axis their channels lie.
        batches: inputs, once a batch; as many are used as `_WORK` allows.

    Returns:
        Value name → (mean, variance), each of the length of the channel axis. Values that are not finite are left out.
    """
    names = [name for name in channel_axis if name in graph.producers and name in graph.shapes and graph.is_float(name)]
    session = open_session(_watched(graph, {name: channel_axis[name] for name in names}), origin=graph.origin)
    outputs = [output.name for output in session.get_outputs()]
    affordable, runs = max(2.0, _WORK / max(totals(graph).macs, 1)), 0
    sums = {name: np.zeros((2, graph.shape(name)[channel_axis[name]])) for name in names}
    for batch in batches:
        if affordable <= 0:
            break
        affordable -= max((len(value) for value in batch.values() if np.ndim(value)), default=1)
        runs += 1
        values = dict(zip(outputs, run(session, batch, origin=graph.origin), strict=True))
        for name in names:
            if values[f"{name}.mean"].shape != sums[name].shape[1:]:
                raise ModelNotSupportedError(f"{graph.origin}: ONNX Runtime gives '{name}' another shape than onnx infers")
            sums[name] += np.stack([values[f"{name}.mean"], values[f"{name}.square"]])
    moments = {
        name: (mean, np.maximum(square - mean**2, 0.0))
        for name, (mean, square) in ((name, pair / max(runs, 1)) for name, pair in sums.items())
    }
    return {name: pair for name, pair in moments.items() if np.isfinite(pair).all()}


def _watched(graph: Graph, channel_axis: Mapping[str, int]) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    model.ir_version = max(model.ir_version, 4)
    for name, axis in channel_axis.items():
        others = [place for place in range(len(graph.shape(name))) if place != axis]
        model.graph.node.append(make_node("Mul", [name, name], [f"{name}.squared"]))
        for source, target in ((name, f"{name}.mean"), (f"{name}.squared", f"{name}.square")):
            if not others:
                model.graph.node.append(make_node("Identity", [source], [target]))
            elif graph.opset >= 18:
                model.graph.initializer.append(from_array(np.array(others, np.int64), f"{target}.axes"))
                model.graph.node.append(make_node("ReduceMean", [source, f"{target}.axes"], [target], keepdims=0))
            else:
                model.graph.node.append(make_node("ReduceMean", [source], [target], axes=others, keepdims=0))
            model.graph.output.append(make_tensor_value_info(target, graph.dtypes[name], [graph.shape(name)[axis]]))
    return model
