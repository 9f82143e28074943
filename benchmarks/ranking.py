"""What the parts of choosing and repairing with data are worth: probed losses, rectifiers, rows; `fisher`, `taylor`.

500 training images of CIFAR-10 to learn from; agreement with the original's class, and the divergence of the outputs, on 2,000 other
training images. The allocation is searched as in `compress`, in steps of 4, without measured candidates.

    python -m benchmarks.ranking [--network resnet20_cifar10_jpeg] > ranking.json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from benchmarks.accuracy_data import CIFAR_MEAN, CIFAR_STD, batches, cifar10, data_dir
from benchmarks.document import document, say
from nasopt.api.preparation import compile_space, prepare
from nasopt.api.probing import probed
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.units import couple, solve
from nasopt.graphs.write_back import write_weights
from nasopt.mutations.importance import Evidence, rank
from nasopt.mutations.rewrite import remove_units
from nasopt.mutations.space import SearchSpace
from nasopt.runtime import reconstruct as module
from nasopt.runtime.calibration import Calibration, read_calibration
from nasopt.runtime.features import FEW_ROWS, MANY_ROWS, Sample
from nasopt.runtime.fidelity import answers, divergence
from nasopt.runtime.grams import gather
from nasopt.search.allocate import allocate
from nasopt.search.constraints import Constraints

NETWORKS = ("resnet20_cifar10_jpeg", "resnet56_cifar10_jpeg")
DROPS, STEP = (0.3, 0.5), 4
IMAGES, JUDGES = 500, 2000


@dataclass(frozen=True)
class Row:
    network: str
    drop: float
    ranking: str
    repair: str
    agreement: float
    divergence: float


def rows(network: str) -> Iterator[Row]:
    original = load_graph(data_dir() / "models" / f"{network}.onnx")
    _, graph = prepare(original)
    calibration, judges = _inputs(graph)
    expected = answers(graph.model, judges)
    cost = totals(original)
    for drop in DROPS:
        constraints = Constraints({"flops": drop}, {"flops": cost.macs, "params": cost.params, "memory": cost.peak_activation_bytes})
        for ranking, space in _spaces(graph, calibration):
            kept = allocate(space, constraints, granularity=STEP).kept.tolist()
            plain = {"rectifiers, many rows": (2, MANY_ROWS)}
            more = {"linear": (0, FEW_ROWS), "rectifiers": (2, FEW_ROWS)} if ranking.startswith("surgery") else {}
            for name, (rounds, sample) in {**more, **plain}.items():
                module.ROUNDS = rounds
                got = answers(_mended(space, kept, calibration, sample), judges)
                same = np.concatenate([one[0].argmax(1) == other[0].argmax(1) for one, other in zip(expected, got, strict=True)])
                row = Row(network, drop, ranking, name, float(same.mean()), divergence(expected, got))
                say(row)
                yield row


def _inputs(graph: Graph) -> tuple[Calibration, list[dict[str, np.ndarray]]]:
    pixels, _ = cifar10("train")
    drawn = np.random.default_rng(0).permutation(len(pixels))
    learnt, judged = (np.concatenate(list(batches(pixels[part], CIFAR_MEAN, CIFAR_STD))) for part in (drawn[:IMAGES], drawn[-JUDGES:]))
    (name,) = graph.inputs
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", learnt)
        calibration = read_calibration(Path(folder) / "images.npy", graph, limit=IMAGES)
    return calibration, [{name: judged[start : start + 250]} for start in range(0, JUDGES, 250)]


def _spaces(graph: Graph, calibration: Calibration) -> Iterator[tuple[str, SearchSpace]]:
    """By `surgery`, and by gradients: losses as they are, and in units of probed divergence."""
    seen = calibration.few(IMAGES)
    coupling, grams = couple(graph), gather(graph, seen)
    units = solve(coupling)
    surgery = SearchSpace.compile(units, rank("surgery", Evidence(coupling, units, {}, grams)), [STEP] * len(units.groups))
    others = ((name, compile_space(graph, (), name, 0, seen)[1]) for name in ("fisher", "taylor"))
    for name, space in (("surgery", surgery), *others):
        yield name, space
        yield f"{name}, probed", probed(space, grams, calibration.held_out, lambda *_: None)


def _mended(space: SearchSpace, kept: list[int], calibration: Calibration, sample: Sample) -> onnx.ModelProto:
    units, removed = space.units, space.removed(kept)
    smaller = Graph(remove_units(units, removed), units.graph.bound)
    changed, _ = module.reconstruct(
        units.graph, smaller, lambda value, axis: units.keep(value, axis, removed), calibration.few(IMAGES), sample=sample
    )
    return write_weights(smaller.model, changed)


def main() -> None:
    parser = argparse.ArgumentParser(description="What the parts of choosing and repairing with data are worth; prints one JSON document.")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    a = parser.parse_args()
    found = [asdict(row) for network in a.network or NETWORKS[:1] for row in rows(network)]
    print(document({"data": f"{IMAGES} training images to learn from, {JUDGES} others to judge by", "step": STEP, "results": found}))


if __name__ == "__main__":
    main()
