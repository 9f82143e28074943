"""Small random convolutional networks in ONNX, valid in the opset that each one names (7 to the newest).

`random_network(seed)` is the plain form; `networks()` is the hypothesis strategy, which shrinks to fewer and simpler blocks.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import numpy_helper

from .generated_blocks import BLOCKS, Block, activation, conv, norm
from .generated_build import NEWEST, Builder, Value

TABLE: list[Block] = [block for block, weight in BLOCKS for _ in range(weight)]


def random_network(seed: int | random.Random, *, blocks: Sequence[Block] | None = None, opset: int | None = None) -> onnx.ModelProto:
    """A network of two to seven random blocks, or of the given ones in order, between a convolution and a random head."""
    rng = seed if isinstance(seed, random.Random) else random.Random(seed)  # noqa: S311
    opset = opset or rng.choice([7, 8, 9, 10, 11, 11, 12, 13, 13, 14, 15, 16, 17, 17, 18, 18, 19, 20, 21, NEWEST])
    old = opset <= 8 or (opset <= 12 and rng.random() < 0.2)
    b = Builder(rng, opset, batch=rng.choice([1, 1, 2]), dynamic=rng.random() < 0.5, old_ir=old)
    size = rng.choice([(8, 8), (8, 8), (12, 12), (9, 9), (8, 12)])
    x = conv(b, b.input("input", 3, size), kernel=3)
    if b.chance(0.1):  # a second input of the same size joins after its own convolution
        x = b.simple("Add", x, conv(b, b.input("input2", b.pick([1, 4]), size), x.channels, kernel=3).name)
    x = activation(b, norm(b, x) if b.chance(0.5) else x)
    for block in blocks if blocks is not None else [b.pick(TABLE) for _ in range(rng.randint(2, 7))]:
        x = block(b, x)
        if x.channels > 48:  # concatenations must not let the widths run away
            x = conv(b, x, 16, kernel=1)
        if b.chance(0.04):
            b.expose(x if b.chance(0.5) else b.simple("Sigmoid", x))
    for head in b.pick([[_map], [_classifier], [_classifier], [_flat], [_map, _classifier]]):
        head(b, x)
    return b.model()


def _map(b: Builder, x: Value) -> None:
    """Maps as outputs: of a last convolution or of whatever comes last."""
    b.output(conv(b, x, b.pick([1, 3, 10]), kernel=1) if b.chance(0.7) else x)


def _classifier(b: Builder, x: Value) -> None:
    c = x.channels
    if b.chance(0.5):
        pooled = b.node("GlobalAveragePool", [x.name])[0]
        flat = b.pick([b.node("Flatten", [pooled], axis=1)[0], b.squeeze(pooled, [2, 3]), b.node("Reshape", [pooled, b.ints(0, c)])[0]])
    else:
        flat = b.reduce_mean(x.name, [2, 3], keepdims=False)
    if b.chance(0.4):
        hidden = b.pick([8, 16])
        flat, c = b.node("Relu", [_linear(b, flat, c, hidden)])[0], hidden
    _finish(b, _linear(b, flat, c, 10), x.shape[0])


def _flat(b: Builder, x: Value) -> None:
    """Flatten with height and width: one channel owns a run of features."""
    features = x.channels * x.size[0] * x.size[1]
    flat = b.node("Flatten", [x.name])[0] if b.chance(0.5) else b.node("Reshape", [x.name, b.ints(0, -1)])[0]
    _finish(b, _linear(b, flat, features, 10), x.shape[0])


def _linear(b: Builder, x: str, inputs: int, outputs: int) -> str:
    if b.chance(0.4):
        product = b.node("MatMul", [x, b.weight(inputs, outputs, fan=inputs)])[0]
        return b.node("Add", [product, b.vector(outputs)])[0]
    if b.chance(0.5):
        return b.node("Gemm", [x, b.weight(outputs, inputs), b.vector(outputs)], transB=1)[0]
    return b.node("Gemm", [x, b.weight(inputs, outputs, fan=inputs), b.vector(outputs)])[0]


def _finish(b: Builder, x: str, batch: int) -> None:
    b.output(Value(b.node("Softmax", [x], axis=1)[0] if b.chance(0.3) else x, (batch, 10)))


def networks() -> st.SearchStrategy[onnx.ModelProto]:
    return st.randoms(use_true_random=False).map(random_network)


def random_feeds(model: onnx.ModelProto, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal inputs for a generated network, an open batch taken as two."""
    rng = np.random.default_rng(seed)
    held = {tensor.name for tensor in model.graph.initializer}
    shapes = {v.name: [d.dim_value or 2 for d in v.type.tensor_type.shape.dim] for v in model.graph.input if v.name not in held}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
