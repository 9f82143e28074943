"""Networks for the tests of proxies: the same one as a module, and as an ONNX file through the bridge."""

from __future__ import annotations

import io
import warnings

import onnx
import torch
from torch import Tensor, nn

from nasopt.graphs.graph import Graph
from nasopt.runtime.bridge import TorchNetwork, to_torch

ROWS, CLASSES = 8, 4


class Small(nn.Module):
    """A residual block, depthwise convolutions, a bias, and a classifier; 3 x 8 x 8 pixels."""

    def __init__(self, seed: int = 0, *, inplace: bool = True) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.stem, self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
            self.depthwise, self.second = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8)
            self.pointwise, self.fc = nn.Conv2d(8, 8, 1), nn.Linear(8, CLASSES)
            self.relu = nn.ReLU(inplace=inplace)
            for norm in (self.first, self.second):
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.normal_(norm.bias)
                nn.init.uniform_(norm.running_var, 0.5, 2.0)

    def features(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(self.stem(x)))
        y = self.relu(self.second(self.depthwise(x)))
        return self.relu(self.pointwise(y)) + x

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3)))


def inputs(seed: int = 0) -> Tensor:
    return torch.randn(ROWS, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def labels() -> Tensor:
    return torch.arange(ROWS) % CLASSES


def exported(network: nn.Module) -> onnx.ModelProto:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (inputs()[:1],), file, dynamo=False, input_names=["image"], output_names=["logits"], do_constant_folding=False,
            dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}}, training=torch.onnx.TrainingMode.PRESERVE,
        )  # fmt: skip
    return onnx.load_from_string(file.getvalue())


def bridged(network: nn.Module) -> TorchNetwork:
    """Exported in evaluation mode, with its norms as they are."""
    network.eval()
    return to_torch(Graph(exported(network)))
