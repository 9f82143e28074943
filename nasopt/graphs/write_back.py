"""Trained weights back into the graph that they came from, wherever it stores them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto
from onnx.helper import make_attribute, tensor_dtype_to_field, tensor_dtype_to_np_dtype
from onnx.numpy_helper import from_array, to_array

from nasopt.errors import InvalidEditError

__all__ = ["write_weights"]

Array = np.ndarray[Any, Any]


def write_weights(model: onnx.ModelProto, tensors: Mapping[str, Any]) -> onnx.ModelProto:
    """A copy of a model in which stored tensors hold other numbers.

    A tensor stays where it is: an initializer or the value of a Constant node, in the field that holds its numbers. The result of a
    ConstantOfShape node, which can hold one number only, becomes an initializer and the node goes; before IR version 4, where every
    initializer is an input as well, it becomes a Constant node. A tensor that holds what it held is left alone, as is everything else.

    Args:
        model: the model; it is not changed.
        tensors: arrays or torch tensors by ONNX name (`TorchNetwork.state_dict()`, say), of the types and shapes that are stored.

    Raises:
        InvalidEditError: the model stores no tensor of a name, or one of another type or shape.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    initializers = {tensor.name: tensor for tensor in result.graph.initializer}
    nodes = {node.output[0]: node for node in result.graph.node if node.op_type in ("Constant", "ConstantOfShape") and node.output}
    gone = set()
    for name, given in tensors.items():
        array = _array(given)
        if name in initializers:
            _overwrite(name, initializers[name], array)
        elif name not in nodes:
            raise InvalidEditError(f"the model stores no tensor '{name}'")
        elif nodes[name].op_type == "Constant":
            _overwrite_constant(name, nodes[name], array)
        elif _overwrite_fill(result, name, nodes, initializers, array):
            gone.add(name)
    if gone:
        kept = [node for node in result.graph.node if not (node.op_type == "ConstantOfShape" and node.output[0] in gone)]
        del result.graph.node[:]
        result.graph.node.extend(kept)
    return result


def _array(given: Any) -> Array:
    """A torch tensor is recognised by what it can do, so that torch need not be there."""
    return np.asarray(given.detach().cpu().numpy() if hasattr(given, "detach") else given)


def _require(name: str, array: Array, dtype: int, shape: tuple[int, ...]) -> None:
    stored = tensor_dtype_to_np_dtype(dtype)
    if array.dtype != stored or array.shape != shape:
        raise InvalidEditError(f"'{name}' is stored as {_spell(stored, shape)} and was given as {_spell(array.dtype, array.shape)}")


def _spell(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    return f"{dtype} {'x'.join(map(str, shape)) or 'scalar'}"


def _same(a: Array, b: Array) -> bool:
    """To the bit: a NaN is itself, and 0 is not −0."""
    return a.tobytes() == b.tobytes()


def _overwrite(name: str, tensor: TensorProto, array: Array) -> None:
    _require(name, array, tensor.data_type, tuple(tensor.dims))
    if _same(array, to_array(tensor)):
        return
    if tensor.HasField("raw_data"):
        tensor.raw_data = from_array(array).raw_data
    else:
        field = tensor_dtype_to_field(tensor.data_type)
        tensor.ClearField(field)
        getattr(tensor, field).extend(array.reshape(-1).tolist())


def _overwrite_constant(name: str, node: NodeProto, array: Array) -> None:
    attribute: AttributeProto = node.attribute[0]
    if attribute.name == "value":
        _overwrite(name, attribute.t, array)
        return
    numbers = attribute.name.endswith("s")
    if not attribute.name.startswith(("value_float", "value_int")):
        raise InvalidEditError(f"'{name}' is stored as {attribute.name}, which holds no plain numbers")
    kind = TensorProto.FLOAT if attribute.name.startswith("value_float") else TensorProto.INT64
    _require(name, array, kind, (len(attribute.floats) + len(attribute.ints),) if numbers else ())
    attribute.CopyFrom(make_attribute(attribute.name, array.tolist(), doc_string=attribute.doc_string, attr_type=attribute.type))


def _overwrite_fill(
    model: onnx.ModelProto, name: str, nodes: Mapping[str, NodeProto], initializers: Mapping[str, TensorProto], array: Array
) -> bool:
    """Whether the node that filled the tensor has to go."""
    node = nodes[name]
    sizes = _stored_sizes(node.input[0], nodes, initializers)
    if sizes is None:
        raise InvalidEditError(f"'{name}' is filled by '{node.name}' with a shape that is computed; only stored tensors can be written")
    value = next((to_array(attribute.t) for attribute in node.attribute if attribute.name == "value"), np.zeros(1, np.float32))
    _require(name, array, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), sizes)
    if math.prod(sizes) and _same(array, np.full(sizes, value.reshape(-1)[0], value.dtype)):
        return False
    tensor = from_array(array, name)
    if model.ir_version >= 4:
        model.graph.initializer.append(tensor)
        return True
    node.op_type = "Constant"
    del node.input[:], node.attribute[:]
    node.attribute.append(make_attribute("value", tensor))
    return False


def _stored_sizes(name: str, nodes: Mapping[str, NodeProto], initializers: Mapping[str, TensorProto]) -> tuple[int, ...] | None:
    if name in initializers:
        numbers = to_array(initializers[name])
    elif name in nodes and nodes[name].op_type == "Constant":
        attribute = nodes[name].attribute[0]
        numbers = to_array(attribute.t) if attribute.name == "value" else np.array(list(attribute.ints), np.int64)
    else:
        return None
    return tuple(int(n) for n in numbers.reshape(-1))
