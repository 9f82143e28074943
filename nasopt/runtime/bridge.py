"""The bridge from ONNX to PyTorch: a float network as a `torch.nn.Module`, and its weights back into the graph.

A network is a list of steps, one a node, each a function of `nasopt.runtime.torch_ops` over values by ONNX name. Sizes are computed as
the graph computes them, at every call, so that a network with a dynamic batch runs with any; only what depends on settings (stored
tensors that are not trained) alone is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any, cast

import numpy as np
from onnx import TensorProto

from nasopt.errors import MissingExtraError, ModelNotSupportedError, UsageError
from nasopt.graphs.graph import Graph, Node
from nasopt.graphs.write_back import write_weights
from nasopt.runtime.sessions import random_inputs
from nasopt.runtime.trainable import trainable

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise MissingExtraError("this needs PyTorch: pip install 'nasopt[torch]'") from None

from nasopt.runtime.torch_ops import EXECUTORS, TORCH_TYPES, Call, Executor

__all__ = ["TorchNetwork", "to_torch", "write_weights"]

Array = np.ndarray[Any, Any]
Input = Tensor | Array
Values = dict[str, Any]
"""Tensors by ONNX name; an ONNX sequence is a list of them."""

TOLERANCE = 1e-4
"""Relative, for `TorchNetwork.batchable`."""

_NOT_SETTINGS = frozenset({"Dropout", "SplitToSequence"})
"""What is drawn anew at each call, or is no tensor."""

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})
_MAY_FAIL = (ArithmeticError, AssertionError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What torch raises where tensors do not fit."""


@dataclass(slots=True)
class _Step:
    call: Call
    executor: Executor
    frees: tuple[str, ...] = ()
    """Values that no later step reads."""


class _Scope(nn.Module):
    """Holds the tensors whose names begin with its own and a dot."""

    def __getattr__(self, name: str) -> Any:
        """Of a scope and a tensor of one name, the scope: `torch.func.functional_call` looks for it on its way to a tensor."""
        scopes = self.__dict__.get("_modules", {})
        return scopes[name] if name in scopes else super().__getattr__(name)


