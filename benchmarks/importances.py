"""Which measure of importance keeps most accuracy: every one of them, on every network of `$NASOPT_DATA/models`.

The choice of channels is the greedy one, so that measures are compared and not searches. Settings are chosen by these figures, hence
they come from the part of the images that no reported accuracy uses: the first `--limit` *training* images of CIFAR-10 (a prefix is
balanced), 150 LFW pairs, 200 photographs. What counts is the share kept of the accuracy beyond guessing.

    python -m benchmarks.importances [--network NAME] [--limit 300] > importances.json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy_data import CHANCE, TASKS, data_dir, measured
from benchmarks.document import document, say
from nasopt.api.preparation import compile_space
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph, load_graph
from nasopt.mutations import apply_edit
from nasopt.mutations.importance import BY_DERIVATIVES, DEFAULT, IMPORTANCES, WITH_INPUTS
from nasopt.mutations.space import SearchSpace
from nasopt.search.allocate import allocate
from nasopt.search.constraints import Constraints
from nasopt.search.granularity import Granularity

DROPS = (0.135, 0.3, 0.5)
GRANULARITIES = (1, 8)

MEASURES = [name for name in IMPORTANCES if name not in (WITH_INPUTS, *BY_DERIVATIVES)]
"""Those that need no inputs."""


@dataclass(frozen=True)
class Row:
    """One network, pruned by one measure; `kept` is the share of the accuracy beyond guessing."""

    network: str
    importance: str
    granularity: int
    drop: float
    before: float
    accuracy: float
    kept: float


def greedy(graph: Graph, space: SearchSpace, drop: float, granularity: Granularity) -> bytes:
    """The network that the greedy choice leaves; the nearest to the drop where that is out of reach."""
    constraints = Constraints({"flops": drop}, {"flops": totals(graph).macs})
    chosen = allocate(space, constraints, granularity=granularity, generations=0, best_effort=True)
    return apply_edit(graph, chosen.space.edit(chosen.kept.tolist())).SerializeToString(deterministic=True)


def judged(name: str, model: Path | bytes, limit: int, *, fresh: bool) -> float:
    """Accuracy on the part that settings are chosen on, at most `limit` images of CIFAR-10."""
    task = TASKS[name]
    return measured(model, task, part="choose", limit=limit if task == "cifar10" else None, fresh=fresh)["accuracy"]


def share(name: str, before: float, after: float) -> float:
    """Of the accuracy beyond guessing."""
    chance = CHANCE[TASKS[name]]
    return (after - chance) / (before - chance)


def rows(names: list[str], limit: int, *, fresh: bool) -> Iterator[Row]:
    for name in names:
        path = data_dir() / "models" / f"{name}.onnx"
        before, graph = judged(name, path, limit, fresh=fresh), load_graph(path)
        for importance in MEASURES:
            found = []
            _, space = compile_space(graph, [], importance, 0)
            for granularity in GRANULARITIES:
                for drop in DROPS:
                    after = judged(name, greedy(graph, space, drop, granularity), limit, fresh=fresh)
                    found.append(Row(name, importance, granularity, drop, before, after, share(name, before, after)))
            say(name, importance, round(before, 3), [round(row.kept, 3) for row in found])
            yield from found


def means(found: list[Row]) -> dict[str, dict[str, float]]:
    """Measure → mean of what is kept: in all, by step and drop, by network."""
    table: dict[str, dict[str, float]] = {}
    for importance in MEASURES:
        parts: dict[str, list[float]] = {}
        for row in found:
            if row.importance == importance:
                for key in ("all", f"step {row.granularity}, drop {row.drop}", row.network):
                    parts.setdefault(key, []).append(row.kept)
        table[importance] = {key: round(float(np.mean(values)), 4) for key, values in parts.items()}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures of importance by the accuracy that they keep; prints one JSON document.")
    parser.add_argument("--network", choices=TASKS, action="append")
    parser.add_argument("--limit", type=int, default=300, help="training images of CIFAR-10")
    parser.add_argument("--fresh", action="store_true")
    a = parser.parse_args()
    found = list(rows(a.network or list(TASKS), a.limit, fresh=a.fresh))
    kept = means(found)
    best = max(kept, key=lambda importance: kept[importance]["all"])
    body = {"what": "share kept of the accuracy beyond guessing, means", "default": DEFAULT, "best": best, "kept": kept}
    print(document({**body, "limit": a.limit, "results": [asdict(row) for row in found]}))


if __name__ == "__main__":
    main()
