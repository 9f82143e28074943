"""Does what can be said of a pruned network before it is trained rank what comes out? Within bands of equal MACs.

    python -m benchmarks.pruned_ranks [--network resnet20_cifar10_jpeg] [--variants 20] [--recipe repair|distil] [--steps 100]

In each band, random allocations of channels with MACs within 1 % of each other. All are pruned in the same order of channels
(`surgery`, 500 images) and get one recipe: `repair`, least squares on the same images, as `compress --data` does; or `distil`, `--steps` of
128 images from the original, inherited weights first, on 10,000 images of CIFAR-10's training set without labels. All are judged
on the test images. Rank correlations (Spearman) within bands, and their mean over bands with a 95 % bootstrap interval over variants,
of: saliency (`surgery`: predicted divergence, `meanfield`: without data), AIO-P's predicted change (the shipped CIFAR-10 predictor),
parameters, activations, nwot (Mellor et al., ICML 2021) and synflow (Tanaka et al., NeurIPS 2020) on random weights, and mean ranks of
saliency and others. Resumable: what was measured stays in $NASOPT_BENCH_CACHE.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.cache import remembered
from benchmarks.document import document, say
from benchmarks.protocols import base_hits, hits, images
from benchmarks.recipe import calibration, distilled, prepared
from nasopt.api.preparation import compile_space
from nasopt.api.repair import ENOUGH, lesson, repair
from nasopt.graphs.graph import Graph
from nasopt.graphs.write_back import write_weights
from nasopt.mutations.rewrite import remove_units
from nasopt.mutations.space import SearchSpace
from nasopt.predictors.aiop.population import PopulationPredictor
from nasopt.predictors.shipped import shipped
from nasopt.runtime.sessions import open_session

Row = dict[str, Any]
Array = np.ndarray[Any, Any]

BANDS = (0.3, 0.5, 0.7)
"""Drops of MACs."""
WITHIN = 0.005
"""Of the band's MACs, either way."""
LEARNED, RANKED = 10_000, 500
CODES = 64
"""Images that nwot looks at."""
DRAWS = 3
"""Random weights that proxies are averaged over."""
BOOTSTRAPS = 1000
COMBINED = {"surgery+aiop": ("surgery", "aiop"), "surgery+nwot": ("surgery", "nwot"), "meanfield+aiop": ("meanfield", "aiop")}


def allocations(space: SearchSpace, drop: float, count: int, seed: int) -> Array:
    """Random allocations in a band, (count, groups): each group's share is drawn, then all are raised to the power that meets the band."""
    rng = np.random.default_rng((seed, round(1000 * drop)))
    lengths = np.array([len(group) for group in space.units.groups])
    goal = (1 - drop) * float(space.costs.macs(lengths[None])[0])
    found: list[Array] = []
    while len(found) < count:
        shares = rng.uniform(0.2, 1.0, len(lengths))
        powers = np.linspace(0.02, 4, 400)
        rows = np.clip(np.rint(lengths * shares ** powers[:, None]), 1, lengths).astype(np.int64)
        off = np.abs(space.costs.macs(rows) / goal - 1)
        best = int(off.argmin())
        if off[best] <= WITHIN:
            found.append(rows[best])
    return np.array(found)


def randomised(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """With weights drawn anew (normal, He et al.) and norms that do nothing."""
    drawn = onnx.ModelProto()
    drawn.CopyFrom(model)
    norms = {name: place for node in drawn.graph.node if node.op_type == "BatchNormalization" for place, name in enumerate(node.input)}
    rng = np.random.default_rng(seed)
    for tensor in drawn.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if tensor.name in norms:
            value = np.full(value.shape, {1: 1.0, 4: 1.0}.get(norms[tensor.name], 0.0), np.float32)
        elif value.ndim > 1 and value.dtype == np.float32:
            value = rng.normal(0, np.sqrt(2 / np.prod(value.shape[1:])), value.shape).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return drawn


def nwot(model: onnx.ModelProto, inputs: Array, seed: int) -> float:
    """Log-determinant of how often two images switch rectifiers alike."""
    watched = randomised(model, seed)
    names = [node.output[0] for node in watched.graph.node if node.op_type == "Relu"]
    watched.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = open_session(watched)
    feed = session.get_inputs()[0].name
    values = session.run(names, {feed: inputs})
    alike = np.zeros((len(inputs), len(inputs)))
    for value in values:
        on = (value.reshape(len(inputs), -1) > 0).astype(np.float64)
        alike += on @ on.T + (1 - on) @ (1 - on).T
    return float(np.linalg.slogdet(alike)[1])


def synflow(model: onnx.ModelProto, shape: Sequence[int], seed: int) -> float:
    """Sum over weights of |weight x gradient| for an input of ones and positive weights, as a logarithm."""
    import torch

    from nasopt.runtime.bridge import to_torch

    graph = Graph(randomised(model, seed))
    network = to_torch(graph).double()
    with torch.no_grad():
        for value in network.parameters():
            value.abs_()
    (name,) = graph.inputs
    (output,) = network({name: torch.ones((1, *shape[1:]), dtype=torch.float64)})
    output.sum().backward()
    total = sum(float((value * value.grad).abs().sum()) for value in network.parameters() if value.grad is not None)
    return float(np.log(max(total, 1e-300)))


def distilled_model(network: str, original: Graph, smaller: Graph, steps: int) -> onnx.ModelProto:
    """After a short distillation from the original."""
    done = distilled(original, smaller, calibration(original, network, 0, LEARNED), steps=steps, draw=0)
    return write_weights(smaller.model, done.tensors)


def repaired_models(network: str, original: Graph, space: SearchSpace) -> Callable[[Array, Graph], onnx.ModelProto]:
    """What makes the weights of a pruned network fit, as `compress` does."""

    def silent(*_: object) -> None:
        pass

    taught = lesson(original, calibration(original, network, 0, RANKED), threads=1, report=silent)

    def mend(kept: Array, smaller: Graph) -> onnx.ModelProto:
        return repair(space.units, space.removed(kept.tolist()), smaller.model, taught, threads=1, report=silent).model

    return mend


def outcome(key: tuple[object, ...], network: str, make: Callable[[], onnx.ModelProto]) -> float:
    """Accuracy on the test images, measured once."""

    def measure() -> Row:
        found = hits(make().SerializeToString(), network, 0)
        say(key, found.mean())
        return {"accuracy": 100 * float(found.mean())}

    return float(remembered("pruned_ranks", key, measure)["accuracy"])


def predictions(network: str, spaces: dict[str, SearchSpace], kept: Array, models: Sequence[onnx.ModelProto]) -> dict[str, Array]:
    """All that is said before training, by name, larger is better: (variants,) each."""
    space = spaces["surgery"]
    pixels = images(network, 1, CODES)
    change, _ = PopulationPredictor(shipped("cifar10"), space.costs).change(kept)
    told = {name: one.saliency(kept) for name, one in spaces.items()} | {"aiop": change}
    told |= {"params": space.costs.params(kept), "activations": space.costs.activation_bytes(kept), "macs": space.costs.macs(kept)}
    told["nwot"] = np.array([np.mean([nwot(model, pixels, seed) for seed in range(DRAWS)]) for model in models])
    told["synflow"] = np.array([np.mean([synflow(model, pixels.shape, seed) for seed in range(DRAWS)]) for model in models])
    return told


def ranks(values: Array) -> Array:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values))


