"""Candidates of ResNet-50 scored for costs and by a predictor, from tables: 100,000 in less than a minute?

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.aiop_candidates

Processor time, one thread: MACs and parameters of random candidates of all pruning choices; what a backbone with one adapter says of
them, and the shipped ImageNet ensemble; and, as a check and for comparison, what pruning, reading and asking takes one network at a time.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time
from typing import Any

import numpy as np
import torch

from benchmarks.document import document, say
from benchmarks.networks import build
from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.cost import CostTable, totals
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations.rewrite import remove_units
from nasopt.predictors.aiop.checkpoint import Checkpoint
from nasopt.predictors.aiop.inference import ADAPTER
from nasopt.predictors.aiop.labels import Scale
from nasopt.predictors.aiop.network import Adapter, Network, parameters
from nasopt.predictors.aiop.population import PopulationPredictor
from nasopt.predictors.shipped import shipped

CANDIDATES, BUILT, GOAL = 100_000, 5, 60.0


def main() -> int:
    graph = load_graph(build("resnet50", "legacy"))
    units = solve(couple(graph))
    costs = CostTable(units)
    rng = np.random.default_rng(0)
    lengths = np.array([len(group) for group in units.groups])
    kept = rng.integers(np.maximum(1, lengths // 4), lengths + 1, (CANDIDATES, len(lengths)))
    torch.manual_seed(0)
    imagenet = shipped("imagenet")
    with_adapter = Checkpoint((parameters(Network(), {ADAPTER: Adapter()}),), (Scale("none"),), imagenet.likeness, imagenet.card)
    told: dict[str, Any] = {"candidates": CANDIDATES, "groups": len(lengths), "nodes": len(computational_graph(graph).nodes)}
    begun = time.process_time()
    costs.macs(kept), costs.params(kept)
    told["costs_seconds"] = time.process_time() - begun
    for name, checkpoint in (("backbone_and_adapter", with_adapter), ("shipped_ensemble", imagenet)):
        predictor = PopulationPredictor(checkpoint, costs)
        begun = time.process_time()
        said = predictor.members(kept)
        told[name] = {"members": len(said), "seconds": time.process_time() - begun}
        begun, alone = time.process_time(), []
        for row in kept[:BUILT]:
            removed = np.zeros(units.count, np.bool_)
            for group, count in zip(units.groups, row, strict=True):
                removed[group.units[count:]] = True
            pruned = Graph(remove_units(units, removed), graph.bound)
            cost = totals(pruned)
            features = [computational_graph(pruned).features()]
            alone.append(checkpoint.predict(features, np.array([2 * cost.macs / 1e9]), np.array([cost.params / 1e6]))[:, 0])
        told[name]["built_one_by_one_seconds_each"] = (time.process_time() - begun) / BUILT
        told[name]["largest_difference"] = float(np.abs(np.array(alone).T - said[:, :BUILT]).max())
        say(name, told[name])
    told["reached"] = bool(told["costs_seconds"] + told["backbone_and_adapter"]["seconds"] < GOAL)
    print(document({"goal_seconds": GOAL, "results": told}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
