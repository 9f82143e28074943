"""Writes a network as an ONNX model, layer by layer: what the builders of all spaces share.

A method adds an operator and returns the name of its value; the shape of every value is known while the network grows. Weights have shapes
and no data (`nasopt.graphs.graph.Weight`, ``blank``), so that tens of thousands of networks can be built to be counted; `initialise`
(`nasopt.spaces.weights`) draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto
from onnx.helper import make_opsetid, make_tensor_value_info
from onnx.numpy_helper import from_array

__all__ = ["OPSET", "Network", "divisible"]

OPSET = 17
IR_VERSION = 8

Attribute = int | float | tuple[int, ...]
Activation = Literal["relu", "relu6", "leaky", "hswish", "swish", "tanh", "none"]


def divisible(channels: float, divisor: int = 8) -> int:
    """Channels rounded to a multiple of `divisor`, by no more than a tenth downwards (as in the published code of MobileNetV2)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class Network:
    """A network in the making, for one image input of a dynamic batch.

    Attributes:
        input: the name of its input.
        shapes: what is known of each value: (channels, height, width), or (features,) once flattened.
    """

    def __init__(self, name: str, shape: tuple[int, int, int]) -> None:
        """Begins a network.

        Args:
            name: of the graph.
            shape: of one input: channels, height, width.
        """
        self.input = "input"
        self.shapes: dict[str, tuple[int, ...]] = {self.input: shape}
        self._model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="nasopt", opset_import=[make_opsetid("", OPSET)])
        self._graph = self._model.graph
        self._graph.name = name
        self._graph.input.append(make_tensor_value_info(self.input, TensorProto.FLOAT, ["N", *shape]))
        self._scope = ""
        self._names: dict[str, int] = {}

    def channels(self, x: str) -> int:
        return self.shapes[x][0]

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names within begin with ``name.``; scopes nest."""
        outer, self._scope = self._scope, f"{self._scope}{name}."
        try:
            yield
        finally:
            self._scope = outer

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        dilation: int = 1,
        padding: int | tuple[int, int, int, int] | None = None,
        bias: bool = False,
        name: str = "conv",
    ) -> str:
        """A convolution.

        Args:
            x: its input.
            channels: of its output.
            kernel: its size, or height and width.
            stride: in both directions.
            groups: of channels.
            dilation: in both directions.
            padding: on all sides, or top, left, bottom, right; without it, an odd kernel of stride 1 keeps the size.
            bias: whether it has one.
            name: of the node, within the scope.
        """
        into = self.channels(x)
        if into % groups or channels % groups:
            raise ValueError(f"{into} and {channels} channels do not divide into {groups} groups")
        sizes = (kernel, kernel) if isinstance(kernel, int) else kernel
        pads = _pads(padding, sizes, dilation)
        node = self._name(name)
        inputs = [x, self._blank(f"{node}.weight", channels, into // groups, *sizes)]
        inputs += [self._blank(f"{node}.bias", channels)] if bias else []
        shape = (channels, *self._slid(x, sizes, stride, pads, dilation))
        given: dict[str, Attribute] = {"kernel_shape": sizes, "strides": (stride,) * 2, "pads": pads}
        given |= {"dilations": (dilation,) * 2, "group": groups}
        return self._add("Conv", inputs, shape, node, given)

    def upsampling_conv(self, x: str, channels: int, *, name: str = "conv") -> str:
        """A transposed convolution with a bias, of three pixels, that doubles the image."""
        node, (into, *sizes) = self._name(name), self.shapes[x]
        inputs = [x, self._blank(f"{node}.weight", into, channels, 3, 3), self._blank(f"{node}.bias", channels)]
        given: dict[str, Attribute] = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1,) * 4, "output_padding": (1, 1)}
        return self._add("ConvTranspose", inputs, (channels, *(2 * size for size in sizes)), node, given)

    def norm(self, x: str, *, epsilon: float = 1e-5, affine: bool = True, name: str = "bn") -> str:
        """A batch normalisation; without `affine`, its scale and shift are 1 and 0, computed and so no parameters."""
        channels, node = self.channels(x), self._name(name)
        if affine:
            first = [self._blank(f"{node}.weight", channels), self._blank(f"{node}.bias", channels)]
        else:
            first = [self._repeated(1.0, channels), self._repeated(0.0, channels)]
        statistics = [self._blank(f"{node}.running_mean", channels), self._blank(f"{node}.running_var", channels)]
        return self._add("BatchNormalization", [x, *first, *statistics], self.shapes[x], node, {"epsilon": epsilon})

    def linear(self, x: str, features: int, *, bias: bool = True, name: str = "fc") -> str:
        """A dense layer on flattened values."""
        node = self._name(name)
        inputs = [x, self._blank(f"{node}.weight", features, self.channels(x))]
        inputs += [self._blank(f"{node}.bias", features)] if bias else []
        return self._add("Gemm", inputs, (features,), node, {"transB": 1})

    def act(self, x: str, kind: Activation = "relu") -> str:
        """An activation; ``none`` is none."""
        match kind:
            case "none":
                return x
            case "relu":
                return self._add("Relu", [x], self.shapes[x], self._name("relu"), {})
            case "relu6":
                return self._add("Clip", [x, self.constant(0.0), self.constant(6.0)], self.shapes[x], self._name("relu6"), {})
            case "leaky":
                return self._add("LeakyRelu", [x], self.shapes[x], self._name("leaky"), {"alpha": 0.2})
            case "tanh":
                return self._add("Tanh", [x], self.shapes[x], self._name("tanh"), {})
            case "hswish":
                return self._add("HardSwish", [x], self.shapes[x], self._name("hswish"), {})
            case "swish":
                return self.mul(x, self.sigmoid(x))

    def sigmoid(self, x: str) -> str:
        return self._add("Sigmoid", [x], self.shapes[x], self._name("sigmoid"), {})

    def hard_sigmoid(self, x: str) -> str:
        """``relu6(x + 3) / 6``."""
        return self._add("HardSigmoid", [x], self.shapes[x], self._name("hsigmoid"), {"alpha": 1 / 6, "beta": 0.5})

    def max_pool(self, x: str, kernel: int, stride: int = 1, *, padding: int | tuple[int, int, int, int] | None = None) -> str:
        """Maximum over windows; padding as of `conv`."""
        return self._pool("MaxPool", x, kernel, stride, padding, {})

    def avg_pool(
        self, x: str, kernel: int, stride: int = 1, *, padding: int | tuple[int, int, int, int] | None = None, count_padding: bool = False
    ) -> str:
        """Mean over windows, with or without what was padded; padding as of `conv`."""
        return self._pool("AveragePool", x, kernel, stride, padding, {"count_include_pad": int(count_padding)})

    def global_pool(self, x: str) -> str:
        """Mean over the image: (channels, 1, 1)."""
        return self._add("GlobalAveragePool", [x], (self.channels(x), 1, 1), self._name("pool"), {})

    def flatten(self, x: str) -> str:
        """One row an input."""
        shape = self.shapes[x]
        return self._add("Flatten", [x], (int(np.prod(shape)),), self._name("flatten"), {"axis": 1})

    def add(self, *values: str, name: str = "add") -> str:
        """The sum of one or more values of one shape, from left to right."""
        total = values[0]
        for value in values[1:]:
            self._require_alike(total, value)
            total = self._add("Add", [total, value], self.shapes[total], self._name(name), {})
        return total

    def mul(self, x: str, other: str) -> str:
        """A product; `other` may be a constant, or a gate of one number a channel."""
        return self._add("Mul", [x, other], self.shapes[x], self._name("mul"), {})

    def zeros(self, x: str, stride: int = 1) -> str:
        """What is left of a value that is multiplied by 0: the published way of an operation "none"."""
        if stride > 1:
            x = self.subsample(x, stride)
        return self._add("Mul", [x, self.constant(0.0)], self.shapes[x], self._name("none"), {})

    def subsample(self, x: str, stride: int, *, offset: int = 0) -> str:
        """Every so-manieth row and column, from `offset` on."""
        channels, *sizes = self.shapes[x]
        ends, axes, steps = self.constant((2**31, 2**31)), self.constant((2, 3)), self.constant((stride, stride))
        inputs = [x, self.constant((offset, offset)), ends, axes, steps]
        shape = (channels, *((size - offset + stride - 1) // stride for size in sizes))
        return self._add("Slice", inputs, shape, self._name("subsample"), {})

    def concat(self, *values: str) -> str:
        """Channels one after the other."""
        if len({self.shapes[value][1:] for value in values}) > 1:
            raise ValueError(f"images of different sizes cannot be joined: {[self.shapes[value] for value in values]}")
        shape = (sum(self.channels(value) for value in values), *self.shapes[values[0]][1:])
        return self._add("Concat", list(values), shape, self._name("concat"), {"axis": 1})

    def slice_channels(self, x: str, begin: int, end: int) -> str:
        """Channels from `begin` to before `end`."""
        shape = (end - begin, *self.shapes[x][1:])
        inputs = [x, self.constant((begin,)), self.constant((end,)), self.constant((1,))]
        return self._add("Slice", inputs, shape, self._name("slice"), {})

    def shuffle(self, x: str, groups: int) -> str:
        """Channels of `groups` groups interleaved (ShuffleNet, arXiv:1707.01083)."""
        channels, *sizes = self.shapes[x]
        split, whole = self.constant((0, groups, channels // groups, *sizes)), self.constant((0, channels, *sizes))
        parts = self._add("Reshape", [x, split], (groups, channels // groups, *sizes), self._name("split"), {})
        turned = self._add("Transpose", [parts], (channels // groups, groups, *sizes), self._name("shuffle"), {"perm": (0, 2, 1, 3, 4)})
        return self._add("Reshape", [turned, whole], self.shapes[x], self._name("join"), {})

    def tiles_apart(self, x: str, tiles: int) -> str:
        """Pictures that lie one behind the other in the channels of an input, as inputs of their own: the batch grows by `tiles`."""
        channels, *sizes = self.shapes[x]
        shape = (channels // tiles, *sizes)
        return self._add("Reshape", [x, self.constant((-1, *shape))], shape, self._name("tiles"), {})

    def tiles_together(self, x: str, tiles: int) -> str:
        """The reverse of `tiles_apart`."""
        channels, *sizes = self.shapes[x]
        shape = (channels * tiles, *sizes)
        return self._add("Reshape", [x, self.constant((-1, *shape))], shape, self._name("together"), {})

    def constant(self, value: float | tuple[int, ...]) -> str:
        """A stored number, or stored integers; the same one for the same value."""
        name = f"constant.{value}" if isinstance(value, float) else f"constant.{'x'.join(map(str, value))}"
        if name not in self._names:
            self._names[name] = 1
            array = np.asarray(value, np.float32) if isinstance(value, float) else np.asarray(value, np.int64)
            self._graph.initializer.append(from_array(array, name))
        return name

    def finish(self, *outputs: str) -> onnx.ModelProto:
        """The model with these values as its outputs."""
        for place, value in enumerate(outputs):
            name = "output" if len(outputs) == 1 else f"output{place}"
            self._graph.node.append(onnx.NodeProto(op_type="Identity", name=name, input=[value], output=[name]))
            self._graph.output.append(make_tensor_value_info(name, TensorProto.FLOAT, ["N", *self.shapes[value]]))
        return self._model

    def _pool(
        self, op: str, x: str, kernel: int, stride: int, padding: int | tuple[int, int, int, int] | None, more: dict[str, Attribute]
    ) -> str:
        sizes = (kernel, kernel)
        pads = _pads(padding, sizes, 1)
        shape = (self.channels(x), *self._slid(x, sizes, stride, pads, 1))
        given = {"kernel_shape": sizes, "strides": (stride,) * 2, "pads": pads, **more}
        return self._add(op, [x], shape, self._name("pool"), given)

    def _slid(self, x: str, kernel: tuple[int, int], stride: int, pads: tuple[int, ...], dilation: int) -> tuple[int, ...]:
        sizes = self.shapes[x][1:]
        return tuple(
            (size + pads[axis] + pads[axis + 2] - dilation * (kernel[axis] - 1) - 1) // stride + 1 for axis, size in enumerate(sizes)
        )

    def _require_alike(self, one: str, other: str) -> None:
        if self.shapes[one] != self.shapes[other]:
            raise ValueError(f"'{one}' is {self.shapes[one]}, '{other}' is {self.shapes[other]}: they cannot be added")

    def _name(self, name: str) -> str:
        """The name within the scope; numbered from its second use on."""
        full = self._scope + name
        count = self._names.get(full, 0)
        self._names[full] = count + 1
        return f"{full}_{count}" if count else full

    def _blank(self, name: str, *shape: int) -> str:
        self._graph.initializer.append(TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT))
        return name

    def _repeated(self, value: float, count: int) -> str:
        """A vector of one number."""
        name = f"constant.{value}x{count}"
        if name not in self._names:
            self._names[name] = 1
            inputs = [self.constant(value), self.constant((count,))]
            self._graph.node.append(onnx.NodeProto(op_type="Expand", name=name, input=inputs, output=[name]))
        return name

    def _add(self, op: str, inputs: Sequence[str], shape: tuple[int, ...], name: str, attributes: dict[str, Attribute]) -> str:
        protos = [_attribute(key, value) for key, value in attributes.items()]
        self._graph.node.append(onnx.NodeProto(op_type=op, name=name, input=inputs, output=[name], attribute=protos))
        self.shapes[name] = shape
        return name


def _pads(padding: int | tuple[int, int, int, int] | None, kernel: tuple[int, int], dilation: int) -> tuple[int, ...]:
    if isinstance(padding, tuple):
        return padding
    return (padding,) * 4 if padding is not None else (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2) * 2


@lru_cache(maxsize=4096)
def _attribute(name: str, value: Attribute) -> AttributeProto:
    if isinstance(value, tuple):
        return AttributeProto(name=name, type=AttributeProto.INTS, ints=value)
    if isinstance(value, float):
        return AttributeProto(name=name, type=AttributeProto.FLOAT, f=value)
    return AttributeProto(name=name, type=AttributeProto.INT, i=value)
