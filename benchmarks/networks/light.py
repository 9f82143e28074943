"""The nine light models of the onnx wheel, with weights drawn anew so that their numerics mean something.

The wheel ships true graphs (opset 9, IR 3) whose weights are ConstantOfShape nodes with one fill value. `redraw` puts random
initializers in their place, scaled by what each one feeds, and gives every BatchNormalization the statistics of its input.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.cache import cache_dir

VERSION = 1
THROUGH = {"Unsqueeze", "Reshape", "Identity", "Squeeze"}
ROLES = {
    ("Conv", 1): "weight",
    ("Gemm", 1): "weight",
    ("MatMul", 1): "weight",
    ("BatchNormalization", 1): "scale",
    ("Mul", 1): "scale",
    ("BatchNormalization", 3): "shift",
    ("BatchNormalization", 4): "variance",
}


def light_sources() -> dict[str, Path]:
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    return {path.stem: path for path in sorted(folder.glob("light_*.onnx"))}


def light_models(*, fresh: bool = False) -> dict[str, Path]:
    """Name → file with re-drawn weights, in the cache; 2.2 GB in all, most of it VGG-19, ZFNet and AlexNet."""
    found = {}
    for name, source in light_sources().items():
        target = cache_dir() / "light" / f"{name}.v{VERSION}.onnx"
        if fresh or not target.exists():
            target.parent.mkdir(exist_ok=True)
            draft = target.with_suffix(".draft")
            onnx.save(redraw(onnx.load(source), seed=zlib.crc32(name.encode())), draft)
            draft.replace(target)
        found[name] = target
    return found


def redraw(model: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """The same graph with random weights: ConstantOfShape nodes become initializers, names are kept."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, rng = result.graph, np.random.default_rng(seed)
    shapes = {t.name: tuple(numpy_helper.to_array(t).tolist()) for t in graph.initializer if t.data_type == onnx.TensorProto.INT64}
    fills = {node.output[0]: shapes[node.input[0]] for node in graph.node if node.op_type == "ConstantOfShape"}
    fills |= {t.name: tuple(t.dims) for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    drawn = {name: _draw(rng, shape, *_role(graph, name)) for name, shape in fills.items()}
    dropped = {node.input[0] for node in graph.node if node.op_type == "ConstantOfShape"}
    kept = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    dropped -= {name for node in kept for name in node.input}
    others = [t for t in graph.initializer if t.name not in dropped and t.name not in drawn]
    inputs = [value for value in graph.input if value.name not in dropped and value.name not in drawn]
    listed = model.ir_version < 4
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(kept)
    graph.initializer.extend([*others, *(numpy_helper.from_array(array, name) for name, array in drawn.items())])
    if listed:
        inputs += [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape) for name, array in drawn.items()]
    graph.input.extend(inputs)
    _calibrate(result, rng)
    return result


def _role(graph: onnx.GraphProto, name: str) -> tuple[str, onnx.NodeProto | None]:
    """What the tensor is to the first node that computes with it."""
    while True:
        user = next(((node, list(node.input).index(name)) for node in graph.node if name in node.input), None)
        if user is None:
            return "shift", None
        node, index = user
        if node.op_type not in THROUGH:
            return ROLES.get((node.op_type, index), "shift"), node
        name = node.output[0]


def _draw(rng: np.random.Generator, shape: tuple[int, ...], role: str, node: onnx.NodeProto | None) -> np.ndarray:
    if role == "weight":
        assert node is not None
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        inputs_first = node.op_type == "MatMul" or (node.op_type == "Gemm" and not transposed)
        fan = shape[0] if inputs_first else math.prod(shape[1:])
        width = shape[-1] if inputs_first else shape[0]
        axes = (0,) if inputs_first else tuple(range(1, len(shape)))
        values = rng.standard_normal(shape)
        if fan >= 8:  # a filter of mean zero: else the positive activations drown what depends on the input
            values -= values.mean(axes, keepdims=True)
        strength = rng.uniform(0.1, 1.3, width)
        strength *= math.sqrt(2 / fan / np.mean(strength**2))
        return (values * strength.reshape([width] if inputs_first else [-1, *[1] * (len(shape) - 1)])).astype(np.float32)
    if role in ("scale", "variance"):
        return rng.uniform(0.1, 1.3, shape).astype(np.float32)
    return (0.05 * rng.standard_normal(shape)).astype(np.float32)


def _calibrate(model: onnx.ModelProto, rng: np.random.Generator, samples: int = 4) -> None:
    """Means and variances from a twin whose norms are InstanceNormalizations: on one sample, that is a norm in training."""
    import onnxruntime

    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    norms = [node for node in twin.graph.node if node.op_type == "BatchNormalization"]
    if not norms:
        return
    twin.graph.output.extend(onnx.ValueInfoProto(name=node.input[0]) for node in norms)
    for node in norms:
        node.op_type = "InstanceNormalization"
        epsilon = [a for a in node.attribute if a.name == "epsilon"]
        del node.input[3:], node.attribute[:]
        node.attribute.extend(epsilon)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(twin.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [node.input[0] for node in norms]
    moments: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in names}
    for _ in range(samples):
        feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in _free_inputs(model)}
        for name, value in zip(names, session.run(names, feeds), strict=True):
            moments[name].append((value.mean((0, 2, 3)), np.square(value).mean((0, 2, 3))))
    weights = {t.name: t for t in model.graph.initializer}
    for node in (node for node in model.graph.node if node.op_type == "BatchNormalization"):
        mean, square = np.mean(moments[node.input[0]], 0)
        for name, value in ((node.input[3], mean), (node.input[4], np.maximum(square - mean**2, 1e-3))):
            weights[name].CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))


def _free_inputs(model: onnx.ModelProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    held = {t.name for t in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in held:
            yield value.name, tuple(d.dim_value or 1 for d in value.type.tensor_type.shape.dim)
