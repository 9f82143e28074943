"""Writes ONNX graphs node by node in any opset from 7 on: the same call gives the form that the opset asks for."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NEWEST = 26  # opsets above need an IR version that released ONNX Runtimes refuse


T = TypeVar("T")


@dataclass(frozen=True)
class Value:
    """A tensor in NCHW: its name and shape. `shape[0]` is the batch of the example, even where the model leaves it open."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.shape[1]

    @property
    def size(self) -> tuple[int, ...]:
        return self.shape[2:]


class Builder:
    def __init__(self, rng: random.Random, opset: int, *, batch: int, dynamic: bool, old_ir: bool) -> None:
        self.rng, self.opset, self.batch, self.dynamic, self.old_ir = rng, opset, batch, dynamic, old_ir
        self.numbers = np.random.default_rng(rng.randrange(2**32))
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.inline = rng.random() < 0.2  # all weights as Constant nodes
        self.count = 0

    # -- choices

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        return options[self.rng.randrange(len(options))]

    # -- names, nodes, constants

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def node(self, op: str, inputs: Sequence[str], count: int = 1, **attributes: object) -> list[str]:
        names = [self.fresh(op.lower()) for _ in range(count)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op, list(inputs), names, name=self.fresh("n"), **given))
        return names

    def const(self, array: np.ndarray, stem: str = "w") -> str:
        """A constant: an initializer or, in some networks and at random for small integers, a Constant node."""
        name = self.fresh(stem)
        small = array.dtype == np.int64 and self.chance(0.5)
        floats_only = self.opset < 9 and array.dtype != np.float32
        if (self.inline or small) and not floats_only:
            tensor = numpy_helper.from_array(array, name + "_value")
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor, name=self.fresh("n")))
        else:
            self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(np.array(values, np.int64), "i")

    def weight(self, *shape: int, fan: int | None = None) -> str:
        """Normal weights scaled by the fan-in; one in thirty comes out of a ConstantOfShape node."""
        fan = fan or max(1, math.prod(shape[1:]))
        if self.opset >= 9 and self.chance(1 / 30):
            fill = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.7 / fan])
            return self.node("ConstantOfShape", [self.ints(*shape)], value=fill)[0]
        scale = self.numbers.uniform(0.3, 1.7, (shape[0],) + (1,) * (len(shape) - 1))
        return self.const((self.numbers.standard_normal(shape) * scale * math.sqrt(2 / fan)).astype(np.float32))

    def vector(self, *shape: int, mean: float = 0.0, spread: float = 0.2) -> str:
        return self.const((mean + spread * self.numbers.standard_normal(shape)).astype(np.float32), "v")

    def positive(self, *shape: int) -> str:
        return self.const(self.numbers.uniform(0.4, 1.6, shape).astype(np.float32), "v")

    def scalar(self, value: float) -> str:
        return self.const(np.array(value, np.float32), "s")

    # -- the interface

    def input(self, name: str, channels: int, size: tuple[int, int]) -> Value:
        shape = (self.batch, channels, *size)
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, self._declared(shape)))
        return Value(name, shape)

    def expose(self, value: Value) -> None:
        """An inner tensor as an output itself, under its own name."""
        if value.name not in {o.name for o in self.outputs} | {i.name for i in self.inputs}:
            self.outputs.append(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, self._declared(value.shape)))

    def output(self, value: Value) -> None:
        """An output behind an Identity. Not for tensors that are read on: ONNX Runtime 1.32 breaks Identity beside Pad and Conv."""
        name = f"output{len(self.outputs)}"
        self.nodes.append(helper.make_node("Identity", [value.name], [name], name=self.fresh("n")))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, self._declared(value.shape)))

    def _declared(self, shape: tuple[int, ...]) -> list[int | str]:
        return ["N" if self.dynamic else shape[0], *shape[1:]]

    def model(self) -> onnx.ModelProto:
        inputs = list(self.inputs)
        if self.old_ir:
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in self.initializers]
        graph = helper.make_graph(self.nodes, "generated", inputs, self.outputs, self.initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        ir = 3 if self.old_ir else max(4, helper.find_min_ir_version_for(opsets))
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir, producer_name="nasopt-tests")

    # -- operators whose form depends on the opset

    def simple(self, op: str, x: Value, *more: str, shape: tuple[int, ...] | None = None, **attributes: object) -> Value:
        return Value(self.node(op, [x.name, *more], **attributes)[0], shape or x.shape)

    def axes(self, op: str, x: str, axes: list[int], since: int, **attributes: object) -> str:
        if self.opset >= since:
            return self.node(op, [x, self.ints(*axes)], **attributes)[0]
        return self.node(op, [x], axes=axes, **attributes)[0]

    def reduce_mean(self, x: str, axes: list[int], *, keepdims: bool) -> str:
        return self.axes("ReduceMean", x, axes, 18, keepdims=int(keepdims))

    def squeeze(self, x: str, axes: list[int]) -> str:
        return self.axes("Squeeze", x, axes, 13)

    def unsqueeze(self, x: str, axes: list[int]) -> str:
        return self.axes("Unsqueeze", x, axes, 13)

    def slice(self, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
        if self.opset < 10:
            assert step == 1
            return self.node("Slice", [x], axes=[axis], starts=[start], ends=[end])[0]
        extra = [] if step == 1 and self.chance(0.5) else [self.ints(step)]
        return self.node("Slice", [x, self.ints(start), self.ints(end), self.ints(axis), *extra])[0]

    def split(self, x: Value, sizes: list[int]) -> list[Value]:
        even = len(set(sizes)) == 1
        if even and self.chance(0.5):
            names = self.node("Split", [x.name], len(sizes), axis=1, num_outputs=len(sizes) if self.opset >= 18 else None)
        elif self.opset >= 13:
            names = self.node("Split", [x.name, self.ints(*sizes)], len(sizes), axis=1)
        else:
            names = self.node("Split", [x.name], len(sizes), axis=1, split=sizes)
        return [Value(name, (x.shape[0], size, *x.size)) for name, size in zip(names, sizes, strict=True)]

    def pad(self, x: Value, before: tuple[int, int, int], after: tuple[int, int, int], mode: str = "constant") -> Value:
        """Amounts for channels, height and width."""
        pads = [0, *before, 0, *after]
        shape = (x.shape[0], *(d + a + b for d, a, b in zip(x.shape[1:], before, after, strict=True)))
        if self.opset < 11:
            return self.simple("Pad", x, shape=shape, pads=pads, mode=mode)
        value = [self.scalar(0.0)] if mode == "constant" and self.chance(0.5) else []
        return self.simple("Pad", x, self.ints(*pads), *value, shape=shape, mode=mode)

    def clip(self, x: Value, low: float, high: float) -> Value:
        if self.opset < 11:
            return self.simple("Clip", x, min=low, max=high)
        return self.simple("Clip", x, self.scalar(low), self.scalar(high))

    def upscale(self, x: Value) -> Value:
        """Twice the height and width."""
        shape = (*x.shape[:2], *(2 * d for d in x.size))
        scales = np.array([1, 1, 2, 2], np.float32)
        mode = self.pick(["nearest", "linear"])
        if self.opset < 9:
            return self.simple("Upsample", x, shape=shape, scales=scales.tolist(), mode=mode)
        if self.opset < 11:
            return self.simple("Upsample" if self.opset < 10 else "Resize", x, self.const(scales), shape=shape, mode=mode)
        modes: dict[str, object] = {"mode": mode}
        if mode == "nearest":
            modes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        roi = "" if self.opset >= 13 else self.const(np.zeros(0, np.float32))
        if not self.dynamic and self.chance(0.4):
            empty = "" if self.opset >= 13 else self.const(np.zeros(0, np.float32))
            return self.simple("Resize", x, roi, empty, self.ints(*shape), shape=shape, **modes)
        return self.simple("Resize", x, roi, self.const(scales), shape=shape, **modes)

    def reshape(self, x: Value, *tail: int) -> str:
        """To (batch, *tail), the batch copied by a zero."""
        return self.node("Reshape", [x.name, self.ints(0, *tail)])[0]