class TorchNetwork(_Scope):
    """An ONNX network on PyTorch; made by `to_torch`, in evaluation mode.

    Parameters and buffers have the names that ONNX has for them: of initializers, and of what a Constant or ConstantOfShape node makes.
    A dot in a name opens a submodule, so that `state_dict`, `load_state_dict`, `named_parameters` and `torch.func.functional_call` know
    every tensor by its ONNX name. (`functional_call` alone does not reach a tensor whose first part is the name of a method,
    ``train.weight``; nor does what was computed from settings follow it.)

    In training mode BatchNormalization uses the batch's statistics and moves the running ones, which are buffers; nothing else differs.

    Attributes:
        inputs: names of the inputs, in order.
        outputs: names of the outputs, in order.
    """

    def __init__(self, graph: Graph) -> None:
        """See `to_torch`."""
        super().__init__()
        self._graph = graph
        self.inputs, self.outputs = graph.inputs, graph.outputs
        self._places: dict[str, tuple[nn.Module, str]] = {}
        """Which module keeps a tensor, under the last part of its name."""
        steps, weights = _compile(graph), trainable(graph)
        for weight in graph.weights.values():
            tensor = torch.from_numpy(np.array(weight.array()))
            self._store(weight.name, nn.Parameter(tensor) if weight.name in weights else tensor)
        self._settings, self._steps = self._part(steps)
        self._settle()
        _free(self._steps, {*self.outputs, *self._places})

    def forward(self, *inputs: Input | Mapping[str, Input]) -> tuple[Tensor, ...]:
        """The outputs, in the graph's order.

        Args:
            inputs: one tensor or array an input, in order, or one mapping from names.

        Raises:
            UsageError: inputs are missing or unknown.
            ModelNotSupportedError: a node fails on these inputs.
        """
        if len(inputs) == 1 and isinstance(inputs[0], Mapping):
            return self.run(inputs[0])[0]
        if len(inputs) != len(self.inputs):
            raise UsageError(f"the network has {len(self.inputs)} inputs ({', '.join(self.inputs)}); it was given {len(inputs)}")
        return self.run(dict(zip(self.inputs, inputs, strict=True)))[0]  # type: ignore[arg-type]

    def run(self, inputs: Mapping[str, Input], watch: Sequence[str] = ()) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """The outputs, and any other values by name, gradients flowing through both.

        Args:
            inputs: tensors or arrays by name.
            watch: names of values to hand out besides the outputs; inputs and stored tensors may be among them.

        Raises:
            UsageError: inputs are missing or unknown, or nothing computes a watched value.
            ModelNotSupportedError: a node fails on these inputs.
        """
        if set(inputs) != set(self.inputs):
            raise UsageError(f"the network's inputs are {', '.join(self.inputs)}; it was given {', '.join(inputs) or 'none'}")
        values: Values = dict(self._stored())
        values |= {name: value if isinstance(value, Tensor) else torch.tensor(value) for name, value in inputs.items()}
        watched = frozenset(watch)
        for step in self._steps:
            self._execute(step, values)
            for name in step.frees:
                if name not in watched:
                    values.pop(name, None)
        missing = [name for name in watch if name not in values]
        if missing:
            raise UsageError(f"nothing in the network computes '{missing[0]}'")
        return tuple(values[name] for name in self.outputs), {name: values[name] for name in watch}

    def train(self, mode: bool = True) -> TorchNetwork:
        """Switches BatchNormalization between the batch's statistics and the running ones."""
        super().train(mode)
        for step in self._steps:
            step.call.training = mode
        return self

    @cached_property
    def batchable(self) -> bool:
        """Whether a batch of n inputs gives what n single ones give; a network with a fixed batch written into it does not.

        It is tried out when it is first asked for: two random inputs of the bound shapes, one after the other and joined.
        """
        feeds = [random_inputs(self._graph, seed) for seed in (0, 1)]
        joined = {name: np.concatenate([feed[name] for feed in feeds]) if feeds[0][name].ndim else feeds[0][name] for name in self.inputs}
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                alone, together = [self(feed) for feed in feeds], self(joined)
        except ModelNotSupportedError:
            return False
        finally:
            self.train(training)
        return all(_agrees(batch, parts) for batch, *parts in zip(together, *alone, strict=True))

    def _execute(self, step: _Step, values: Values) -> None:
        node = step.call.node
        try:
            result = step.executor.run(step.call, *[values[name] if name else None for name in node.inputs])
        except _MAY_FAIL as error:
            shapes = ", ".join("x".join(map(str, getattr(values.get(name), "shape", "?"))) or "scalar" for name in node.inputs if name)
            raise ModelNotSupportedError(
                f"{self._graph.origin}: {node.op} '{node.name}' (opset {step.call.opset}) fails in PyTorch on {shapes}: {error}"
            ) from error
        if isinstance(result, tuple):
            values.update((name, value) for name, value in zip(node.outputs, result, strict=False) if name)
        else:
            values[node.outputs[0]] = result

    # -- stored tensors

    def _store(self, name: str, tensor: Tensor, *, persistent: bool = True) -> None:
        """Files a tensor under its name; `register_buffer` and its like would refuse names with dots, and names of methods."""
        *path, leaf = name.split(".")
        holder: nn.Module = self
        for part in path:
            holder._modules.setdefault(part, _Scope())
            holder = cast("nn.Module", holder._modules[part])
        if isinstance(tensor, nn.Parameter):
            holder._parameters[leaf] = tensor
        else:
            holder._buffers[leaf] = tensor
            if not persistent:
                holder._non_persistent_buffers_set.add(leaf)
        self._places[name] = holder, leaf

    def _stored(self) -> Iterator[tuple[str, Any]]:
        for name, (holder, leaf) in self._places.items():
            yield name, holder._parameters[leaf] if leaf in holder._parameters else holder._buffers[leaf]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads tensors as every module does; what was computed from settings is computed again."""
        result = super().load_state_dict(state_dict, strict, assign)
        self._settle()
        return result

    def _part(self, steps: Sequence[_Step]) -> tuple[list[_Step], list[_Step]]:
        """Parts steps into those that settings alone decide, and the others.

        What an Identity makes of a stored tensor is that tensor: trained, or moved by a BatchNormalization, under both names.
        """
        dtypes = self._graph.dtypes
        settled = {name for name, tensor in self._stored() if not isinstance(tensor, nn.Parameter)}
        settings, left = [], []
        for step in steps:
            node = step.call.node
            if node.op == "CastLike" and node.inputs[0] in settled and dtypes.get(node.inputs[1]) in TORCH_TYPES:
                # It reads the other operand's type, not its elements.
                node = replace(node, op="Cast", inputs=node.inputs[:1], attrs={"to": dtypes[node.inputs[1]]})
                step = _Step(Call(node, step.call.opset), EXECUTORS["Cast"])
            known = self._places if node.op in ("Shape", "Size") else settled
            if node.op == "Identity" and node.inputs[0] in self._places:
                self._places[node.outputs[0]] = self._places[node.inputs[0]]
                settled.update(node.outputs if node.inputs[0] in settled else ())
            elif node.inputs and all(name in known for name in node.inputs if name) and node.op not in _NOT_SETTINGS:
                settings.append(step)
                settled.update(node.outputs)
            else:
                left.append(step)
        return settings, left

    def _settle(self) -> None:
        """Runs the steps that settings alone decide. Their results are buffers that `state_dict` leaves out."""
        values: Values = dict(self._stored())
        with torch.no_grad():
            for step in self._settings:
                self._execute(step, values)
                for name in filter(None, step.call.node.outputs):
                    self._store(name, values[name].contiguous(), persistent=False)


def to_torch(graph: Graph) -> TorchNetwork:
    """A network as a torch module.

    Args:
        graph: any float network; shapes that its inputs are bound to matter to `TorchNetwork.batchable` only.

    Returns:
        The module in evaluation mode, with copies of the weights; `write_weights` brings them back.

    Raises:
        ModelNotSupportedError: naming every operator that has no executor, where it is, and the closest one that has.
    """
    return TorchNetwork(graph).eval()


def _compile(graph: Graph) -> list[_Step]:
    """A step for every node that computes something."""
    versions = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in graph.model.opset_import}
    steps: list[_Step] = []
    refused: dict[str, tuple[str, int, str]] = {}
    for node in graph.nodes:
        if node.outputs and node.outputs[0] in graph.weights:
            continue
        call = Call(node, graph.opset)
        executor = None if node.domain else EXECUTORS.get(node.op)
        reason = _advice(node) if executor is None else executor.refuses(call)
        if executor is not None and not reason:
            steps.append(_Step(call, executor))
        else:
            refused.setdefault(node.qualified, (node.name, versions.get(node.domain, 0), reason))
    odd = [weight for weight in graph.weights.values() if weight.dtype not in TORCH_TYPES]
    if odd:
        refused[f"weights of type {TensorProto.DataType.Name(odd[0].dtype)}"] = (odd[0].name, graph.opset, "")
    if refused:
        listed = "; ".join(
            f"{what} '{name}' (opset {version}{reason and ', ' + reason})" for what, (name, version, reason) in refused.items()
        )
        raise ModelNotSupportedError(f"{graph.origin}: cannot run in PyTorch: {listed}")
    return steps


def _advice(node: Node) -> str:
    if node.op in _CONTROL_FLOW:
        return "control flow"
    close = get_close_matches(node.op, EXECUTORS, 1)
    return f"the closest supported operator is {close[0]}" if close else ""


def _free(steps: Sequence[_Step], needed: set[str]) -> None:
    """Notes after which step each value is read for the last time, but for those that are needed to the end."""
    for step in reversed(steps):
        node = step.call.node
        last = dict.fromkeys(name for name in (*node.inputs, *node.outputs) if name and name not in needed)
        step.frees = tuple(last)
        needed.update(last)


def _agrees(batch: Tensor, parts: Sequence[Tensor]) -> bool:
    """Whether a batch is its parts, one after the other."""
    if not batch.ndim or any(not part.ndim for part in parts):
        return False
    expected = torch.cat(list(parts))
    if expected.shape != batch.shape:
        return False
    if not expected.is_floating_point():
        return torch.equal(batch, expected)
    return bool(((batch - expected).abs() <= TOLERANCE * expected.abs().max()).all())
