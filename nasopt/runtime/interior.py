"""Which values inside a network are compared, besides its outputs.

A saturated softmax answers the same whatever was cut before it: what it is given does not. So the values that feed the last operators
are watched, and others spread over the depth of the network; few of them, since each is copied out of ONNX Runtime.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import onnx
from onnx import ValueInfoProto
from onnx.helper import tensor_dtype_to_np_dtype

from nasopt.graphs.graph import Graph, Node

__all__ = ["exposing", "watched"]

WATCHED = 16
BYTES = 16 << 20
"""Of all watched values together, for one run."""

_HEADS = frozenset({"Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Tanh", "Clip", "ArgMax", "TopK"})
"""What hides differences in its input."""


def watched(graph: Graph, among: Collection[str]) -> tuple[str, ...]:
    """Chooses values to compare: half of them what the last operators read, the others spread over depth.

    Args:
        graph: the network, input shapes bound.
        among: the names to choose from.
    """
    order = [name for name in _computed(graph) if name in among and name not in graph.outputs and graph.is_float(name)]
    allowed = {name: _bytes(graph, name) for name in order if name in graph.shapes}
    order = [name for name in order if 0 < allowed.get(name, 0) <= BYTES]
    last = {name for node in graph.nodes if _hides(graph, node) for name in node.inputs}
    chosen: dict[str, None] = {}
    left = BYTES
    for name in [*[name for name in reversed(order) if name in last][: WATCHED // 2], *_spread([n for n in order if n not in last])]:
        if len(chosen) < WATCHED and allowed[name] <= left:
            chosen[name] = None
            left -= allowed[name]
    return tuple(name for name in order if name in chosen)


@contextmanager
def exposing(model: onnx.ModelProto, names: Sequence[str]) -> Iterator[None]:
    """The model with values added to its outputs, for as long as the context lasts: copies of large models would cost their memory."""
    before = len(model.graph.output)
    model.graph.output.extend(ValueInfoProto(name=name) for name in names)
    try:
        yield
    finally:
        del model.graph.output[before:]


def _computed(graph: Graph) -> list[str]:
    """What is computed from the elements of an input; sizes of tensors, which pruning may change, are not."""
    fed = dict.fromkeys(graph.inputs)
    for node in graph.nodes:
        if node.op not in ("Shape", "Size") and any(name in fed for name in (*node.inputs, *node.captured)):
            fed.update(dict.fromkeys(name for name in node.outputs if name))
    return [name for name in fed if name in graph.producers and name not in graph.constants]


def _hides(graph: Graph, node: Node) -> bool:
    return node.op in _HEADS or any(name in graph.outputs for name in node.outputs)


def _spread(names: Sequence[str]) -> list[str]:
    """All names, ordered so that any first few of them are spread over the whole, the latest first."""
    count = len(names)
    # Halves, quarters, eighths, …: the bit-reversed order of places.
    bits = max(count - 1, 1).bit_length()
    places = sorted(range(1 << bits), key=lambda place: f"{place:0{bits}b}"[::-1])
    return [names[count - 1 - place] for place in places if place < count]


def _bytes(graph: Graph, name: str) -> int:
    return math.prod(graph.shape(name)) * int(np.dtype(tensor_dtype_to_np_dtype(graph.dtypes[name])).itemsize)
