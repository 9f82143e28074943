"""What synthetic images are worth to a repair without data: dead leaves as they are, matched to the first norm, with the norms restated.

How far each is from what BatchNormalization keeps of the training data, and the accuracy after the repair, greedy choice, steps of 8. On
images that no reported accuracy uses: CIFAR-10's first 2,000 training images, LFW pairs and photographs that are set aside.

    python -m benchmarks.synthetic [--network NAME] [--drop 0.5] > synthetic.json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.accuracy_data import TASKS, data_dir, evaluate
from benchmarks.document import document, say
from nasopt.api.preparation import compile_space, prepare
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.write_back import write_weights
from nasopt.mutations import apply_edit
from nasopt.mutations.importance import DEFAULT
from nasopt.runtime.calibration import Calibration, synthetic_calibration
from nasopt.runtime.matching import matched, restated
from nasopt.runtime.observe import observe
from nasopt.runtime.reconstruct import reconstruct
from nasopt.runtime.sessions import random_inputs
from nasopt.search.allocate import allocate
from nasopt.search.constraints import Constraints

NETWORKS = ("resnet56_cifar10_jpeg", "mobilefacenet_112x96", "efficientnet_lite0")
STEP, LIMIT, WIDEST = 8, 2000, 1200
Batches = Sequence[Mapping[str, np.ndarray[Any, Any]]]


@dataclass(frozen=True)
class Distance:
    """Medians over norms: squared difference of means over the variance kept; |log of the ratio of variances|, a mean over channels."""

    network: str
    inputs: str
    means: float
    variances: float


@dataclass(frozen=True)
class Row:
    network: str
    drop: float
    repair: str
    accuracy: float


def distances(name: str, graph: Graph, inputs: Mapping[str, Batches]) -> Iterator[Distance]:
    norms = [node for node in graph.nodes if node.op == "BatchNormalization"]
    for kind, batches in inputs.items():
        seen = observe(graph, {norm.inputs[0]: 1 for norm in norms}, batches)
        means, variances = [], []
        for norm in norms:
            mean, variance = (graph.weights[stored].array().astype(np.float64) for stored in norm.inputs[3:5])
            found, spread = seen[norm.inputs[0]]
            alive = (variance > 1e-8) & (spread > 1e-8)
            means.append(float(np.median((found - mean)[alive] ** 2 / variance[alive])))
            variances.append(float(np.abs(np.log(spread[alive] / variance[alive])).mean()))
        yield Distance(name, kind, float(np.median(means)), float(np.median(variances)))


def rows(name: str, graph: Graph, plain: Calibration, fitting: Calibration, drops: Sequence[float]) -> Iterator[Row]:
    units, space = compile_space(graph, [], DEFAULT, 0)
    base = totals(graph)
    norms = restated(graph, fitting.fit)
    restated_teacher = Graph(write_weights(graph.model, norms), graph.bound)
    for drop in drops:
        constraints = Constraints({"flops": drop}, {"flops": base.macs, "params": base.params, "memory": base.peak_activation_bytes})
        kept = allocate(space, constraints, granularity=STEP, generations=0).kept.tolist()
        removed = space.removed(kept)
        small = apply_edit(graph, space.edit(kept))
        sliced = {key: norm if (keep := units.keep(key, 0, removed)) is None else norm[keep] for key, norm in norms.items()}
        settings = {
            "inherited": None,
            "dead leaves": (graph, small, plain),
            "matched": (graph, small, fitting),
            "matched, restated": (restated_teacher, write_weights(small, sliced), fitting),
        }
        for kind, setting in settings.items():
            tensors = {}
            if setting is not None:
                teacher, student, calibration = setting
                smaller = Graph(student, graph.bound)
                tensors, _ = reconstruct(
                    teacher, smaller, lambda value, axis, gone=removed: units.keep(value, axis, gone), calibration.fit, widest=WIDEST
                )
            task = TASKS[name]
            limit = LIMIT if task == "cifar10" else None
            accuracy = evaluate(write_weights(small, tensors).SerializeToString(), task, part="choose", limit=limit)
            row = Row(name, drop, kind, accuracy)
            say(row)
            yield row


def main() -> None:
    parser = argparse.ArgumentParser(description="What synthetic images are worth; prints one JSON document.")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--drop", type=float, action="append")
    a = parser.parse_args()
    found: list[Row] = []
    far: list[Distance] = []
    for name in a.network or NETWORKS:
        _, graph = prepare(load_graph(data_dir() / "models" / f"{name}.onnx"))
        plain = synthetic_calibration(graph)
        fitting = matched(graph, plain)
        noise = [random_inputs(graph, seed) for seed in range(16)]
        far += distances(name, graph, {"noise": noise, "dead leaves": plain.fit, "matched": fitting.fit})
        say(far[-3:])
        found += rows(name, graph, plain, fitting, a.drop or [0.3, 0.5])
    print(document({"distances": [asdict(row) for row in far], "accuracy": [asdict(row) for row in found]}))


if __name__ == "__main__":
    main()
