"""Names of the torch networks, where each is defined, and the published figures it must agree with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Network:
    """A torch definition: `builder()` imports torch only when called.

    `gmacs` and `mparams` are published figures (multiply-adds of Conv, ConvTranspose, Gemm and MatMul; parameters without
    running statistics), or None where there is none for this input size. `opset` is the one asked of the exporters.
    """

    name: str
    module: str
    function: str
    input_shape: tuple[int, ...] = (1, 3, 224, 224)
    outputs: tuple[str, ...] = ("output",)
    gmacs: float | None = None
    mparams: float | None = None
    opset: int = 18

    @property
    def builder(self) -> Callable[[], Any]:
        function: Callable[[], Any] = getattr(import_module(f"{__package__}.{self.module}"), self.function)
        return function


HEADS = ("p3", "p4", "p5")

NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network("resnet50", "resnet", "resnet50", gmacs=4.089, mparams=25.56),
        Network("mobilenet_v2", "mobilenet", "mobilenet_v2", gmacs=0.301, mparams=3.50),
        Network("mobilenet_v3_large", "mobilenet", "mobilenet_v3_large", gmacs=0.217, mparams=5.48),
        Network("efficientnet_b0", "efficientnet", "efficientnet_b0", gmacs=0.386, mparams=5.29),
        Network("densenet121", "densenet", "densenet121", gmacs=2.834, mparams=7.98),
        Network("shufflenet_v2", "shufflenet", "shufflenet_v2", gmacs=0.145, mparams=2.28),
        Network("shufflenet_v1_g3", "shufflenet", "shufflenet_v1_g3", gmacs=0.137),
        Network("resnext50", "resnet", "resnext50", gmacs=4.23, mparams=25.03),
        Network("unet", "unet", "unet", (1, 3, 128, 128), mparams=7.76),
        Network("yolo_c3", "yolo", "yolo_c3", (1, 3, 320, 320), HEADS, mparams=7.28),
        Network("yolo_c3_anchors", "yolo", "yolo_c3_anchors", (1, 3, 320, 320), HEADS),
        Network("convnext_tiny", "convnext", "convnext_tiny", gmacs=4.456, mparams=28.59),
        Network("vit_tiny", "vit", "vit_tiny", gmacs=1.26, mparams=5.72),
    )
}
