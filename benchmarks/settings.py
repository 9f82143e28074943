"""Settles the constants that are chosen by measurement: `FLATTEN` of the importance, `FAST_STEP` and `WORTH` of the granularity `auto`.

On training images of CIFAR-10 only (the first `--limit`), with the greedy choice of channels. The rules, written before the figures:

* `FLATTEN`: the mean share kept of the accuracy beyond guessing, over networks, drops of 13.5, 30 and 50 %, and steps of 1 and 8.
* `FAST_STEP` and `WORTH`: every setting answers every network and drop. Its score is the mean of the share kept (in %) less
  rate × latency (in % of the original's, measured). The rate is what latency costs by other means: the share that is lost for each percent
  gained in going from the smallest to the largest drop, over networks and fixed steps that reach all drops.
* What stands stays, unless another setting is better by more than a point, about two standard errors of such a mean.

    python -m benchmarks.settings [--network NAME] [--limit 2000] [--repeats 3] > settings.json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import onnx

from benchmarks.accuracy_data import TASKS, data_dir
from benchmarks.document import document, say
from benchmarks.importances import DROPS, greedy, judged, share
from nasopt.api.preparation import compile_space
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph, load_graph
from nasopt.mutations import importance
from nasopt.runtime.latency import timings
from nasopt.runtime.sessions import random_inputs
from nasopt.search import granularity

NETWORKS = ("resnet20_cifar10_jpeg", "resnet56_cifar10_jpeg")
FLATTEN = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
FAST_STEP = (1, 2, 4, 8)
WORTH_16 = (1.0, 1.25, 1.5, 2.0, 3.0, 10.0)
WORTH_8 = (1.0, 1.1, 1.25, 1.5, 2.0)
STEPS = (16, 8, 4, 2, 1)
RATES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Added after the first run: how far the verdict hangs on the rate."""
MARGIN = 1.0
"""Points by which another setting has to be better."""


@contextmanager
def constants(module: ModuleType, **values: object) -> Iterator[None]:
    before = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


@dataclass(frozen=True)
class Answer:
    """One result: what it keeps of the accuracy beyond guessing, and its latency beside the original's; both in percent."""

    kept: float
    latency: float


def flatten(networks: list[str], limit: int, *, fresh: bool) -> dict[str, float]:
    """Value → percent kept, the mean."""
    means = {}
    for value in FLATTEN:
        found = []
        for name in networks:
            path = data_dir() / "models" / f"{name}.onnx"
            before, graph = judged(name, path, limit, fresh=fresh), load_graph(path)
            with constants(importance, FLATTEN=value):
                _, space = compile_space(graph, [], importance.DEFAULT, 0)
            for step, drop in product((1, 8), DROPS):
                after = judged(name, greedy(graph, space, drop, step), limit, fresh=fresh)
                found.append(100 * share(name, before, after))
        means[f"{value:g}"] = round(float(np.mean(found)), 2)
        say("FLATTEN", value, means[f"{value:g}"], np.round(found, 1).tolist())
    return means


def settings() -> Iterator[tuple[int, dict[int, float]]]:
    """`FAST_STEP` and `WORTH`; where steps of 8 are the finest, nothing hangs on what they are worth."""
    for fast, full, half in product(FAST_STEP, WORTH_16, WORTH_8):
        if fast < 8 or half == WORTH_8[0]:
            yield fast, {16: full, 8: half}


