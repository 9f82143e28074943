"""The networks of TransNAS-Bench-101: a stem that quarters the image, modules of two blocks, and a head or decoder for each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx

from nasopt.spaces.network import Network

__all__ = ["TASKS", "Block", "Task", "network"]

Block = Callable[[Network, str, int, int], str]
"""Adds a block of so many channels and a stride of 1 or 2 behind a value."""


@dataclass(frozen=True)
class Task:
    """What a task takes and gives.

    Attributes:
        kind: of the head: ``classes``, ``jigsaw``, ``segmentation`` or ``image``.
        outputs: classes, or channels of the picture.
        resolution: pixels of the input, or of each tile.
    """

    kind: str
    outputs: int
    resolution: int


TASKS = {
    "class_scene": Task("classes", 47, 256),
    "class_object": Task("classes", 75, 256),
    "room_layout": Task("classes", 9, 256),
    "jigsaw": Task("jigsaw", 1000, 64),
    "segmentsemantic": Task("segmentation", 17, 256),
    "normal": Task("image", 3, 256),
    "autoencoder": Task("image", 3, 256),
}
"""Duan et al., CVPR 2021, Section 3.1, and the configurations of the published code."""

TILES = 9


def network(name: str, task: Task, layout: str, block: Block, *, channels: int, outputs: int, resolution: int) -> onnx.ModelProto:
    """Builds encoder and head.

    Args:
        name: of the graph.
        task: which decides on the head.
        layout: a digit a module: even ones double the channels, 3 and 4 halve the image.
        block: adds one; a module has two.
        channels: behind the stem.
        outputs: of the head.
        resolution: pixels of the input.
    """
    jigsaw = task.kind == "jigsaw"
    net = Network(name, (3 * TILES if jigsaw else 3, resolution, resolution))
    x = net.tiles_apart(net.input, TILES) if jigsaw else net.input
    with net.scope("stem"):
        x = net.norm(net.conv(x, channels // 2, 3, 2))
        x = net.norm(net.conv(net.act(x), channels, 3, 2))
    for module, digit in enumerate(map(int, layout)):
        channels *= 1 if digit % 2 else 2
        for place in range(2):
            with net.scope(f"module{module}.block{place}"):
                x = block(net, x, channels, 2 if digit > 2 and not place else 1)
    with net.scope("head"):
        match task.kind:
            case "segmentation":
                return net.finish(_segmentation(net, x, outputs, resolution))
            case "image":
                return net.finish(_image(net, x, outputs, resolution))
            case _:
                x = net.global_pool(net.tiles_together(x, TILES) if jigsaw else x)
                return net.finish(net.linear(net.flatten(x), outputs))


def _segmentation(net: Network, x: str, outputs: int, resolution: int) -> str:
    """Eight convolutions, of which as many as needed enlarge; channels are halved from 1024 on."""
    doublings = (resolution // net.shapes[x][1]).bit_length() - 1
    channels = 1024
    x = _layer(net, x, channels)
    for _ in range(6 - doublings):
        channels //= 2
        x = _layer(net, x, channels)
    for _ in range(doublings - 1):
        channels //= 2
        x = _layer(net, x, channels, enlarge=True)
    x = _layer(net, x, channels, enlarge=True)
    return net.conv(x, outputs, 3, bias=True)


def _image(net: Network, x: str, outputs: int, resolution: int) -> str:
    """Fourteen convolutions, of which as many as needed enlarge, and a hyperbolic tangent."""
    doublings = (resolution // net.shapes[x][1]).bit_length() - 1
    x = _layer(net, x, 1024)
    x = _layer(net, x, 1024)
    for first, then, needed in ((512, 512, 6), (256, 128, 5), (64, 64, 4), (32, 32, 3), (16, 32, 0), (16, 0, 0)):
        x = _layer(net, x, first, enlarge=doublings >= needed)
        x = _layer(net, x, then) if then else x
    return net.act(net.conv(x, outputs, 3, bias=True), "tanh")


def _layer(net: Network, x: str, channels: int, *, enlarge: bool = False) -> str:
    y = net.upsampling_conv(x, channels) if enlarge else net.conv(x, channels, 3, bias=True)
    return net.act(net.norm(y), "leaky")
