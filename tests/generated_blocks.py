"""The pieces of a random network: each takes a builder and an NCHW value and returns one. `BLOCKS` lists them with weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .generated_build import Builder, Value

Block = Callable[[Builder, Value], Value]
WIDTHS = (4, 6, 8, 8, 12, 16, 20, 24)


# -- convolutions


def conv(b: Builder, x: Value, width: int | None = None, *, kernel: int = 0, groups: int = 1, weight: str | None = None) -> Value:
    width = width or b.pick(WIDTHS)
    kernel = kernel or b.pick([1, 1, 3, 3, 5])
    dilation = 2 if kernel == 3 and min(x.size) >= 5 and b.chance(0.1) else 1
    pad = dilation * (kernel // 2)
    weight = weight or b.weight(width, x.channels // groups, kernel, kernel)
    inputs = [weight, b.vector(width)] if b.chance(0.5) else [weight]
    where: dict[str, object] = {"auto_pad": "SAME_UPPER"} if dilation == 1 and b.chance(0.1) else {"pads": [pad] * 4}
    return b.simple(
        "Conv",
        x,
        *inputs,
        shape=(x.shape[0], width, *x.size),
        group=groups if groups > 1 or b.chance(0.5) else None,
        dilations=[dilation] * 2 if dilation > 1 else None,
        kernel_shape=[kernel] * 2 if b.chance(0.7) else None,
        **where,
    )


def strided(b: Builder, x: Value) -> Value:
    if min(x.size) < 4:
        return conv(b, x)
    width = b.pick(WIDTHS)
    shape = (x.shape[0], width, *((d - 1) // 2 + 1 for d in x.size))
    return b.simple("Conv", x, b.weight(width, x.channels, 3, 3), shape=shape, strides=[2, 2], pads=[1, 1, 1, 1])


def norm(b: Builder, x: Value) -> Value:
    c = x.channels
    return b.simple("BatchNormalization", x, b.positive(c), b.vector(c), b.vector(c), b.positive(c), epsilon=1e-5)


def grouped(b: Builder, x: Value) -> Value:
    options = [g for g in (2, 4) if x.channels % g == 0]
    if not options:
        return depthwise(b, x)
    groups = b.pick(options)
    return conv(b, x, groups * b.pick([2, 3, 4]), kernel=b.pick([1, 3]), groups=groups)


def depthwise(b: Builder, x: Value) -> Value:
    multiplier = b.pick([1, 1, 1, 2]) if x.channels <= 24 else 1
    return conv(b, x, x.channels * multiplier, kernel=3, groups=x.channels)


def conv_norm_act(b: Builder, x: Value) -> Value:
    x = b.pick([conv, conv, grouped, depthwise, strided])(b, x)
    x = norm(b, x) if b.chance(0.8) else x
    return activation(b, x)


def shared_weight(b: Builder, x: Value) -> Value:
    weight = b.weight(x.channels, x.channels, 3, 3)
    first = activation(b, conv(b, x, x.channels, kernel=3, weight=weight))
    return conv(b, first, x.channels, kernel=3, weight=weight)


def transposed_conv(b: Builder, x: Value) -> Value:
    if max(x.size) > 8:
        return conv(b, x)
    groups = 2 if x.channels % 2 == 0 and b.chance(0.3) else 1
    width = groups * b.pick([2, 3, 4, 6])
    shape = (x.shape[0], width, *(2 * d for d in x.size))
    weight = b.weight(x.channels, width // groups, 2, 2, fan=x.channels)
    bias = [b.vector(width)] if b.chance(0.5) else []
    return b.simple("ConvTranspose", x, weight, *bias, shape=shape, strides=[2, 2], group=groups)


# -- element by element


def activation(b: Builder, x: Value) -> Value:
    options: list[Block] = [unary, unary, unary, prelu, clip, hard_swish_spelt, swish_spelt, leaky]
    return b.pick(options)(b, x)


def unary(b: Builder, x: Value) -> Value:
    names = ["Relu", "Relu", "Relu", "Sigmoid", "Tanh", "Elu", "Softplus", "HardSigmoid", "Abs", "Identity", "Dropout"]
    names += ["HardSwish"] * 2 * (b.opset >= 14) + ["Mish"] * (b.opset >= 18) + ["Gelu"] * (b.opset >= 20) + ["Erf"] * (b.opset >= 9)
    return b.simple(b.pick(names), x)


def leaky(b: Builder, x: Value) -> Value:
    return b.simple("LeakyRelu", x, alpha=0.1)


def prelu(b: Builder, x: Value) -> Value:
    shape = b.pick([(x.channels, 1, 1), (x.channels, 1, 1), (1, 1, 1), (1, x.channels, 1, 1), (1,)])
    return b.simple("PRelu", x, b.vector(*shape, mean=0.25, spread=0.1))


def clip(b: Builder, x: Value) -> Value:
    return b.clip(x, *b.pick([(0.0, 6.0), (0.0, 6.0), (-1.0, 1.0), (0.1, 2.0)]))


def hard_swish_spelt(b: Builder, x: Value) -> Value:
    shifted = b.simple("Add", x, b.scalar(3.0))
    gate = b.clip(shifted, 0.0, 6.0)
    if b.chance(0.5):
        return b.simple("Div", b.simple("Mul", x, gate.name), b.scalar(6.0))
    return b.simple("Mul", x, b.simple("Mul", gate, b.scalar(1 / 6)).name)


def swish_spelt(b: Builder, x: Value) -> Value:
    return b.simple("Mul", x, b.simple("Sigmoid", x).name)


def scale(b: Builder, x: Value) -> Value:
    """A constant per channel, per network or per pixel, on either side."""
    shape = b.pick([(x.channels, 1, 1), (1, x.channels, 1, 1), (1,), (), x.shape[1:], x.size])
    constant = b.positive(*shape)
    op = b.pick(["Mul", "Mul", "Add", "Sub", "Div"])
    inputs = [constant, x.name] if op in ("Mul", "Add", "Sub") and b.chance(0.3) else [x.name, constant]
    return Value(b.node(op, inputs)[0], x.shape)


# -- branches


def residual(b: Builder, x: Value) -> Value:
    width, y = x.channels, x
    for _ in range(b.pick([1, 2])):
        y = activation(b, conv(b, y, kernel=3))
    y = conv(b, y, width, kernel=b.pick([1, 3]))
    y = norm(b, y) if b.chance(0.5) else y
    first, second = (x, y) if b.chance(0.5) else (y, x)
    return b.simple(b.pick(["Add", "Add", "Sum", "Max", "Sub"]), first, second.name)


def residual_option_a(b: Builder, x: Value) -> Value:
    """ResNet on CIFAR: the shortcut takes every other pixel and pads channels with zeros."""
    if min(x.size) < 4:
        return residual(b, x)
    extra = b.pick([(2, 2), (1, 3), (0, 4), (x.channels // 2, x.channels - x.channels // 2)])
    size = tuple((d - 1) // 2 + 1 for d in x.size)
    shape = (x.shape[0], x.channels, *size)
    if b.opset >= 10 and b.chance(0.7):
        short = Value(b.slice(b.slice(x.name, 2, 0, 2**31 - 1, 2), 3, 0, 2**31 - 1, 2), shape)
    else:
        short = b.simple(b.pick(["MaxPool", "AveragePool"]), x, shape=shape, kernel_shape=[1, 1], strides=[2, 2])
    short = b.pad(short, (extra[0], 0, 0), (extra[1], 0, 0))
    body = activation(b, conv(b, x, kernel=3))
    weight = b.weight(short.channels, body.channels, 3, 3)
    body = b.simple("Conv", body, weight, shape=short.shape, strides=[2, 2], pads=[1, 1, 1, 1])
    return activation(b, b.simple("Add", norm(b, body), short.name))


def concat(b: Builder, x: Value) -> Value:
    branches = [activation(b, conv(b, x, b.pick([4, 6, 8]))) for _ in range(b.pick([1, 2, 3]))]
    if len(branches) == 1 or b.chance(0.3):
        branches.insert(b.rng.randrange(len(branches) + 1), x)
    return joined(b, branches)


def joined(b: Builder, parts: list[Value]) -> Value:
    shape = (parts[0].shape[0], sum(p.channels for p in parts), *parts[0].size)
    return Value(b.node("Concat", [p.name for p in parts], axis=b.pick([1, 1, -3]) if b.opset >= 11 else 1)[0], shape)


def concat_itself(b: Builder, x: Value) -> Value:
    return joined(b, [x, x])


def split_branches(b: Builder, x: Value) -> Value:
    if x.channels < 4:
        return conv(b, x)
    half = x.channels // 2
    sizes = b.pick([[half, x.channels - half], [1, x.channels - 1], [2, half - 1, x.channels - half - 1]])
    parts = b.split(x, sizes)
    parts = [activation(b, conv(b, p, b.pick([2, 4, 6]))) if b.chance(0.6) else p for p in parts]
    if b.chance(0.2):
        parts.reverse()
    return joined(b, parts)


def channel_slice(b: Builder, x: Value) -> Value:
    start = b.pick([0, 0, 1, 2])
    end = x.channels - b.pick([0, 1, 2])
    if end - start < 2:
        return conv(b, x)
    step = 2 if b.opset >= 10 and b.chance(0.3) else 1
    shape = (x.shape[0], len(range(start, end, step)), *x.size)
    given = end if end < x.channels or b.chance(0.5) else 2**31 - 1
    return Value(b.slice(x.name, 1, start, given, step), shape)


def channel_gather(b: Builder, x: Value) -> Value:
    count = b.pick([x.channels, max(2, x.channels // 2)])
    index = b.numbers.permutation(x.channels)[:count].astype(np.int64)
    return Value(b.node("Gather", [x.name, b.const(index, "i")], axis=1)[0], (x.shape[0], count, *x.size))


def squeeze_excite(b: Builder, x: Value) -> Value:
    pooled = Value(b.reduce_mean(x.name, [2, 3], keepdims=True), (*x.shape[:2], 1, 1))
    if b.chance(0.5):
        pooled = b.simple("GlobalAveragePool", x, shape=(*x.shape[:2], 1, 1))
    hidden = b.simple("Relu", conv(b, pooled, max(2, x.channels // 2), kernel=1))
    gate = conv(b, hidden, x.channels, kernel=1)
    gate = b.simple(b.pick(["Sigmoid", "HardSigmoid"]), gate)
    return b.simple("Mul", x, gate.name)


def squeeze_excite_gemm(b: Builder, x: Value) -> Value:
    c, hidden = x.channels, max(2, x.channels // 2)
    pooled = b.reduce_mean(x.name, [2, 3], keepdims=False)
    h = b.node("Gemm", [pooled, b.weight(hidden, c), b.vector(hidden)], transB=1)[0]
    g = b.node("Gemm", [b.node("Relu", [h])[0], b.weight(hidden, c, fan=hidden), b.vector(c)])[0]
    gate = b.node("Sigmoid", [g])[0]
    gate = b.unsqueeze(gate, [2, 3]) if b.chance(0.5) else b.node("Reshape", [gate, b.ints(0, c, 1, 1)])[0]
    return b.simple("Mul", x, gate)


def spatial_attention(b: Builder, x: Value) -> Value:
    """A map of one channel, made from the mean over channels, multiplies them all."""
    mean = Value(b.reduce_mean(x.name, [1], keepdims=True), (x.shape[0], 1, *x.size))
    return b.simple("Mul", x, b.simple("Sigmoid", conv(b, mean, 1, kernel=3)).name)


# -- moving channels about


def shuffle(b: Builder, x: Value) -> Value:
    groups = next((g for g in (b.pick([2, 3, 4]), 2, 3) if x.channels % g == 0), 0)
    if not groups:
        return conv(b, x)
    per = x.channels // groups
    if b.chance(0.5):
        apart = b.reshape(x, groups, per, *x.size)
        turned = b.node("Transpose", [apart], perm=[0, 2, 1, 3, 4])[0]
        return Value(b.node("Reshape", [turned, b.ints(0, x.channels, *x.size)])[0], x.shape)
    dims = b.node("Shape", [x.name])[0]
    batch, channels, height, width = (b.node("Gather", [dims, b.const(np.array(i, np.int64), "i")])[0] for i in range(4))
    count = b.const(np.array(groups, np.int64), "i")
    each = b.node("Div", [channels, count])[0]
    pieces = [b.unsqueeze(v, [0]) for v in (batch, count, each, height, width)]
    apart = b.node("Reshape", [x.name, b.node("Concat", pieces, axis=0)[0]])[0]
    turned = b.node("Transpose", [apart], perm=[0, 2, 1, 3, 4])[0]
    last = [*pieces[:1], b.unsqueeze(channels, [0]) if b.chance(0.5) else b.ints(-1), *pieces[3:]]
    return Value(b.node("Reshape", [turned, b.node("Concat", last, axis=0)[0]])[0], x.shape)


def depth_to_space(b: Builder, x: Value) -> Value:
    if max(x.size) > 8:
        return space_to_depth(b, x)
    out = b.pick([2, 3, 4])
    x = conv(b, x, 4 * out)
    shape = (x.shape[0], out, *(2 * d for d in x.size))
    mode = b.pick(["DCR", "CRD"]) if b.opset >= 11 else None
    return b.simple("DepthToSpace", x, shape=shape, blocksize=2, mode=mode)


def space_to_depth(b: Builder, x: Value) -> Value:
    if any(d % 2 or d < 4 for d in x.size) or x.channels > 12:
        return conv(b, x)
    return b.simple("SpaceToDepth", x, shape=(x.shape[0], 4 * x.channels, *(d // 2 for d in x.size)), blocksize=2)


# -- space


def pool(b: Builder, x: Value) -> Value:
    if min(x.size) < 4:
        return b.simple("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    if b.chance(0.3):
        return b.simple("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    shape = (*x.shape[:2], *(d // 2 for d in x.size))
    return b.simple(b.pick(["MaxPool", "AveragePool", "LpPool"]), x, shape=shape, kernel_shape=[2, 2], strides=[2, 2])


def pad_space(b: Builder, x: Value) -> Value:
    mode = b.pick(["constant", "reflect", "edge"])
    padded = b.pad(x, (0, 1, 1), (0, 1, 1), mode)
    width = b.pick(WIDTHS)
    weight = b.weight(width, x.channels, 3, 3)
    return b.simple("Conv", padded, weight, shape=(x.shape[0], width, *x.size))


def upscale(b: Builder, x: Value) -> Value:
    return b.upscale(x) if max(x.size) <= 8 else pool(b, x)


# -- norms


def instance_norm(b: Builder, x: Value) -> Value:
    return b.simple("InstanceNormalization", x, b.positive(x.channels), b.vector(x.channels))


def group_norm(b: Builder, x: Value) -> Value:
    c = x.channels
    groups = b.pick([g for g in (1, 2, 3, 4) if c % g == 0])
    if b.opset >= 21 and b.chance(0.5):  # the form of opset 18, scales per group, is withdrawn: the checker refuses it
        return b.simple("GroupNormalization", x, b.positive(c), b.vector(c), num_groups=groups)
    apart = b.reshape(x, groups, -1)
    ones, zeros = b.const(np.ones(groups, np.float32)), b.const(np.zeros(groups, np.float32))
    normed = b.node("InstanceNormalization", [apart, ones, zeros])[0]
    dims = b.node("Shape", [x.name])[0] if b.chance(0.5) else b.ints(0, c, *x.size)
    y = Value(b.node("Reshape", [normed, dims])[0], x.shape)
    return b.simple("Add", b.simple("Mul", y, b.positive(c, 1, 1)), b.vector(c, 1, 1))


def channels_last(b: Builder, x: Value) -> Value:
    """ConvNeXt's block: LayerNormalization and two MatMuls over channels in NHWC, then back, with the shortcut."""
    c, wide = x.channels, 2 * x.channels
    y = b.node("Transpose", [x.name], perm=[0, 2, 3, 1])[0]
    y = layer_norm(b, y, c)
    y = b.node("Add", [b.node("MatMul", [y, b.weight(c, wide, fan=c)])[0], b.vector(wide)])[0]
    y = b.node("Gelu" if b.opset >= 20 else "Relu", [y])[0]
    y = b.node("Add", [b.vector(c), b.node("MatMul", [y, b.weight(wide, c, fan=wide)])[0]])[0]
    if b.chance(0.5):
        y = b.node("Mul", [y, b.positive(c)])[0]
    back = Value(b.node("Transpose", [y], perm=[0, 3, 1, 2])[0], x.shape)
    return b.simple("Add", x, back.name) if b.chance(0.7) else back


