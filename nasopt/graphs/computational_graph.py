"""AIO-P's view of a network: a computational graph (CG) of operations with resolutions, kernels and biases, as the predictor reads it.

After Mills et al., AIO-P (AAAI 2023), Section "Computational Graphs", and the code that settles its format (vocabulary, two kinds of
nodes, weighted ones first, FLOPs counter). `nasopt.graphs.cg_from_graph` makes one of any network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from nasopt.errors import UsageError

__all__ = ["VOCABULARY", "WEIGHTED", "CGFeatures", "CGNode", "ComputationalGraph"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float32]]

VOCABULARY = (
    "out-of-vocabulary", "input", "output", "conv", "depthwise", "batchnorm", "relu", "relu6", "matmul", "add", "mul", "concat", "maxpool",
    "avgpool", "sigmoid", "tanh", "swish", "gelu", "paddings", "mean", "spacetobatchnd", "batchtospacend", "spacetodepthnd",
    "depthtospacend", "global", "identity", "zero",
)  # fmt: skip
"""Words of operations; a word's place is its index. 27 to 31 are reserved."""

WEIGHTED = frozenset({"conv", "depthwise", "matmul"})

PIXELS, CHANNELS = 256.0, 512.0
"""What heights and widths, and channels, are divided by, for every network (AIO-P's code)."""

KERNELS = 8
"""Kernel sizes are indices below this; larger ones do not fit, and count as the largest."""

Resolution = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class CGNode:
    """One operation.

    Attributes:
        op: a word of `VOCABULARY`.
        resolution: heights in and out, widths in and out, channels in and out; values without an image count as 1 x 1.
        shape: of a weighted node's weight: channels in and out, height and width of the kernel (0 for dense layers).
        bias: whether a weighted node has one.
        strides: batch, height, width, channels, as TensorFlow writes them; None for nodes that do not slide.
        name: of the node.
        label: the word that the op was read from.
        metadata: whatever else a file holds of it.
    """

    op: str
    resolution: Resolution
    shape: tuple[float, ...] | None = None
    bias: bool = False
    strides: tuple[int, ...] | None = None
    name: str = ""
    label: str = ""
    metadata: Mapping[str, Any] | None = None

    @property
    def weighted(self) -> bool:
        return self.shape is not None


@dataclass(frozen=True)
class CGFeatures:
    """A graph as arrays, weighted nodes first.

    Attributes:
        weighted_ops: indices of words, (weighted nodes,).
        kernels: indices, (weighted nodes, 2).
        biases: 0 or 1, (weighted nodes,).
        regular_ops: indices of words, (other nodes,).
        resolutions: scaled, (nodes, 6).
        edges: from and to, (2, edges).
    """

    weighted_ops: Ints
    kernels: Ints
    biases: Ints
    regular_ops: Ints
    resolutions: Floats
    edges: Ints


