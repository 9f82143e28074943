"""Accuracy of networks on the test part of the digits: ``python examples/digits/evaluate.py MODEL.onnx ...``."""

from __future__ import annotations

import sys

import onnxruntime
from data import load


def accuracy(path: str) -> float:
    """Share of the test images that the network in the file gets right."""
    images, labels = load()[1]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: images})
    return float((logits.argmax(axis=1) == labels).mean())


if __name__ == "__main__":
    for model in sys.argv[1:]:
        print(f"{accuracy(model):.2%}  {model}")
