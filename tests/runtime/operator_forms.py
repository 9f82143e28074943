"""Nodes to compare runtimes on: every operator in the forms that the opsets ask for, a family a generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    return rng.uniform(0.2, 0.9, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.int64 if isinstance(value, int) else np.float32)


@dataclass
class Form:
    """One node: its operands (None: left out), how many of them are fed rather than stored, and its attributes."""

    op: str
    inputs: Sequence[np.ndarray | None]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 18
    outputs: int = 1
    fed: int = 1

    def __str__(self) -> str:
        said = "-".join(f"{name}={value}" for name, value in self.attrs.items())
        return f"{self.op}-{self.opset}-{'x'.join(map(str, np.shape(self.inputs[0]))) if self.inputs else ''}-{said}".replace(" ", "")

    def model(self) -> onnx.ModelProto:
        names = ["" if value is None else f"x{place}" for place, value in enumerate(self.inputs)]
        given = [(name, value) for name, value in zip(names, self.inputs, strict=True) if value is not None]
        results = [f"y{place}" for place in range(self.outputs)]
        node = helper.make_node(self.op, names, results, name="n", **self.attrs)
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in given[: self.fed]
        ]
        stored = [numpy_helper.from_array(value, name) for name, value in given[self.fed :]]
        outputs = [helper.make_empty_tensor_value_info(name) for name in results]
        graph = helper.make_graph([node], "one", inputs, outputs, stored)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        inferred = onnx.shape_inference.infer_shapes(made, data_prop=True)
        for value, found in zip(made.graph.output, inferred.graph.output, strict=True):
            value.CopyFrom(found)
            if not value.type.tensor_type.HasField("shape"):  # onnx infers nothing for operators that it defines by others
                value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, np.shape(self.inputs[0])))
        return made

    def feed(self) -> dict[str, np.ndarray]:
        return {f"x{place}": value for place, value in enumerate(self.inputs) if value is not None and place < self.fed}


def convolutions() -> Iterator[Form]:
    x = normal(2, 4, 9, 8)
    for attrs in (
        {"pads": [1, 1, 1, 1]},
        {"pads": [0, 1, 2, 3], "strides": [2, 3]},
        {"dilations": [2, 2], "pads": [2, 2, 2, 2], "group": 2},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
        {"auto_pad": "VALID", "kernel_shape": [3, 3]},
    ):
        yield Form("Conv", [x, normal(6, 4 // attrs.get("group", 1), 3, 3), normal(6)], attrs, opset=11)  # type: ignore[operator, call-overload]
    yield Form("Conv", [x, normal(8, 1, 3, 3)], {"group": 4}, opset=7)
    yield Form("Conv", [normal(2, 3, 10), normal(4, 3, 4)], {"auto_pad": "SAME_LOWER"})
    yield Form("Conv", [normal(1, 2, 5, 6, 7), normal(3, 2, 2, 3, 3), normal(3)], {"pads": [1, 0, 1, 0, 1, 1]})
    y = normal(1, 4, 5, 6)
    for attrs in (
        {},
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
        {"strides": [2, 3], "pads": [0, 1, 1, 0], "group": 2},
        {"strides": [2, 2], "output_shape": [11, 12]},
        {"strides": [2, 2], "output_shape": [9, 13]},
        {"strides": [2, 2], "output_shape": [9, 13], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
        {"strides": [2, 2], "dilations": [2, 1], "output_padding": [1, 0], "pads": [1, 0, 0, 0]},
    ):
        yield Form("ConvTranspose", [y, normal(4, 3, 3, 3), normal(3 * attrs.get("group", 1))], attrs, opset=11)  # type: ignore[operator, call-overload]
    yield Form("ConvTranspose", [normal(1, 2, 5), normal(2, 3, 4)], {"strides": [3], "output_padding": [2]})


def pools() -> Iterator[Form]:
    x = normal(2, 3, 9, 8)
    shapes: list[dict[str, Any]] = [
        {},
        {"strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"strides": [2, 3], "pads": [0, 1, 2, 1]},
        {"strides": [2, 2], "ceil_mode": 1},
        {"strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID"},
    ]
    for attrs in shapes:
        yield Form("MaxPool", [x], {"kernel_shape": [3, 3], **attrs}, opset=12)
        yield Form("AveragePool", [x], {"kernel_shape": [3, 3], **attrs}, opset=11)
        yield Form("AveragePool", [x], {"kernel_shape": [3, 3], "count_include_pad": 1, **attrs}, opset=19)
        if "ceil_mode" not in attrs:
            yield Form("LpPool", [x], {"kernel_shape": [3, 3], "p": 3, **attrs}, opset=11)
    yield Form("MaxPool", [x], {"kernel_shape": [2, 2], "dilations": [2, 2]}, opset=12)
    yield Form("MaxPool", [x], {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}, opset=12, outputs=2)
    yield Form("MaxPool", [x], {"kernel_shape": [2, 2], "storage_order": 1}, opset=12, outputs=2)
    yield Form("MaxPool", [(10 * x).astype(np.int8)], {"kernel_shape": [2, 2]}, opset=12)
    yield Form("MaxPool", [normal(1, 2, 7)], {"kernel_shape": [3]}, opset=8)
    yield Form("AveragePool", [x], {"kernel_shape": [2, 2], "dilations": [2, 3]}, opset=19)
    yield Form("AveragePool", [normal(1, 2, 5, 6, 7)], {"kernel_shape": [2, 2, 2], "pads": [1, 0, 0, 0, 1, 1]}, opset=10)
    for op in ("GlobalAveragePool", "GlobalMaxPool"):
        yield Form(op, [x])
    yield Form("GlobalLpPool", [x], {"p": 1})


def elementwise() -> Iterator[Form]:
    x = 2 * normal(3, 4)
    for op in """Abs Atan Asinh Ceil Cos Cosh Elu Erf Exp Floor HardSigmoid HardSwish Identity IsNaN LeakyRelu Mish Neg
        Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Tan Tanh ThresholdedRelu Celu""".split():
        yield Form(op, [x], opset=18)
    for op in "Acos Asin Atanh Log Sqrt".split():
        yield Form(op, [positive(3, 4)])
    yield Form("Acosh", [1 + positive(3, 4)])
    for op in "Abs Cos Exp LeakyRelu Neg Relu Sigmoid Softplus Tanh".split():
        yield Form(op, [x], opset=7)
    yield Form("Elu", [x], {"alpha": 0.7})
    yield Form("Celu", [x], {"alpha": 0.7})
    yield Form("Selu", [x], {"alpha": 1.2, "gamma": 2.0})
    yield Form("LeakyRelu", [x], {"alpha": 0.3})
    yield Form("HardSigmoid", [x], {"alpha": 0.3, "beta": 0.4})
    yield Form("ThresholdedRelu", [x], {"alpha": 0.4})
    yield Form("Shrink", [x], {"lambd": 0.6, "bias": 0.3})
    yield Form("Gelu", [x], opset=20)
    yield Form("Gelu", [x], {"approximate": "tanh"}, opset=20)
    yield Form("Swish", [x], {"alpha": 1.5}, opset=24)
    yield Form("IsInf", [np.array([1, np.inf, -np.inf], np.float32)], {"detect_negative": 0}, opset=10)
    yield Form("Round", [floats(0.5, 1.5, 2.5, -0.5)], opset=11)
    yield Form("Clip", [x], {"min": -0.5, "max": 1.0}, opset=7)
    yield Form("Clip", [x], {"max": 1.0}, opset=10)
    yield Form("Clip", [x, scalar(-0.5), None], opset=11)
    yield Form("Clip", [x, None, scalar(0.5)], opset=13)
    yield Form("PRelu", [normal(2, 3, 4, 4), normal(3, 1, 1)], opset=9)
    yield Form("PRelu", [normal(2, 3, 4, 4), normal(1)], opset=16)
    yield Form("Dropout", [x], opset=7)
    yield Form("Dropout", [x, scalar(0.3)], opset=13, outputs=2)
    for op in "Add Sub Mul Div Pow Max Min Sum Mean".split():
        yield Form(op, [1 + positive(2, 3, 4), normal(3, 1)], opset=8)
    for op in "Max Min Sum Mean".split():
        yield Form(op, [normal(2, 3), normal(1, 3), normal(2, 1)], opset=13)
    for op in "Equal Greater Less".split():
        yield Form(op, [ints(1, 2, 3, -4), ints(3, 2, 1, -5)], opset=11)
    for op in "GreaterOrEqual LessOrEqual".split():
        yield Form(op, [normal(4), normal(4)], opset=16)
    for op in "And Or Xor".split():
        yield Form(op, [np.array([[True], [False]]), np.array([True, False])])
    yield Form("Not", [np.array([True, False])])
    yield Form("Div", [ints(7, -7, 7, -7), ints(2, 2, -2, -2)], opset=14)
    yield Form("Mod", [ints(7, -7, 7, -7), ints(3, 3, -3, -3)], opset=13)
    yield Form("Mod", [normal(5), positive(5)], {"fmod": 1}, opset=13)
    yield Form("Pow", [ints(2, 3, 4), floats(2, 0.5, 1)], opset=13)
    yield Form("Where", [np.array([True, False, True]), normal(2, 3), normal(1)])
    yield Form("BitShift", [np.array([1, 255], np.uint8), np.array([3, 2], np.uint8)], {"direction": "LEFT"}, opset=11)
    yield Form("BitShift", [np.array([9, 2**62], np.uint64), np.array([1, 2], np.uint64)], {"direction": "RIGHT"})
    for op in "BitwiseAnd BitwiseOr BitwiseXor".split():
        yield Form(op, [np.array([5, 12], np.int32), np.array([3, 10], np.int32)])
    yield Form("BitwiseNot", [np.array([5, 12], np.int32)])
    for kind in (TensorProto.INT64, TensorProto.BOOL, TensorProto.DOUBLE, TensorProto.INT32):
        yield Form("Cast", [x], {"to": kind}, opset=13)
    yield Form("CastLike", [x, ints(1)], opset=15)
    yield Form("Trilu", [normal(2, 4, 5)], opset=14)
    yield Form("Trilu", [normal(4, 5), scalar(-1)], {"upper": 0}, opset=14)
    for op in "Softmax LogSoftmax Hardmax".split():
        for opset, axis in ((7, None), (11, 2), (11, -1), (13, None), (13, 1)):
            yield Form(op, [normal(2, 3, 4)], {} if axis is None else {"axis": axis}, opset=opset)


def matrices() -> Iterator[Form]:
    yield Form("Gemm", [normal(3, 4), normal(4, 5), normal(5)], opset=7)
    yield Form("Gemm", [normal(4, 3), normal(5, 4), normal(3, 1)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}, opset=11)
    yield Form("Gemm", [normal(3, 4), normal(5, 4)], {"transB": 1, "alpha": 0.5}, opset=13)
    yield Form("Gemm", [normal(3, 4), normal(4, 5), scalar(0.5)], opset=13)
    for a, b in (((4,), (4,)), ((3, 4), (4,)), ((4,), (2, 4, 3)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 2))):
        yield Form("MatMul", [normal(*a), normal(*b)], opset=13)
    yield Form("Einsum", [normal(2, 3, 4), normal(2, 4, 5)], {"equation": "b i j, b j k -> b i k"}, opset=12)
    yield Form("Einsum", [normal(3, 3)], {"equation": "ii->i"}, opset=12)
    q, k, v = normal(2, 4, 3, 8), normal(2, 4, 5, 8), normal(2, 4, 5, 6)
    yield Form("Attention", [q, k, v], opset=23)
    yield Form("Attention", [q, k[:, :2], v[:, :2], normal(3, 5)], {"scale": 0.3}, opset=23)
    yield Form("Attention", [q, k, v, rng.random((2, 1, 3, 5)) < 0.8], {"softcap": 2.0}, opset=23)
    yield Form("Attention", [q, q, q], {"is_causal": 1}, opset=23)
    yield Form("Attention", [normal(2, 3, 32), normal(2, 5, 16), normal(2, 5, 16)], {"q_num_heads": 4, "kv_num_heads": 2}, opset=23)
    yield Form("Attention", [q, k, v, None, normal(2, 4, 2, 8), normal(2, 4, 2, 6)], opset=23, outputs=3)


def norms() -> Iterator[Form]:
    x = normal(2, 6, 4, 5)
    for opset in (7, 9, 14, 15):
        yield Form("BatchNormalization", [x, normal(6), normal(6), normal(6), positive(6)], {"epsilon": 1e-3}, opset=opset)
    yield Form("InstanceNormalization", [x, normal(6), normal(6)], {"epsilon": 1e-3}, opset=7)
    yield Form("InstanceNormalization", [normal(2, 3, 7), normal(3), normal(3)])
    yield Form("GroupNormalization", [x, normal(6), normal(6)], {"num_groups": 3}, opset=21)
    yield Form("LayerNormalization", [x, normal(5), normal(5)], opset=17)
    yield Form("LayerNormalization", [x, normal(4, 5)], {"axis": 2, "epsilon": 1e-3}, opset=17)
    yield Form("LayerNormalization", [x, normal(5), normal(5)], opset=17, outputs=3)
    yield Form("RMSNormalization", [x, normal(4, 5)], {"axis": -2}, opset=23)
    yield Form("MeanVarianceNormalization", [x], opset=13)
    for size in (1, 3, 5):
        yield Form("LRN", [x], {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}, opset=7)
    for order in (1, 2):
        yield Form("LpNormalization", [x], {"p": order, "axis": 1})
    yield Form("LpNormalization", [np.zeros((2, 3), np.float32)])


def reductions() -> Iterator[Form]:
    x = normal(2, 3, 4)
    names = "ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare ReduceLogSum ReduceLogSumExp"
    for op in names.split():
        data = positive(2, 3, 4) if op == "ReduceLogSum" else x
        yield Form(op, [data], {"axes": [1, -1]}, opset=11)
        yield Form(op, [data], {"keepdims": 0}, opset=7)
        yield Form(op, [data, ints(0, 2)], {"keepdims": 0}, opset=18)
        yield Form(op, [data], {"keepdims": 1}, opset=18)
    yield Form("ReduceSum", [x, ints(1)], opset=13)
    yield Form("ReduceSum", [x], {"noop_with_empty_axes": 1}, opset=13)
    yield Form("ReduceMean", [ints(1, 2, 5).astype(np.int32)], {"axes": [0]}, opset=13)
    yield Form("ReduceMax", [np.array([[True, False], [False, False]])], {"keepdims": 0}, opset=20)
    ties = np.array([[1, 3, 3], [2, 2, 0]], np.float32)
    for op in ("ArgMax", "ArgMin"):
        yield Form(op, [ties], {"axis": 1}, opset=11)
        yield Form(op, [ties], {"axis": -1, "keepdims": 0, "select_last_index": 1}, opset=12)
    yield Form("TopK", [normal(3, 6)], {"k": 2}, opset=7, outputs=2)
    yield Form("TopK", [ties, ints(2)], {"axis": 1, "largest": 0}, opset=11, outputs=2)
    for attrs in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}):
        yield Form("CumSum", [x, scalar(1)], attrs, opset=14)
    yield Form("NonZero", [np.array([[0, 1], [2, 0]], np.float32)])


def selections() -> Iterator[Form]:
    x = normal(2, 5, 6)
    yield Form("Concat", [x, normal(2, 1, 6), normal(2, 2, 6)], {"axis": -2}, fed=2)
    yield Form("Split", [x], {"axis": 1, "split": [2, 3]}, opset=11, outputs=2)
    yield Form("Split", [x], {"axis": 2}, opset=11, outputs=3)
    yield Form("Split", [x, ints(1, 4)], {"axis": 1}, opset=13, outputs=2)
    yield Form("Split", [x], {"axis": 1, "num_outputs": 2}, opset=18, outputs=2)
    yield Form("Slice", [x], {"starts": [1, -3], "ends": [9, -1], "axes": [1, 2]}, opset=9)
    yield Form("Slice", [x], {"starts": [0, 1], "ends": [1, 4]}, opset=7)
    yield Form("Slice", [x, ints(-1, 0), ints(-(2**62), 6), ints(1, 2), ints(-2, 3)], opset=10)
    yield Form("Slice", [x, ints(4), ints(1), ints(-1), ints(-1)], opset=13)
    yield Form("Slice", [x, ints(3), ints(1), ints(1)], opset=13)
    yield Form("Gather", [x, ints(0, -1, 2)], {"axis": 1}, opset=11)
    yield Form("Gather", [x, scalar(-2)], {"axis": 2}, opset=13)
    yield Form("Gather", [x, np.array([[0, 1], [1, 0]], np.int32)], opset=7)
    yield Form("GatherElements", [x, rng.integers(-5, 5, (2, 3, 6))], {"axis": 1}, opset=13)
    yield Form("GatherND", [x, np.array([[0, 1], [1, -1]])], opset=12)
    yield Form("GatherND", [x, np.array([[0], [-1]])], {"batch_dims": 1}, opset=12)
    yield Form("Scatter", [x, ints(0, 1).reshape(1, 2, 1), normal(1, 2, 1)], {"axis": 1}, opset=9)
    yield Form("ScatterElements", [x, ints(0, -1).reshape(1, 2, 1), normal(1, 2, 1)], {"axis": 1}, opset=11)
    yield Form("ScatterElements", [x, ints(1, 1).reshape(1, 2, 1), normal(1, 2, 1)], {"axis": 1, "reduction": "add"}, opset=16)
    yield Form("ScatterND", [x, np.array([[0, 1], [1, -1]]), normal(2, 6)], opset=11)
    yield Form("ScatterND", [x, np.array([[0, 1], [0, 1]]), normal(2, 6)], {"reduction": "add"}, opset=16)
    yield Form("OneHot", [ints(0, 2, -1), ints(3), floats(-1, 2)], {"axis": 0}, opset=11)
    yield Form("Compress", [x, np.array([False, True, True])], {"axis": 1}, opset=11)
    yield Form("Compress", [x, np.array([False, True, True])], opset=11)
    yield Form("Pad", [x], {"pads": [0, 1, 0, 1, 0, 2], "value": 0.5}, opset=7)
    for mode in ("constant", "reflect", "edge"):
        yield Form("Pad", [x, ints(0, 2, 1, 1, 0, 3)], {"mode": mode}, opset=13)
        yield Form("Pad", [x, ints(2, 1), None, ints(-1)], {"mode": mode}, opset=18)
    yield Form("Pad", [x, ints(0, -1, 2, 0, 1, -2), scalar(3.0)], opset=11)
    yield Form("Pad", [x, ints(0, 2, 1, 0, 1, 3)], {"mode": "wrap"}, opset=19)
    yield Form("Shape", [x], opset=13)
    yield Form("Shape", [x], {"start": 1, "end": -1}, opset=15)
    yield Form("Size", [x])
    value = helper.make_tensor("value", TensorProto.INT32, [1], [7])
    yield Form("ConstantOfShape", [ints(2, 3)], {"value": value}, opset=9)
    yield Form("ConstantOfShape", [ints(4)], opset=20)
    yield Form("Range", [scalar(1), scalar(10), scalar(4)], opset=11, fed=3)
    yield Form("Range", [scalar(1.0), scalar(-1.0), scalar(-0.3)], opset=11, fed=3)
    yield Form("EyeLike", [normal(3, 4)], {"k": 1}, opset=9)


def views() -> Iterator[Form]:
    x = normal(2, 1, 8, 4)
    yield Form("Reshape", [x, ints(0, -1, 4)], opset=7)
    yield Form("Reshape", [np.zeros((0, 3), np.float32), ints(3, 0)], {"allowzero": 1}, opset=14, fed=0)
    for axis in (0, 1, -1, 4):
        yield Form("Flatten", [x], {"axis": axis}, opset=11)
    yield Form("Squeeze", [x], {"axes": [1]}, opset=11)
    yield Form("Squeeze", [x, ints(-3)], opset=13)
    yield Form("Squeeze", [x], opset=13)
    yield Form("Unsqueeze", [x], {"axes": [0, 3]}, opset=7)
    yield Form("Unsqueeze", [x, ints(-1, 1)], opset=13)
    yield Form("Transpose", [x])
    yield Form("Transpose", [x], {"perm": [0, 2, 3, 1]})
    yield Form("Expand", [x, ints(3, 1, 1, 5, 1, 1)[2:]], opset=8)
    yield Form("Expand", [normal(3, 1), ints(2, 1, 4)], opset=13)
    yield Form("Tile", [x, ints(1, 2, 1, 3)], opset=13)
    y = normal(2, 8, 4, 6)
    yield Form("DepthToSpace", [y], {"blocksize": 2}, opset=7)
    yield Form("DepthToSpace", [y], {"blocksize": 2, "mode": "CRD"}, opset=11)
    yield Form("SpaceToDepth", [y], {"blocksize": 2})


def resizes() -> Iterator[Form]:
    x = normal(1, 2, 5, 6)
    for mode in ("nearest", "linear"):
        yield Form("Upsample", [x], {"mode": mode, "scales": [1.0, 1.0, 2.0, 1.5]}, opset=7)
        yield Form("Upsample", [x, floats(1, 1, 2, 3)], {"mode": mode}, opset=9)
        yield Form("Resize", [x, floats(1, 1, 0.6, 1.7)], {"mode": mode}, opset=10)
    sizes, scales = [x, None, None, ints(1, 2, 8, 4)], [x, None, floats(1, 1, 1.7, 0.6)]
    old = [x, floats(), floats(), ints(1, 2, 8, 4)]  # opset 11 does not let operands be left out
    for how in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        for mode in ("nearest", "linear", "cubic"):
            for operands in (sizes, scales):
                yield Form("Resize", operands, {"mode": mode, "coordinate_transformation_mode": how}, opset=13)
    for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        for how in ("half_pixel", "asymmetric", "align_corners"):
            yield Form("Resize", old, {"nearest_mode": rounding, "coordinate_transformation_mode": how}, opset=11)
    yield Form("Resize", old, {"coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"}, opset=11)
    yield Form("Resize", scales, {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}, opset=19)
    yield Form("Resize", sizes, {"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -0.5}, opset=18)
    crop = {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": "linear", "extrapolation_value": 3.0}
    yield Form("Resize", [x, floats(0, 0, 0.2, -0.3, 1, 1, 0.8, 1.2), None, ints(1, 2, 7, 8)], crop, opset=13)
    yield Form("Resize", [x, None, None, ints(9, 7)], {"mode": "linear", "axes": [2, 3]}, opset=18)
    for policy in ("not_larger", "not_smaller"):
        yield Form("Resize", [x, None, None, ints(9, 7)], {"axes": [2, 3], "keep_aspect_ratio_policy": policy}, opset=18)
    grid = rng.uniform(-1.2, 1.2, (1, 3, 4, 2)).astype(np.float32)
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for align in (0, 1):
                yield Form("GridSample", [x, grid], {"mode": mode, "padding_mode": padding, "align_corners": align}, opset=16)
    yield Form("GridSample", [x, grid], {"mode": "linear"}, opset=20)
    yield Form("AffineGrid", [normal(2, 2, 3), ints(2, 3, 4, 5)], {"align_corners": 1}, opset=20)


def recurrences() -> Iterator[Form]:
    x = normal(5, 2, 3)
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        last = 3 if op == "LSTM" else 2
        for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            operands = [x, normal(count, gates * 4, 3), normal(count, gates * 4, 4), normal(count, 2 * gates * 4)]
            yield Form(op, operands, {"direction": direction, "hidden_size": 4}, opset=14, outputs=last)
        yield Form(op, operands[:3], {"direction": "bidirectional", "hidden_size": 4}, opset=7, outputs=last)
        states = [normal(2, 2, 4)] * (last - 1)
        yield Form(op, [*operands, None, *states], {"direction": "bidirectional", "hidden_size": 4}, opset=14, outputs=last)
    yield Form("GRU", [x, normal(1, 12, 3), normal(1, 12, 4), normal(1, 24)], {"hidden_size": 4, "linear_before_reset": 1}, opset=14)
    peek = [normal(1, 2, 4), normal(1, 2, 4), normal(1, 12)]
    yield Form("LSTM", [x, normal(1, 16, 3), normal(1, 16, 4), normal(1, 32), None, *peek], {"hidden_size": 4}, opset=14, outputs=3)
    yield Form("RNN", [x, normal(1, 4, 3), normal(1, 4, 4)], {"hidden_size": 4, "activations": ["Relu"]}, opset=14)


FAMILIES = (convolutions, pools, elementwise, matrices, norms, reductions, selections, views, resizes, recurrences)
FORMS = [form for family in FAMILIES for form in family()]
