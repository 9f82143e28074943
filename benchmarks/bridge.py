"""Does the bridge to PyTorch agree with ONNX Runtime on every network, how long does it take, and do gradients reach every weight?

Every network of `benchmarks.reach`, on one random input: agreement (ONNX Runtime's graph optimisations off), the time that building
takes, forward times in turns (optimisations on, one thread each), whether the gradients of the sum of squared outputs are finite and
which weights get none, whether a batch equals its parts, and whether all weights written back unchanged, and changed, are in the file.

    python -m benchmarks.bridge [--only GLOB] > bridge.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from time import perf_counter
from typing import Any

import numpy as np
import torch

from benchmarks.document import document, say
from benchmarks.reach import Case, cases
from nasopt.errors import NasoptError
from nasopt.graphs.graph import load_graph
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
        sound = bool(self.gradients_finite and self.written_back)
        return bool(self.refused) or (self.error is not None and self.error <= LARGEST_ERROR and sound)


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
        error = max(map(difference, expected, network(feed)))
    reference, own = times(network, open_session(graph.model), feed)
    finite, missing = gradients(network, feed)
    return Row(
        case.name,
        error=error,
        build_ms=round(1e3 * build, 1),
        onnxruntime_ms=round(1e3 * reference, 2),
        torch_ms=round(1e3 * own, 2),
        ratio=round(own / reference, 2),
        parameters=sum(tensor.numel() for tensor in network.parameters()),
        trainable=len(list(network.parameters())),
        gradients_finite=finite,
        without_gradient=missing,
        batchable=network.batchable,
        written_back=write_back(graph.model, network, feed, expected),
    )


def difference(expected: Any, got: torch.Tensor) -> float:
    """max|difference| / max|reference|."""
    a, b = np.asarray(expected), got.detach().numpy()
    if a.shape != b.shape or a.dtype != b.dtype:
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


def write_back(model: Any, network: TorchNetwork, feed: dict[str, Any], expected: Sequence[Any]) -> bool:
    """Tensors that are as they were leave the file as it was, and halved weights reach ONNX Runtime."""
    if write_weights(model, network.state_dict()).SerializeToString() != model.SerializeToString():
        return False
    halved = {name: tensor.detach() / 2 for name, tensor in network.named_parameters()}
    changed = write_weights(model, halved)
    with torch.no_grad():
        mine = torch.func.functional_call(network, halved, (feed,))
    theirs = run(open_session(changed, optimise=False), feed)
    moved = any(not np.array_equal(before, after) for before, after in zip(expected, theirs, strict=True))
    return (moved or not halved) and max(map(difference, theirs, mine)) <= LARGEST_ERROR


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
        "agree": sum(row.error is not None and row.error <= LARGEST_ERROR for row in ran),
        "refused": {row.network: row.refused for row in rows if row.refused},
        "failures": [row.network for row in rows if not row.good],
        "largest_error": max((row.error or 0.0 for row in ran), default=None),
        "median_ratio": float(np.median([row.ratio for row in ran])) if ran else None,
    }
    print(document({"summary": summary, "results": [asdict(row) for row in rows]}))
    return 1 if summary["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
