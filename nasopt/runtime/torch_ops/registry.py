"""How PyTorch runs an operator, and the table of all of them.

The sister of `nasopt.graphs.ops`: the same names, but in a room that may import torch. tests/runtime/test_torch_ops.py holds the two
tables together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from onnx import TensorProto
from torch import Tensor

from nasopt.graphs.graph import Node

__all__ = ["EXECUTORS", "TORCH_TYPES", "Call", "Executor", "executor", "plain"]

Result = Tensor | Sequence[Tensor | None] | list[Tensor]
"""One output, a tuple of outputs (None for one that nobody reads), or a list, which is an ONNX sequence."""

TORCH_TYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.BOOL: torch.bool,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
}


@dataclass(slots=True)
class Call:
    """What an executor knows of its node besides the tensors.

    Attributes:
        node: the node.
        opset: version of the default domain.
        training: whether the network is in training mode, kept up to date by `TorchNetwork.train`.
    """

    node: Node
    opset: int
    training: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default` where the node does not set it."""
        return self.node.attrs.get(name, default)

    def wants(self, slot: int) -> bool:
        """Whether somebody may read an optional output."""
        return slot < len(self.node.outputs) and bool(self.node.outputs[slot])

    def ints(self, name: str, given: Tensor | None = None) -> list[int] | None:
        """Integers that older opsets carry as an attribute and newer ones as an input; None where they are left out."""
        if given is not None:
            return [int(number) for number in given.reshape(-1).tolist()]
        value = self.get(name)
        return None if value is None else [int(number) for number in value]


def runs_all(_call: Call) -> str:
    """Operators that run whatever their attributes say."""
    return ""


@dataclass(frozen=True, slots=True)
class Executor:
    """An operator of the default domain.

    Attributes:
        run: the function: a `Call`, then one tensor an input, None for an optional input left out.
        refuses: what is not supported in a node, in a few words; empty where it runs.
    """

    run: Callable[..., Result]
    refuses: Callable[[Call], str] = runs_all


EXECUTORS: dict[str, Executor] = {}

Function = TypeVar("Function", bound=Callable[..., Any])


def executor(*names: str, refuses: Callable[[Call], str] = runs_all) -> Callable[[Function], Function]:
    """Registers the decorated function under operator names of the default ONNX domain."""

    def enter(function: Function) -> Function:
        for name in names:
            if name in EXECUTORS:
                raise ValueError(f"operator {name} is registered twice")
            EXECUTORS[name] = Executor(function, refuses)
        return function

    return enter


def plain(*names: str) -> Callable[[Function], Function]:
    """Registers the decorated function of the inputs alone: it needs nothing of its node."""

    def enter(function: Function) -> Function:
        executor(*names)(lambda _call, *inputs: function(*inputs))
        return function

    return enter
