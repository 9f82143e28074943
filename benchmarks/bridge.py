"""Does the bridge to PyTorch agree with ONNX Runtime on every network, how long does it take, and do gradients reach every weight?

Every network of `benchmarks.reach`, on one random input: agreement (ONNX Runtime's graph optimisations off), the time that building
takes, forward times in turns (optimisations on, one thread each), whether the gradients of the sum of squared outputs are finite and
how many weights get none, whether a batch equals its parts, and whether weights written back, unchanged and changed, are in the file.

Where the two differ by more than 1e-4, both are compared with the network in float64: it is good if PyTorch is the closer one.

    python -m benchmarks.bridge [--only GLOB] > bridge.json
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from time import perf_counter
from typing import Any

import numpy as np
import torch
from onnx import TensorProto

from benchmarks.document import document, say
from benchmarks.reach import Case, cases
from nasopt.errors import NasoptError
from nasopt.graphs.graph import Graph, load_graph
from nasopt.runtime.bridge import TorchNetwork, to_torch, write_weights
from nasopt.runtime.sessions import open_session, random_inputs, run

LARGEST_ERROR = 1e-4
TURNS = 7


@dataclass(frozen=True)
class Row:
    """What one network came to; only `network` and `refused` are set where it is refused."""

    network: str
    refused: str = ""
    error: float | None = None
    onnxruntime_from_float64: float | None = None
    torch_from_float64: float | None = None
    build_ms: float | None = None
    onnxruntime_ms: float | None = None
    torch_ms: float | None = None
    ratio: float | None = None
    parameters: int | None = None
    trainable: int | None = None
    gradients_finite: bool | None = None
    without_gradient: int | None = None
    batchable: bool | None = None
    written_back: bool | None = None

    @property
    def good(self) -> bool:
        return bool(self.refused) or bool(self.agrees and self.gradients_finite and self.written_back)

    @property
    def agrees(self) -> bool:
        if self.onnxruntime_from_float64 is not None and self.torch_from_float64 is not None:
            return self.torch_from_float64 <= self.onnxruntime_from_float64
        return self.error is not None and self.error <= LARGEST_ERROR


def measure(case: Case) -> Row:
    try:
        graph = load_graph(case.path, case.shapes or None)
        begun = perf_counter()
        network = to_torch(graph)
        build = perf_counter() - begun
        feed = random_inputs(graph, 0)
        expected = run(open_session(graph.model, optimise=False), feed)
    except NasoptError as error:
        return Row(case.name, refused=str(error))
    with torch.no_grad():
        got = network(feed)
        error = max(map(difference, expected, got))
        exact = in_float64(network, feed) if error > LARGEST_ERROR else None
    reference, own = times(network, open_session(graph.model), feed)
    finite, missing = gradients(network, feed)
    return Row(
        case.name,
        error=error,
        onnxruntime_from_float64=max(map(difference, exact, map(torch.tensor, expected))) if exact else None,
        torch_from_float64=max(map(difference, exact, got)) if exact else None,
        build_ms=round(1e3 * build, 1),
        onnxruntime_ms=round(1e3 * reference, 2),
        torch_ms=round(1e3 * own, 2),
        ratio=round(own / reference, 2),
        parameters=sum(tensor.numel() for tensor in network.parameters()),
        trainable=len(list(network.parameters())),
        gradients_finite=finite,
        without_gradient=missing,
        batchable=network.batchable,
        written_back=write_back(graph, network, feed, expected),
    )


def in_float64(network: TorchNetwork, feed: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    """What the network computes in float64 throughout, what it casts to float32 included."""
    double = copy.deepcopy(network).double()
    for step in double._steps:
        if step.call.node.op == "Cast" and step.call.node.attrs["to"] == TensorProto.FLOAT:
            step.call.node = replace(step.call.node, attrs={"to": TensorProto.DOUBLE})
    tensors = {name: torch.tensor(value) for name, value in feed.items()}
    return double({name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()})


def difference(expected: Any, got: torch.Tensor) -> float:
    """max|difference| / max|reference|."""
    a, b = np.asarray(expected), got.detach().numpy()
    if a.shape != b.shape:
        return float("inf")
    gap = np.abs(a.astype(np.float64) - b).max(initial=0.0)
    return float(gap / max(np.abs(a.astype(np.float64)).max(initial=0.0), np.finfo(np.float32).tiny)) if gap else 0.0


def times(network: TorchNetwork, session: Any, feed: dict[str, Any]) -> tuple[float, float]:
    """Medians of ONNX Runtime's and PyTorch's seconds for one forward, in turns."""
    ready = {name: torch.tensor(value) for name, value in feed.items()}
    rows = []
    with torch.inference_mode():
        for _ in range(TURNS):
            start = perf_counter()
            session.run(None, feed)
            middle = perf_counter()
            network(ready)
            rows.append((middle - start, perf_counter() - middle))
    reference, own = np.median(rows, axis=0)
    return float(reference), float(own)


def gradients(network: TorchNetwork, feed: dict[str, Any]) -> tuple[bool, int]:
    """Whether all gradients are finite, and how many weights get none."""
    outputs = [output for output in network(feed) if output.is_floating_point() and output.requires_grad]
    torch.stack([output.square().sum() for output in outputs]).sum().backward()
    found = [tensor.grad for tensor in network.parameters()]
    network.zero_grad()
    return all(bool(grad.isfinite().all()) for grad in found if grad is not None), sum(grad is None for grad in found)


def write_back(graph: Graph, network: TorchNetwork, feed: dict[str, Any], expected: Sequence[Any]) -> bool:
    """Tensors that are as they were leave the file as it was; halved weights are read again to the bit, and ONNX Runtime sees them."""
    if write_weights(graph.model, network.state_dict()).SerializeToString() != graph.model.SerializeToString():
        return False
    halved = {name: tensor.detach() / 2 for name, tensor in network.named_parameters()}
    changed = write_weights(graph.model, halved)
    again = dict(to_torch(Graph(changed, graph.bound)).named_parameters())
    moved = zip(expected, run(open_session(changed, optimise=False), feed), strict=True)
    return all(torch.equal(again[name], tensor) for name, tensor in halved.items()) and any(not np.array_equal(a, b) for a, b in moved)


def line(row: Row) -> str:
    if row.refused:
        return f"{row.network:46} refused: {row.refused}"
    return (
        f"{row.network:46} error {row.error:.0e} build {row.build_ms:.0f} ms torch/ort {row.ratio} gradients {row.gradients_finite} "
        f"({row.without_gradient} of {row.trainable} none) batchable {row.batchable} written {row.written_back}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Agreement of the PyTorch bridge with ONNX Runtime; prints one JSON document.")
    parser.add_argument("--only", action="append", metavar="GLOB", help="names of networks, e.g. 'dynamo/*'")
    a = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case in cases():
        if not a.only or any(fnmatch(case.name, pattern) for pattern in a.only):
            rows.append(measure(case))
            say(line(rows[-1]))
    ran = [row for row in rows if not row.refused]
    summary = {
        "networks": len(rows),
        "agree": sum(row.agrees for row in ran),
        "compared_in_float64": [row.network for row in ran if row.torch_from_float64 is not None],
        "refused": {row.network: row.refused for row in rows if row.refused},
        "failures": [row.network for row in rows if not row.good],
        "largest_error": max((row.error or 0.0 for row in ran), default=None),
        "median_ratio": float(np.median([row.ratio for row in ran])) if ran else None,
    }
    print(document({"summary": summary, "results": [asdict(row) for row in rows]}))
    return 1 if summary["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