@dataclass(frozen=True)
class ComputationalGraph:
    """Nodes, weighted ones first, and directed edges between their places, sorted.

    Attributes:
        name: of the network.
        input_shape: batch, height, width, channels.
        nodes: the operations.
        edges: from which node to which.
        limits: the largest sizes that whoever made the file allowed for (``max_hidden_size``, …); for JSON only.
    """

    name: str
    input_shape: tuple[int, ...]
    nodes: tuple[CGNode, ...]
    edges: tuple[tuple[int, int], ...]
    limits: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def order(nodes: Sequence[CGNode]) -> list[int]:
        """Places of nodes, weighted ones first."""
        return sorted(range(len(nodes)), key=lambda place: not nodes[place].weighted)

    @classmethod
    def ordered(cls, name: str, input_shape: Sequence[int], nodes: Sequence[CGNode], edges: set[tuple[int, int]]) -> ComputationalGraph:
        """A graph of nodes in any order: weighted ones are put first, edges are sorted, and those of a node to itself left out."""
        order = cls.order(nodes)
        place_of = {old: new for new, old in enumerate(order)}
        moved = sorted((place_of[begin], place_of[end]) for begin, end in edges if begin != end)
        return cls(name, tuple(input_shape), tuple(nodes[old] for old in order), tuple(moved))

    @property
    def weighted(self) -> int:
        """How many nodes have weights."""
        return sum(node.weighted for node in self.nodes)

    def features(self) -> CGFeatures:
        """What the predictor reads: heights and widths / 256, channels / 512, kernels as indices."""
        weighted, regular = self.nodes[: self.weighted], self.nodes[self.weighted :]
        sizes = np.array([node.resolution for node in self.nodes], np.float32).reshape(-1, 6)
        kernels = np.array([node.shape[2:] for node in weighted if node.shape is not None], np.int64).reshape(-1, 2)
        return CGFeatures(
            np.array([VOCABULARY.index(node.op) for node in weighted], np.int64),
            np.minimum(kernels, KERNELS - 1),
            np.array([node.bias for node in weighted], np.int64),
            np.array([VOCABULARY.index(node.op) for node in regular], np.int64),
            np.divide(sizes, np.array([PIXELS] * 4 + [CHANNELS] * 2, np.float32), dtype=np.float32),
            np.array(self.edges, np.int64).reshape(-1, 2).T,
        )

    def flops(self) -> int:
        """AIO-P's counter: multiply-accumulates counted once, biases, norms and activations too, times a node's number of inputs."""
        inputs = np.bincount([end for _, end in self.edges], minlength=len(self.nodes))
        return sum(_flops(node) * max(1, int(count)) for node, count in zip(self.nodes, inputs, strict=True))

    def fingerprint(self) -> str:
        """Equal for graphs that only differ in the order and the names of their nodes (Weisfeiler and Leman, as many rounds as nodes)."""
        readers: list[list[int]] = [[] for _ in self.nodes]
        writers: list[list[int]] = [[] for _ in self.nodes]
        for begin, end in self.edges:
            readers[begin].append(end)
            writers[end].append(begin)
        marks = [_digest(repr((node.op, node.resolution, node.shape and tuple(map(float, node.shape)), node.bias))) for node in self.nodes]
        different = len(set(marks))
        while True:
            marks = [
                _digest(f"{mark}|{sorted(marks[one] for one in writers[place])}|{sorted(marks[one] for one in readers[place])}")
                for place, mark in enumerate(marks)
            ]
            if len(set(marks)) == different:
                return _digest(str(sorted(marks)))
            different = len(set(marks))

    def to_json(self) -> str:
        """The text of a file, as `from_json` reads it."""
        body = {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "n_weighted": self.weighted,
            **(self.limits or _limits(self)),
            "nodes": [_told(node) for node in self.nodes],
            "edges": [list(edge) for edge in self.edges],
        }
        return json.dumps(body, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, *, origin: str = "computational graph") -> ComputationalGraph:
        """Reads a file.

        Raises:
            UsageError: it is none; the message says what is wrong, and where.
        """
        try:
            body = json.loads(text)
            nodes = tuple(_node(told) for told in body["nodes"])
            edges = tuple((int(begin), int(end)) for begin, end in body["edges"])
            limits = {key: int(body[key]) for key in _LIMITS if key in body}
            graph = cls(str(body["name"]), tuple(int(size) for size in body["input_shape"]), nodes, edges, limits)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{origin}: not a computational graph in JSON ({type(error).__name__}: {error})") from None
        if any(not 0 <= place < len(nodes) for edge in edges for place in edge):
            raise UsageError(f"{origin}: an edge leads to a node that is not there")
        if any(later.weighted and not earlier.weighted for earlier, later in pairwise(nodes)):
            raise UsageError(f"{origin}: weighted nodes do not come first")
        return graph


_LIMITS = ("max_hidden_size", "max_kernel_size", "max_derived_H", "max_derived_W")


def _limits(graph: ComputationalGraph) -> dict[str, int]:
    sizes = np.array([node.resolution for node in graph.nodes]).reshape(-1, 6)
    kernels = [int(max(node.shape[2:])) for node in graph.nodes if node.shape is not None]
    values = (sizes[:, 4:].max(initial=0), max(kernels, default=0), sizes[:, :2].max(initial=0), sizes[:, 2:4].max(initial=0))
    return dict(zip(_LIMITS, map(int, values), strict=True))


def _told(node: CGNode) -> dict[str, Any]:
    metadata = dict(node.metadata) if node.metadata is not None else {"use_bias": node.bias} if node.weighted else None
    body: dict[str, Any] = {
        "id": node.name, "label": node.label, "op": node.op, "op_idx": VOCABULARY.index(node.op), "weighted": node.weighted,
        "res": list(node.resolution), "strides": None if node.strides is None else list(node.strides), "metadata": metadata,
    }  # fmt: skip
    return body | ({"shape": list(node.shape)} if node.shape is not None else {})


def _node(told: Mapping[str, Any]) -> CGNode:
    op, metadata = told["op"], told.get("metadata")
    if op not in VOCABULARY or VOCABULARY.index(op) != told["op_idx"]:
        raise ValueError(f"operation {op!r} with index {told['op_idx']}")
    height, out_height, width, out_width, channels, out_channels = (int(size) for size in told["res"])
    shape = tuple(told["shape"]) if told["weighted"] else None
    if shape is not None and len(shape) != 4:
        raise ValueError(f"a weight of shape {shape}")
    return CGNode(
        op,
        (height, out_height, width, out_width, channels, out_channels),
        shape,
        bool((metadata or {}).get("use_bias", False)),
        None if told["strides"] is None else tuple(int(stride) for stride in told["strides"]),
        str(told["id"]),
        str(told["label"]),
        metadata,
    )


def _flops(node: CGNode) -> int:
    height, out_height, width, out_width, channels, out_channels = node.resolution
    pixels = out_height * out_width
    match node.op:
        case "conv" | "depthwise":
            assert node.shape is not None
            kernel = int(node.shape[2] * node.shape[3])
            into = channels * out_channels if node.op == "conv" else channels
            return kernel * into * pixels + (out_channels * pixels if node.bias else 0)
        case "matmul":
            return height * width * channels * out_channels + out_channels
        case "batchnorm":
            return 2 * height * width * channels
        case "relu" | "relu6" | "sigmoid" | "tanh" | "swish" | "gelu" | "maxpool" | "avgpool" | "mean" | "add" | "mul":
            return pixels * out_channels
        case _:
            return 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
