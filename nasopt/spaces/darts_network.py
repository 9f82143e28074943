"""The evaluation network of DARTS: a stem, cells that read the two before them, two of which halve the image, and a linear head."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from nasopt.spaces.network import Network

__all__ = ["darts_network"]

Cell = Sequence[tuple[tuple[str, int], tuple[str, int]]]

STEM = 3
"""The stem has so many times the channels of the first cell."""


def darts_network(
    name: str, normal: Cell, reduce: Cell, *, channels: int, layers: int, resolution: int, classes: int, search: bool
) -> onnx.ModelProto:
    """Builds the network (NetworkCIFAR of quark0/darts, without its auxiliary head).

    Args:
        name: of the graph.
        normal: the two edges (operation, value) of each node.
        reduce: of the reduction cell, likewise.
        channels: of the first cell, doubled at each reduction.
        layers: cells.
        resolution: pixels of the input.
        classes: of the head.
        search: with the norms of the search: those of operations have no scale and shift, and pools have one, too.
    """
    net = Network(name, (3, resolution, resolution))
    with net.scope("stem"):
        older = newer = net.norm(net.conv(net.input, STEM * channels, 3))
    reductions = {layers // 3, 2 * layers // 3}
    for layer in range(layers):
        halves = layer in reductions
        channels *= 2 if halves else 1
        with net.scope(f"cell{layer}"):
            value = _cell(net, older, newer, reduce if halves else normal, channels, stride=2 if halves else 1, search=search)
        older, newer = newer, value
    with net.scope("head"):
        return net.finish(net.linear(net.flatten(net.global_pool(newer)), classes))


def _cell(net: Network, older: str, newer: str, cell: Cell, channels: int, stride: int, search: bool) -> str:
    with net.scope("input0"):  # before the last reduction, the image was twice as large
        larger = net.shapes[older][1] > net.shapes[newer][1]
        first = _factorized_reduce(net, older, channels) if larger else _conv(net, net.act(older), channels)
    with net.scope("input1"):
        values = [first, _conv(net, net.act(newer), channels)]
    for node, pair in enumerate(cell):
        terms = []
        for edge, (operation, value) in enumerate(pair):
            with net.scope(f"node{node}.edge{edge}"):
                terms.append(_operation(net, operation, values[value], stride if value < 2 else 1, search))
        values.append(net.add(*terms, name=f"node{node}.sum"))
    return net.concat(*values[2:])


def _operation(net: Network, operation: str, x: str, stride: int, search: bool) -> str:
    channels = net.channels(x)
    match operation:
        case "none":
            return net.zeros(x, stride)
        case "skip_connect":
            return x if stride == 1 else _factorized_reduce(net, x, channels, affine=not search)
        case "max_pool_3x3":
            x = net.max_pool(x, 3, stride)
            return net.norm(x, affine=False) if search else x
        case "avg_pool_3x3":
            x = net.avg_pool(x, 3, stride)
            return net.norm(x, affine=False) if search else x
        case _:
            kind, _, size = operation.split("_")
            kernel, separable = int(size[0]), kind == "sep"
            x = _depthwise(net, x, kernel, stride, 1 if separable else 2, affine=not search)
            return _depthwise(net, x, kernel, 1, 1, affine=not search) if separable else x


def _depthwise(net: Network, x: str, kernel: int, stride: int, dilation: int, *, affine: bool) -> str:
    """Rectifier, depthwise and pointwise convolution, norm."""
    channels = net.channels(x)
    y = net.conv(net.act(x), channels, kernel, stride, groups=channels, dilation=dilation, name="depthwise")
    return _conv(net, y, channels, affine=affine)


def _conv(net: Network, x: str, channels: int, *, affine: bool = True) -> str:
    return net.norm(net.conv(x, channels), affine=affine)


def _factorized_reduce(net: Network, x: str, channels: int, *, affine: bool = True) -> str:
    """Two pointwise convolutions of stride 2, the second one pixel off, side by side."""
    x = net.act(x)
    halves = net.conv(x, channels // 2, 1, 2), net.conv(net.subsample(x, 1, offset=1), channels - channels // 2, 1, 2)
    return net.norm(net.concat(*halves), affine=affine)
