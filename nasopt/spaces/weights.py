"""Initial weights for networks that were built blank: seeded, and ready for training."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from nasopt.graphs.graph import Graph, Weight

__all__ = ["initialise"]

Array = np.ndarray[Any, np.dtype[np.float32]]


def initialise(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """A copy of the model in which every blank weight holds numbers.

    Convolutions: normal, variance 2 / (outputs x kernel / groups) (He et al., ICCV 2015, "fan out"); dense layers: uniform within
    1 / sqrt(inputs), their bias too; norms: scale 1, shift 0, mean 0, variance 1; other biases 0. What a weight gets depends on the seed
    and its own name only, so that equal parts of two networks begin alike.

    Args:
        model: as a space builds it.
        seed: of all weights.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = Graph(made)
    for tensor in made.graph.initializer:
        weight = graph.weights[tensor.name]
        if weight.kind == "blank":
            rng = np.random.default_rng([seed, zlib.crc32(tensor.name.encode())])
            tensor.raw_data = _drawn(graph, weight, rng).astype("<f4").tobytes()
    return made


def _drawn(graph: Graph, weight: Weight, rng: np.random.Generator) -> Array:
    node, slot = graph.consumers[weight.name][0]
    assert weight.dtype == TensorProto.FLOAT
    match node.op, slot:
        case "Conv", 1:
            fan_out = weight.shape[0] * int(np.prod(weight.shape[2:])) / int(node.attrs.get("group", 1))
            return rng.standard_normal(weight.shape, np.float32) * np.float32(np.sqrt(2 / fan_out))
        case "ConvTranspose", 1:
            return rng.standard_normal(weight.shape, np.float32) * np.float32(np.sqrt(2 / (weight.shape[0] * np.prod(weight.shape[2:]))))
        case "Gemm", 1 | 2:
            inputs = graph.shape(node.inputs[1])[1]
            return rng.uniform(-1, 1, weight.shape).astype(np.float32) / np.float32(np.sqrt(inputs))
        case "BatchNormalization", 1 | 4:
            return np.ones(weight.shape, np.float32)
        case _:
            return np.zeros(weight.shape, np.float32)
