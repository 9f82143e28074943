"""Trains the network that ships with nasopt and writes digits.onnx beside this file.

Data: the 1,797 handwritten digits (8x8, 16 grey levels) that scikit-learn carries; every fourth image is for testing. One thread
and one seed: the same machine and the same torch give the same file. ``--validate`` trains with four fifths of the training part and
says how the network does on the rest; the recipe was chosen by how it does there, whole and compressed. It
writes the network that came out to the path that it is given.

The network is wider within its stages than the task needs, as real networks are, and trained with an L1 penalty on the scales of its
normalisations (network slimming, Liu et al., ICCV 2017), which shows where the width is not needed.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import onnx
import torch
from data import load
from torch import Tensor, nn
from torch.nn import functional

EPOCHS = 60
BATCH = 64
PEAK_LEARNING_RATE = 4e-3
WEIGHT_DECAY = 0.2
SCALE_PENALTY = 1.5e-3  # on the sum of the absolute scales
OUTPUT = Path(__file__).with_name("digits.onnx")


class ConvNorm(nn.Sequential):
    """A convolution without bias, its normalisation and, unless told otherwise, a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        if act:
            self.act = nn.ReLU()


class Residual(nn.Module):
    """Two 3x3 convolutions, `inner` channels between them, around which the input is added."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, inner)
        self.conv2 = ConvNorm(inner, channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.conv2(self.conv1(x)))


class Separable(nn.Sequential):
    """A depthwise and a pointwise convolution."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, stride=stride, groups=inputs)
        self.pointwise = ConvNorm(inputs, outputs, 1)


class TwoBranches(nn.Module):
    """A pointwise and a separable branch, concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.left = ConvNorm(channels, channels // 2, 1)
        self.right = Separable(channels, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], dim=1)


class Digits(nn.Module):
    """Small, but with what makes pruning hard in large networks: shortcuts, depthwise convolutions and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(1, 32)
        self.stage1 = Residual(32, 64)
        self.down = Separable(32, 64, stride=2)
        self.stage2 = Residual(64, 96)
        self.branches = TwoBranches(64)
        self.stage3 = Residual(64, 64)
        self.classifier = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stage3(self.branches(self.stage2(self.down(self.stage1(self.stem(images))))))
        return self.classifier(x.mean(dim=(2, 3)))


def shifted(images: Tensor) -> Tensor:
    """Each image moved by at most one pixel up, down, left or right."""
    padded = functional.pad(images, (1, 1, 1, 1))
    rows, columns = torch.randint(0, 3, (2, len(images), 1))
    window = torch.arange(images.shape[-1])
    moved = padded[torch.arange(len(images))[:, None, None], 0, (rows + window)[:, :, None], (columns + window)[:, None, :]]
    return moved[:, None]


def train(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    """AdamW under a cosine schedule."""
    scales: list[Tensor] = [module.weight for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    optimizer = torch.optim.AdamW(network.parameters(), PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * math.ceil(len(images) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps)
    network.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = functional.cross_entropy(network(shifted(images[batch])), labels[batch], label_smoothing=0.1)
            loss = loss + SCALE_PENALTY * torch.cat(scales).abs().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        print(f"epoch {epoch + 1:3d}  loss {total / len(images):.4f}")


def export(network: nn.Module, path: Path) -> None:
    """Writes the trained network, its normalisations as nodes of their own, for a batch of any size.

    By torch's older exporter: the newer one folds each normalisation into its convolution, or else spells out a zero bias for every
    convolution that has none.
    """
    torch.onnx.export(
        network.eval(),
        (torch.zeros(2, 1, 8, 8),),
        path,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=18,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        dynamo=False,
    )
    onnx.checker.check_model(path, full_check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--validate", type=Path, metavar="MODEL.onnx", help="leave every fifth training image out, and write here")
    validate = parser.parse_args().validate
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    (images, labels), test_part = load()
    parts = {"train": (images, labels), "test": test_part}
    if validate:
        left_out = np.arange(len(labels)) % 5 == 0
        parts = {"train": (images[~left_out], labels[~left_out]), "validation": (images[left_out], labels[left_out])}
    tensors = {name: (torch.from_numpy(part[0]), torch.from_numpy(part[1])) for name, part in parts.items()}
    network = Digits()
    train(network, *tensors["train"])
    network.eval()
    for name, (inputs, wanted) in tensors.items():
        with torch.no_grad():
            hits = int((network(inputs).argmax(1) == wanted).sum())
        print(f"{name}: {hits} of {len(wanted)} right, {hits / len(wanted):.2%}")
    output = validate or OUTPUT
    export(network, output)
    print(f"{output.name}: {output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