def correlations(bands: Sequence[tuple[Array, dict[str, Array]]]) -> Row:
    """Spearman within each band, the mean, and its interval."""
    from scipy.stats import spearmanr

    def srcc(first: Array, second: Array) -> float:
        return float(np.nan_to_num(spearmanr(first, second)[0])) if np.ptp(first) > 0 and np.ptp(second) > 0 else 0.0

    names = [*bands[0][1], *COMBINED]

    def of(name: str, told: dict[str, Array]) -> Array:
        return told[name] if name in told else np.mean([ranks(told[part]) for part in COMBINED[name]], axis=0)

    rng, results = np.random.default_rng(0), {}
    for name in names:
        each = [srcc(of(name, told), truth) for truth, told in bands]
        drawn = []
        for _ in range(BOOTSTRAPS):
            rows = [rng.integers(0, len(truth), len(truth)) for truth, _ in bands]
            drawn.append(np.mean([srcc(of(name, told)[row], truth[row]) for (truth, told), row in zip(bands, rows, strict=True)]))
        results[name] = {"srcc": each, "mean": float(np.mean(each)), "interval": [float(end) for end in np.percentile(drawn, [2.5, 97.5])]}
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description="Rank correlations within bands of equal MACs; prints one JSON document.")
    parser.add_argument("--network", choices=("resnet20_cifar10_jpeg", "resnet56_cifar10_jpeg"), default="resnet20_cifar10_jpeg")
    parser.add_argument("--variants", type=int, default=20)
    parser.add_argument("--recipe", choices=("repair", "distil"), default="repair")
    parser.add_argument("--steps", type=int, default=100, help="of distillation")
    a = parser.parse_args()
    original = prepared(a.network)
    few = calibration(original, a.network, 0, RANKED)
    units, learned = compile_space(original, [], "surgery", 0, few.few(ENOUGH), few.held_out)
    spaces = {"surgery": learned, "meanfield": compile_space(original, [], "meanfield", 0)[1]}
    bands, told, mend = [], [], repaired_models(a.network, original, learned)
    for band in BANDS:
        kept = allocations(learned, band, a.variants, 0)
        smaller = [Graph(remove_units(units, learned.removed(row.tolist())), original.bound) for row in kept]
        makers = [
            partial(mend, row, one) if a.recipe == "repair" else partial(distilled_model, a.network, original, one, a.steps)
            for row, one in zip(kept, smaller, strict=True)
        ]
        recipe = a.recipe if a.recipe == "repair" else a.steps
        truth = np.array([outcome((a.network, band, place, recipe), a.network, make) for place, make in enumerate(makers)])
        said = predictions(a.network, spaces, kept, [one.model for one in smaller])
        spread = float(np.ptp(said["macs"]) / said["macs"].mean())
        told.append({"drop": band, "accuracy": [float(truth.min()), float(truth.mean()), float(truth.max())], "macs_spread": spread})
        say(told[-1])
        bands.append((truth, {name: values for name, values in said.items() if name != "macs"}))
    whole = 100 * float(base_hits(a.network, 0).mean())
    print(
        document(
            {"network": a.network, "accuracy": whole, "recipe": a.recipe, "steps": a.steps, "bands": told, "results": correlations(bands)}
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