def answers(name: str, limit: int, repeats: int, *, fresh: bool) -> tuple[dict[str, dict[float, Answer]], dict[str, dict[float, Answer]]]:
    """Of one network: setting → drop → answer, and the same for fixed steps (where they reach the drop)."""
    path = data_dir() / "models" / f"{name}.onnx"
    graph = load_graph(path)
    _, space = compile_space(graph, [], importance.DEFAULT, 0)
    models: dict[tuple[str, float], bytes] = {}
    for drop in DROPS:
        for fast, worth in settings():
            with constants(granularity, FAST_STEP=fast, WORTH=worth):
                models[str((fast, worth)), drop] = greedy(graph, space, drop, "auto")
        for step in STEPS:
            model = greedy(graph, space, drop, step)
            if totals(Graph(onnx.load_model_from_string(model))).macs <= (1 - drop) * totals(graph).macs:
                models[str(step), drop] = model
    distinct = list(dict.fromkeys(models.values()))
    before = judged(name, path, limit, fresh=fresh)
    kept = [share(name, before, judged(name, model, limit, fresh=fresh)) for model in distinct]
    protos = [graph.model, *map(onnx.load_model_from_string, distinct)]
    inputs = [random_inputs(graph, 0)] * len(protos)
    times = [timings(protos, inputs, threads=1, seconds=20.0) for _ in range(repeats)]
    ratios = np.median([np.median(turns / turns[:, :1], axis=0) for turns in times], axis=0)[1:]
    known = {model: Answer(100 * k, 100 * ratio) for model, k, ratio in zip(distinct, kept, ratios.tolist(), strict=True)}
    found: tuple[dict[str, dict[float, Answer]], dict[str, dict[float, Answer]]] = {}, {}
    for (key, drop), model in models.items():
        found[key.isdigit()].setdefault(key, {})[drop] = known[model]
    for key, row in found[1].items():
        say(name, "step", key, {drop: (round(answer.kept, 1), round(answer.latency, 1)) for drop, answer in row.items()})
    return found


def price(fixed: list[dict[str, dict[float, Answer]]]) -> float:
    """Percent of the accuracy that one percent of latency costs where it is bought by a larger drop."""
    whole = [row for network in fixed for row in network.values() if len(row) == len(DROPS)]
    lost = sum(row[DROPS[0]].kept - row[DROPS[-1]].kept for row in whole)
    return lost / sum(row[DROPS[0]].latency - row[DROPS[-1]].latency for row in whole)


def scores(autos: list[dict[str, dict[float, Answer]]], rate: float) -> dict[str, float]:
    """Setting → its score, the mean over networks and drops."""
    return {
        key: round(float(np.mean([answer.kept - rate * answer.latency for auto in autos for answer in auto[key].values()])), 2)
        for key in autos[0]
    }


def verdict(by_setting: dict[str, float], standing: str) -> dict[str, Any]:
    best = max(by_setting, key=lambda key: by_setting[key])
    ahead = round(by_setting[best] - by_setting[standing], 2)
    settled = best if ahead > MARGIN else standing
    return {"standing": standing, "best": best, "ahead": ahead, "settled": settled, "scores": by_setting}


def main() -> None:
    parser = argparse.ArgumentParser(description="Settles constants on training images; prints one JSON document.")
    parser.add_argument("--network", choices=TASKS, action="append")
    parser.add_argument("--limit", type=int, default=2000, help="training images of CIFAR-10")
    parser.add_argument("--repeats", type=int, default=3, help="of the timing")
    parser.add_argument("--fresh", action="store_true")
    a = parser.parse_args()
    networks = a.network or list(NETWORKS)
    body: dict[str, Any] = {"networks": networks, "limit": a.limit}
    body["FLATTEN"] = verdict(flatten(networks, a.limit, fresh=a.fresh), f"{importance.FLATTEN:g}")
    pairs = [answers(name, a.limit, a.repeats, fresh=a.fresh) for name in networks]
    rate = price([fixed for _, fixed in pairs])
    standing = str((granularity.FAST_STEP, granularity.WORTH))
    body["FAST_STEP and WORTH"] = {"rate": round(rate, 3)} | verdict(scores([auto for auto, _ in pairs], rate), standing)
    body["at other rates"] = {}
    for other in RATES:
        found = verdict(scores([auto for auto, _ in pairs], other), standing)
        body["at other rates"][str(other)] = {key: value for key, value in found.items() if key != "scores"}
    body["steps"] = {
        name: {key: {str(drop): asdict(answer) for drop, answer in row.items()} for key, row in (auto | fixed).items()}
        for name, (auto, fixed) in zip(networks, pairs, strict=True)
    }
    print(document(body))


if __name__ == "__main__":
    main()
