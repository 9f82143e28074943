"""Pruned variants of real networks, timed on devices: what a latency predictor is adapted with and judged on.

    python -m benchmarks.variants [--network NAME ...] [--device NAME ...]    # only measures; state in $NASOPT_BENCH_CACHE

Variants are drawn at random: a share of channels that goes, another for each group around it, and steps of 16, 8 or 4 channels. Ten at a
time are timed in turns with the network they were made from; a time is the median of the ratios within a turn, times the network's own. The
first 20 variants of a network are for adaptation, the next 200 to be predicted; 20 of these are timed twice, hours apart or not, which
says how far a measurement can be repeated.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.accuracy_data import data_dir
from benchmarks.cache import remembered
from benchmarks.document import say
from benchmarks.networks import build
from nasopt.api.latency_goal import random_variant
from nasopt.api.preparation import prepare
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.units import Units, couple, solve
from nasopt.mutations.prune_channels import removal_of
from nasopt.mutations.rewrite import remove_units
from nasopt.runtime.devices.registry import backend
from nasopt.runtime.latency import timings
from nasopt.runtime.sessions import random_inputs

Values = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

NETWORKS = ("resnet56", "mobilefacenet", "efficientnet_lite0", "mobilenet_v2", "resnet50", "densenet121")
FILES = {
    "resnet56": "resnet56_cifar10_jpeg.onnx", "mobilefacenet": "mobilefacenet_112x96.onnx", "efficientnet_lite0": "efficientnet_lite0.onnx",
}  # fmt: skip
"""Those of the shared models; the others are built by `benchmarks.networks`."""
DEVICES = ("onnxruntime", "openvino", "openvino-bf16", "torch")
ADAPT, TEST, AGAIN = 20, 200, 20
TOGETHER = 10
SECONDS, FEWEST, MOST = 4.0, 10, 200
"""About how long ten variants and their network are timed, and in how many turns."""


@dataclass(frozen=True)
class Subject:
    """A network and its variants.

    Attributes:
        graph: the network, after the lossless rewrites that come before pruning.
        units: its couplings.
        kept: units kept per group of each variant, (variants, groups).
    """

    graph: Graph
    units: Units
    kept: Ints


@cache
def subject(name: str) -> Subject:
    """A network and its variants; equal on every machine."""
    path = data_dir() / "models" / FILES[name] if name in FILES else build(name, "legacy")
    _, graph = prepare(load_graph(path))
    units = solve(couple(graph))
    rng = np.random.default_rng(NETWORKS.index(name))
    return Subject(graph, units, np.stack([random_variant(units, rng) for _variant in range(ADAPT + TEST)]))


def times(name: str, device: str) -> Values:
    """Milliseconds: of the network itself, its variants, and of the first of the test variants once more, (1 + 220 + 20,)."""
    count = ADAPT + TEST
    rows = [list(range(begin, begin + TOGETHER)) for begin in range(0, count, TOGETHER)]
    rows += [list(range(begin, begin + TOGETHER)) for begin in range(ADAPT, ADAPT + AGAIN, TOGETHER)]
    found = []
    for number, batch in enumerate(rows):
        found.append(remembered("variants", (name, device, number), lambda batch=batch: _timed(name, device, batch)))
        say(name, device, f"{number + 1} of {len(rows)}", round(found[-1]["base"], 3), "ms")
    base = float(np.median([one["base"] for one in found]))
    ratios = np.concatenate([one["ratios"] for one in found])
    return np.concatenate([[base], base * ratios])


def _timed(name: str, device: str, batch: list[int]) -> dict[str, Any]:
    one = subject(name)
    models = [one.graph.model]
    for row in batch:
        order = [group.units for group in one.units.groups]
        models.append(remove_units(one.units, removal_of(one.units, order, one.kept[row].tolist())))
    inputs = random_inputs(one.graph, 0)
    engine = backend(device)
    once = float(np.median(timings(models[:1], [inputs], runs=3, backend=engine)))
    turns = int(np.clip(1e3 * SECONDS / (once * len(models)), FEWEST, MOST))
    measured = timings(models, [inputs] * len(models), runs=turns, backend=engine)
    ratios = np.median(measured[:, 1:] / measured[:, :1], axis=0)
    return {"base": float(np.median(measured[:, 0])), "ratios": ratios.tolist(), "turns": len(measured)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--device", nargs="*", default=list(DEVICES))
    arguments = parser.parse_args()
    for device in arguments.device:
        for name in arguments.network:
            times(name, device)


if __name__ == "__main__":
    main()
