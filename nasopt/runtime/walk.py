"""Running a network piece by piece over many inputs, each node once, while its weights may still change.

Only the values that later nodes read are kept, on disk where they are large: a walk over a thousand images needs the memory of a few.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from onnx.helper import (
    make_empty_tensor_value_info,
    make_tensor_sequence_value_info,
    make_tensor_value_info,
    np_dtype_to_tensor_dtype,
)
from onnx.numpy_helper import from_array

from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, run

__all__ = ["Walk"]

Array = np.ndarray[Any, Any]

IN_MEMORY = 1 << 28
"""Bytes of one value over all batches; a larger one is kept in a temporary file."""


class Walk:
    """A position in a network, and every value that is needed from there on, once a batch.

    Use as a context manager: its temporary files go when it ends.
    """

    def __init__(self, graph: Graph, batches: Sequence[Mapping[str, Array]], hold: Iterable[str] = (), *, threads: int = 1) -> None:
        """Stands before the first node.

        Args:
            graph: the network.
            batches: its inputs, once a batch.
            hold: values to keep until they are asked for by `take`.
            threads: of ONNX Runtime.
        """
        self.graph, self.threads = graph, threads
        self.position = 0
        self.replaced: dict[str, Array] = {}
        self._hold = set(hold)
        self._count = len(batches)
        self._last = {name: max((node.index for node, _ in readers), default=-1) for name, readers in graph.consumers.items()}
        self._files = 0
        self._folder = tempfile.TemporaryDirectory(prefix="nasopt-")
        self._values: dict[str, list[Array]] = {}
        for name in graph.inputs:
            self._values[name] = [self._stored(np.asarray(batch[name])) for batch in batches]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._values.clear()
        self._folder.cleanup()

    def values(self, name: str) -> list[Array]:
        """A value that has been computed and is still needed, once a batch."""
        return self._values[name]

    def take(self, name: str) -> list[Array]:
        """A value that was to be held; it is let go unless later nodes read it."""
        values = self._values[name]
        self._hold.discard(name)
        self._drop()
        return values

    def weight(self, name: str) -> Array:
        """A stored tensor as it stands."""
        return self.replaced[name] if name in self.replaced else self.graph.weights[name].array()

    def replace(self, name: str, array: Array) -> None:
        """Gives a stored tensor other values, for the nodes that have not been run."""
        self.replaced[name] = array

    def advance(self, position: int) -> None:
        """Runs all nodes before `position` that have not been run, and keeps what later nodes read."""
        if position <= self.position:
            return
        made = [name for node in self.graph.nodes[self.position : position] for name in node.outputs if name]
        wanted = [name for name in made if self._last.get(name, -1) >= position or name in self._hold or name in self.graph.outputs]
        results: dict[str, list[Array]] = {name: [] for name in wanted}
        for outputs in self._run(self.position, position, wanted):
            for name, value in zip(wanted, outputs, strict=True):
                results[name].append(self._stored(value))
        self.position = position
        self._values.update(results)
        self._drop()

    def peek(self, names: Sequence[str]) -> Iterator[list[Array]]:
        """Values ahead of the position, batch by batch, computed with the weights as they are; the walk stays where it is."""
        ahead = max(self.graph.producers[name].index for name in names) + 1
        return self._run(self.position, ahead, names)

    def _run(self, start: int, stop: int, wanted: Sequence[str]) -> Iterator[list[Array]]:
        nodes = self._needed(start, stop, wanted)
        if not nodes or not wanted:
            yield from ([] for _ in range(self._count))
            return
        made = {name for index in nodes for name in self.graph.nodes[index].outputs}
        read = [name for index in nodes for name in (*self.graph.nodes[index].inputs, *self.graph.nodes[index].captured) if name]
        feeds = [name for name in dict.fromkeys(read) if name in self._values and name not in made]
        session = open_session(self._piece(nodes, feeds, wanted), threads=self.threads, origin=self.graph.origin)
        for batch in range(self._count):
            yield run(session, {name: _plain(self._values[name][batch]) for name in feeds}, origin=self.graph.origin)

    def _needed(self, start: int, stop: int, wanted: Iterable[str]) -> list[int]:
        """Nodes of the stretch that lead to `wanted`, and stored tensors made by nodes anywhere before."""
        needed, found = set(wanted), []
        for node in reversed(self.graph.nodes[:stop]):
            inside = node.index >= start or any(name in self.graph.weights for name in node.outputs)
            if inside and any(name in needed for name in node.outputs):
                found.append(node.index)
                needed.update(node.inputs, node.captured)
        return found[::-1]

    def _piece(self, nodes: Sequence[int], feeds: Sequence[str], wanted: Sequence[str]) -> onnx.ModelProto:
        model = self.graph.model
        piece = onnx.ModelProto(ir_version=max(model.ir_version, 4), opset_import=model.opset_import, functions=model.functions)
        piece.graph.name = "piece"
        piece.graph.node.extend(model.graph.node[index] for index in nodes if self.graph.nodes[index].outputs[0] not in self.replaced)
        read = {name for index in nodes for name in (*self.graph.nodes[index].inputs, *self.graph.nodes[index].captured)}
        stored = (tensor for tensor in model.graph.initializer if tensor.name in read and tensor.name not in self.replaced)
        piece.graph.initializer.extend(stored)
        piece.graph.initializer.extend(from_array(array, name) for name, array in self.replaced.items() if name in read)
        piece.graph.input.extend(self._fed(name) for name in feeds)
        piece.graph.output.extend(self._declared(name) for name in wanted)
        return piece

    def _declared(self, name: str) -> onnx.ValueInfoProto:
        dtype = self.graph.dtypes.get(name)
        return make_empty_tensor_value_info(name) if dtype is None else make_tensor_value_info(name, dtype, None)

    def _fed(self, name: str) -> onnx.ValueInfoProto:
        """An input of a piece has a type, that of the value, though onnx may not know it (sequences, operators of other domains)."""
        value: Any = next(iter(self._values[name]), None)
        if isinstance(value, np.ndarray):
            return make_tensor_value_info(name, np_dtype_to_tensor_dtype(value.dtype), None)
        if isinstance(value, list) and value:
            return make_tensor_sequence_value_info(name, np_dtype_to_tensor_dtype(value[0].dtype), None)
        return self._declared(name)

    def _stored(self, value: Array) -> Array:
        """A batch of a value, in a file where all of them together are large."""
        if not isinstance(value, np.ndarray) or value.nbytes * self._count <= IN_MEMORY:
            return value
        self._files += 1
        path = Path(self._folder.name) / str(self._files)
        stored = np.memmap(path, value.dtype, "w+", shape=value.shape)
        stored[...] = value
        with contextlib.suppress(OSError):  # the mapping keeps the data until it is let go (not on Windows: there the folder goes last)
            path.unlink()
        return stored

    def _drop(self) -> None:
        for name in [name for name in self._values if self._last.get(name, -1) < self.position and name not in self._hold]:
            if name not in self.graph.outputs:
                del self._values[name]


def _plain(value: Any) -> Any:
    """A value as ONNX Runtime takes it: no mapping of a file, and a sequence as the list that it is."""
    return np.asarray(value) if isinstance(value, np.ndarray) else value
