"""Which measure of importance keeps most accuracy: every one of them, on every network of `$NASOPT_DATA/models`.

The choice of channels is the greedy one, so that measures are compared and not searches. Settings are chosen by these figures, hence
they come from *training* images of CIFAR-10 (the first `--limit`; a prefix is balanced); for the other two networks there is only the
sample that `accuracy` uses, here thinned out.

    python -m benchmarks.importances [--network NAME] [--limit 1000] > importances.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.accuracy_data import CIFAR_MEAN, CIFAR_STD, batches, cifar10, data_dir, evaluate, runner
from benchmarks.cache import cache_dir
from benchmarks.document import commit, document, say
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import content_hash, read_model
from nasopt.mutations import apply_edit
from nasopt.mutations.importance import DEFAULT, IMPORTANCES
from nasopt.search.allocate import allocate
from nasopt.search.constraints import Constraints

DROPS = (0.135, 0.3, 0.5)
GRANULARITIES = (1, 8)
SAMPLES = {"mobilefacenet_112x96": ("lfw", 200), "efficientnet_lite0": ("imagenet", 200)}


def accuracy(name: str, model: Path | bytes, limit: int) -> float:
    if name in SAMPLES:
        task, count = SAMPLES[name]
        return evaluate(model, task, limit=count)  # type: ignore[arg-type]
    pixels, labels = cifar10("train", limit)
    return float((runner(model)(batches(pixels, CIFAR_MEAN, CIFAR_STD)).argmax(1) == labels).mean())


def rows(names: list[str], limit: int, *, fresh: bool) -> Iterator[dict[str, object]]:
    from nasopt.api.preparation import compile_space

    folder = cache_dir() / "importances"
    folder.mkdir(exist_ok=True)
    for name in names:
        path = data_dir() / "models" / f"{name}.onnx"
        before = accuracy(name, path, limit)
        graph = Graph(read_model(path), origin=str(path))
        for importance in IMPORTANCES:
            state = folder / f"{name}-{content_hash(path)[-12:]}-{importance}-{limit}-{commit().rstrip('+')}.json"
            if fresh or not state.exists():
                found = []
                _, space = compile_space(graph, [], importance, 0)
                for granularity in GRANULARITIES:
                    for drop in DROPS:
                        constraints = Constraints({"flops": drop}, {"flops": totals(graph).macs})
                        chosen = allocate(space, constraints, granularity=granularity, generations=0, best_effort=True)
                        model = apply_edit(graph, chosen.space.edit(chosen.kept.tolist()))
                        found.append(
                            {"granularity": granularity, "drop": drop, "accuracy": accuracy(name, model.SerializeToString(), limit)}
                        )
                state.write_text(json.dumps(found))
            known = json.loads(state.read_text())
            say(name, importance, round(before, 3), [round(row["accuracy"], 3) for row in known])
            yield from ({"network": name, "importance": importance, "before": before, **row} for row in known)


def main() -> None:
    names = sorted(path.stem for path in (data_dir() / "models").glob("*.onnx"))
    parser = argparse.ArgumentParser(description="Measures of importance by the accuracy that they keep; prints one JSON document.")
    parser.add_argument("--network", choices=names, action="append")
    parser.add_argument("--limit", type=int, default=1000, help="training images of CIFAR-10")
    parser.add_argument("--fresh", action="store_true")
    a = parser.parse_args()
    found = list(rows(a.network or names, a.limit, fresh=a.fresh))
    kept: dict[str, dict[str, float]] = {}
    for importance in IMPORTANCES:
        own = [row for row in found if row["importance"] == importance]
        mean = {"all": float(np.mean([row["accuracy"] / row["before"] for row in own]))}  # type: ignore[operator]
        for key in ("granularity", "drop"):
            for value in sorted({row[key] for row in own}):  # type: ignore[type-var]
                part = [row["accuracy"] / row["before"] for row in own if row[key] == value]  # type: ignore[operator]
                mean[f"{key} {value}"] = float(np.mean(part))
        kept[importance] = {name: round(value, 4) for name, value in mean.items()}
    best = max(kept, key=lambda importance: kept[importance]["all"])
    body = {"what": "share of the accuracy that is kept, mean over networks", "default": DEFAULT, "best": best, "kept": kept}
    print(document({**body, "limit": a.limit, "samples": SAMPLES, "results": found}))


if __name__ == "__main__":
    main()