def layer_norm(b: Builder, x: str, channels: int) -> str:
    gain, shift = b.positive(channels), b.vector(channels)
    if b.opset >= 17:
        return b.node("LayerNormalization", [x, gain, shift], axis=-1)[0]
    centred = b.node("Sub", [x, b.reduce_mean(x, [-1] if b.opset >= 11 else [3], keepdims=True)])[0]
    square = b.node("Pow", [centred, b.scalar(2.0)])[0]
    variance = b.reduce_mean(square, [-1] if b.opset >= 11 else [3], keepdims=True)
    spread = b.node("Sqrt", [b.node("Add", [variance, b.scalar(1e-5)])[0]])[0]
    return b.node("Add", [b.node("Mul", [b.node("Div", [centred, spread])[0], gain])[0], shift])[0]


# -- what an engine may freeze


def barrier(b: Builder, x: Value) -> Value:
    op = b.pick(["Softmax", "TopK", "LRN", "LpNormalization", "Hardmax"])
    if op == "Softmax":
        return b.simple("Softmax", x, axis=1)
    if op == "LRN":
        return b.simple("LRN", x, size=3, alpha=0.1)
    if op == "LpNormalization":
        return b.simple("LpNormalization", x, axis=1, p=2)
    if op == "Hardmax":
        return b.simple("Hardmax", x, axis=1)
    if b.opset < 10:
        return Value(b.node("TopK", [x.name], 2, axis=1, k=x.channels)[0], x.shape)
    return Value(b.node("TopK", [x.name, b.ints(x.channels)], 2, axis=1)[0], x.shape)


BLOCKS: list[tuple[Block, int]] = [
    (conv_norm_act, 8),
    (conv, 2),
    (residual, 4),
    (residual_option_a, 2),
    (grouped, 2),
    (depthwise, 2),
    (scale, 2),
    (squeeze_excite, 2),
    (squeeze_excite_gemm, 1),
    (spatial_attention, 1),
    (concat, 3),
    (concat_itself, 1),
    (split_branches, 2),
    (channel_slice, 1),
    (channel_gather, 1),
    (shuffle, 2),
    (activation, 1),
    (pool, 2),
    (pad_space, 1),
    (upscale, 1),
    (transposed_conv, 1),
    (instance_norm, 1),
    (group_norm, 1),
    (channels_last, 2),
    (depth_to_space, 1),
    (space_to_depth, 1),
    (shared_weight, 1),
    (barrier, 1),
]
