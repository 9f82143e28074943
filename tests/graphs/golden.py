"""The golden computational graphs of AIO-P's authors, and networks built as they describe them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from nasopt.graphs.computational_graph import CGNode, ComputationalGraph
from nasopt.spaces.network import Network


def read(path: Path) -> ComputationalGraph:
    return ComputationalGraph.from_json(path.read_text(), origin=path.name)


def network(graph: ComputationalGraph) -> onnx.ModelProto:
    """The network that a CG describes, channels first, for operations that such networks have."""
    _, height, width, channels = graph.input_shape
    net = Network(graph.name, (channels, height, width))
    read_by: list[list[int]] = [[] for _ in graph.nodes]
    for begin, end in graph.edges:
        read_by[end].append(begin)
    values: dict[int, str] = {}
    waiting = list(range(len(graph.nodes)))
    while waiting:
        place = next(one for one in waiting if all(source in values for source in read_by[one]))
        waiting.remove(place)
        values[place] = _layer(net, graph.nodes[place], [values[source] for source in read_by[place]])
    return net.finish(next(values[place] for place, node in enumerate(graph.nodes) if node.op == "output"))


def _layer(net: Network, node: CGNode, inputs: list[str]) -> str:
    x = inputs[0] if inputs else net.input
    match node.op:
        case "input" | "output":
            return x
        case "conv" | "depthwise":
            assert node.shape is not None
            assert node.strides is not None
            kernel, groups = (int(node.shape[2]), int(node.shape[3])), net.channels(x) if node.op == "depthwise" else 1
            into = node.resolution[5]
            return net.conv(x, into, kernel, node.strides[1], groups=groups, padding=_padding(node, kernel), bias=node.bias)
        case "batchnorm":
            return net.norm(x)
        case "relu" | "relu6":
            return net.act(x, node.op)  # type: ignore[arg-type]
        case "maxpool" | "avgpool":
            assert node.strides is not None
            size = int(_metadata(node)["ksize"][1])
            pool = net.max_pool if node.op == "maxpool" else net.avg_pool
            return pool(x, size, node.strides[1], padding=_padding(node, (size, size)))
        case "mean":
            return net.global_pool(x)
        case "add":
            return net.add(*inputs) if len(inputs) == 2 else net._add("Sum", inputs, net.shapes[x], net._name("sum"), {})
        case "concat":
            return net.concat(*inputs)
        case "matmul":
            return net.linear(net.flatten(x) if len(net.shapes[x]) > 1 else x, node.resolution[5], bias=node.bias)
        case other:
            raise NotImplementedError(other)


def _metadata(node: CGNode) -> dict[str, Any]:
    return dict(node.metadata or {})


def _padding(node: CGNode, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
    """TensorFlow's "same": what is missing, the odd pixel behind."""
    if _metadata(node)["padding"] == "valid":
        return 0, 0, 0, 0
    assert node.strides is not None
    sizes = (node.resolution[0], node.resolution[1], node.strides[1]), (node.resolution[2], node.resolution[3], node.strides[2])
    top, left = (max((after - 1) * stride + size - before, 0) for size, (before, after, stride) in zip(kernel, sizes, strict=True))
    return top // 2, left // 2, top - top // 2, left - left // 2
