"""Processor time and memory, one thread, beside the peers in the same run: the rows of the design's table.

Parts: `start` (the command line), `groups` (coupled groups of DenseNet-121 and a choice of channels for −13.5 %), `cost` (of one edited
graph inside a population), `search` (pymoo's share per candidate), `compress` (a 100 MB ResNet-50).

    python -m benchmarks.speed [--part start --part groups …] > speed.json
"""

from __future__ import annotations

import argparse
import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.document import ROOT, document, say

DROP = 0.135
RUNNER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)]))
"""


def child(command: Sequence[str]) -> tuple[float, float, int]:
    """Processor seconds, peak MB and exit code of a command.

    A small process starts it and waits for it: the peak of a child counts from the size of whatever forked it.
    """
    done = subprocess.run([sys.executable, "-S", "-c", RUNNER, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, peak, code = json.loads(done.stdout)
    return seconds, peak, code


def repeated(command: Sequence[str], runs: int = 7) -> float:
    """Median processor seconds after a warm-up."""
    child(command)
    return median(child(command)[0] for _ in range(runs))


def clocked(work: Callable[[], Any], runs: int = 5) -> tuple[float, Any]:
    """Median processor seconds of a call, and what it returned last."""
    times, result = [], None
    for _ in range(runs):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return median(times), result


def row(what: str, ours: float, target: float, peer: str, theirs: float, unit: str = "s", **more: object) -> dict[str, object]:
    found = {"what": what, "ours": round(ours, 6), "target": target, "met": ours < target, "peer": peer, "theirs": round(theirs, 6)}
    found |= {"times_less": round(theirs / ours, 1), "unit": unit, **more}
    say(found)
    return found


def start() -> list[dict[str, object]]:
    from benchmarks.networks import build

    model = str(build("mobilenet_v2", "dynamo-optimized"))
    nasopt = [sys.executable, "-m", "nasopt"]
    torch = repeated([sys.executable, "-c", "import torch"])
    size = f"{Path(model).stat().st_size / 1e6:.0f} MB"
    return [
        row("nasopt --help", repeated([*nasopt, "--help"]), 0.15, "import torch", torch),
        row(f"nasopt inspect MobileNetV2 ({size})", repeated([*nasopt, "inspect", model]), 0.5, "import torch", torch),
    ]


def groups() -> list[dict[str, object]]:
    from benchmarks.networks import build
    from nasopt.graphs.graph import load_graph
    from nasopt.graphs.units import couple, solve
    from nasopt.mutations.importance import DEFAULT, Evidence, rank
    from nasopt.mutations.space import SearchSpace
    from nasopt.search.constraints import Constraints
    from nasopt.search.descent import descend, give_back
    from nasopt.search.granularity import CPU_STEP, choose_steps

    path = build("densenet121", "legacy-bn")
    loading, _ = clocked(lambda: load_graph(path), 3)
    stages: dict[str, list[float]] = {}

    def once(importance: str) -> Any:
        graph = load_graph(path)

        def stage(name: str, work: Callable[[], Any]) -> Any:
            begun = time.process_time()
            result = work()
            stages.setdefault(f"{importance}: {name}", []).append(time.process_time() - begun)
            return result

        coupling = stage("couple", lambda: couple(graph))
        units = stage("solve", lambda: solve(coupling))
        ranks = stage("rank", lambda: rank(importance, Evidence(coupling, units)))
        space = stage("cost table", lambda: SearchSpace.compile(units, ranks, [CPU_STEP] * len(units.groups)))
        base = float(space.costs.macs(space.kept((space.lengths - 1)[None]))[0])
        constraints = Constraints({"flops": DROP}, {"flops": base})
        space = stage("granularity", lambda: choose_steps(space, constraints))
        genome = stage("choose", lambda: give_back(space, constraints, descend(space, constraints)[0]))
        return 1 - float(space.costs.macs(space.kept(genome[None]))[0]) / base

    found = []
    theirs, detail = torch_pruning()
    for importance in (DEFAULT, "l2"):
        reached = [once(importance) for _ in range(5)][-1]
        own = {name.partition(": ")[2]: median(times) for name, times in stages.items() if name.startswith(f"{importance}: ")}
        total = sum(own.values())
        what = f"DenseNet-121: coupled groups and channels for -13.5 % by {importance}"
        parts = {name: round(seconds, 4) for name, seconds in own.items()}
        peer = "Torch-Pruning, its own loop (100 steps)"
        found.append(
            row(what, total, 0.3, peer, theirs, stages=parts, with_loading=round(total + loading, 4), reached=round(reached, 4), **detail)
        )
    return found


def torch_pruning() -> tuple[float, dict[str, object]]:
    """Torch-Pruning's way on the same network, once: the dependency graph, then steps of 1 % with a count after each."""
    import torch
    import torch_pruning as tp

    from benchmarks.networks.export import module

    torch.set_num_threads(1)
    model, example = module("densenet121"), torch.zeros(1, 3, 224, 224)
    classifier = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1]
    graph, _ = clocked(lambda: tp.DependencyGraph().build_dependency(model, example_inputs=example), 3)
    base = tp.utils.count_ops_and_params(model, example)[0]
    begun = time.process_time()
    importance = tp.importance.GroupMagnitudeImportance(p=2)
    pruner = tp.BasePruner(model, example, importance=importance, iterative_steps=100, pruning_ratio=1.0, ignored_layers=[classifier])
    steps, macs = 0, base
    while macs > (1 - DROP) * base:
        pruner.step()
        steps, macs = steps + 1, tp.utils.count_ops_and_params(model, example)[0]
    return time.process_time() - begun, {
        "peer_steps": steps,
        "peer_reached": round(1 - macs / base, 4),
        "peer_graph_alone": round(graph, 4),
    }


def cost() -> list[dict[str, object]]:
    import contextlib

    import numpy as np
    import onnx_tool

    from benchmarks.networks import build
    from nasopt.graphs.cost import CostTable
    from nasopt.graphs.graph import load_graph
    from nasopt.graphs.units import couple, solve

    found = []
    for name in ("resnet50", "mobilenet_v2", "densenet121"):
        path = build(name, "legacy")
        units = solve(couple(load_graph(path)))
        table = CostTable(units)
        rng = np.random.default_rng(0)
        kept = np.stack([rng.integers(1, len(group) + 1, 100) for group in units.groups], axis=1)

        def score(table: CostTable = table, kept: Any = kept) -> None:
            for _ in range(20):
                table.macs(kept), table.params(kept), table.peak_activation_bytes(kept)

        with contextlib.redirect_stdout(io.StringIO()):
            whole, model = clocked(lambda path=path: profiled(onnx_tool.Model(str(path))), 3)
            loaded, _ = clocked(lambda model=model: profiled(model), 3)
        what = f"{name}: MACs, parameters and peak of one candidate in a population of 100"
        ours = 1e3 * clocked(score)[0] / 2000
        peer = "onnx-tool: load, shape_infer, profile"
        found.append(row(what, ours, 0.03, peer, 1e3 * whole, "ms", genes=len(units.groups), theirs_loaded=round(1e3 * loaded, 3)))
    return found


def profiled(model: Any) -> Any:
    import numpy as np

    model.graph.shape_infer({name: np.zeros((1, 3, 224, 224), np.float32) for name in model.graph.input})
    model.graph.profile()
    return model


def search() -> list[dict[str, object]]:
    import numpy as np

    from nasopt.search import evolution, nsga2
    from nasopt.search.constraints import Constraints

    class Costs:
        def macs(self, kept: Any) -> Any:
            return kept.sum(axis=1).astype(float)

        params = peak_activation_bytes = macs

    class Space:
        """Stands for a compiled space: evaluation costs next to nothing, and what it costs is taken off."""

        def __init__(self, genes: int) -> None:
            self.choices = [tuple(range(1, 17))] * genes
            self.lengths, self.costs, self.weights = np.full(genes, 16), Costs(), np.random.default_rng(0).random(genes)

        def kept(self, genomes: Any) -> Any:
            return genomes + 1

        def saliency(self, kept: Any) -> Any:
            return np.sqrt(kept) @ self.weights

    found = []
    for genes in (50, 200):
        space: Any = Space(genes)
        constraints = Constraints({"flops": DROP}, {"flops": 16.0 * genes})
        spent = [0.0]
        evaluate = nsga2._Problem._evaluate

        def timed(*a: Any, spent: list[float] = spent, evaluate: Any = evaluate, **k: Any) -> None:
            begun = time.process_time()
            evaluate(*a, **k)
            spent[0] += time.process_time() - begun

        nsga2._Problem._evaluate = timed  # type: ignore[method-assign]
        try:
            run = lambda: evolution.evolve(space, constraints, [space.lengths - 1], seed=0, generations=50)  # noqa: B023, E731
            run()
            spent[0] = 0.0
            seconds, outcome = clocked(run, 3)
        finally:
            nsga2._Problem._evaluate = evaluate  # type: ignore[method-assign]
        ours = 1e6 * (seconds - spent[0] / 3) / outcome.evaluations
        theirs = mixed_variable(genes)
        what = f"search overhead per candidate, population 100, {genes} genes"
        found.append(row(what, ours, 60.0, "pymoo MixedVariableGA, Integer variables", theirs, "us"))
    return found


def mixed_variable(genes: int) -> float:
    """Microseconds per candidate of pymoo's mixed-variable algorithm on the same problem."""
    import numpy as np
    from pymoo.algorithms.moo.nsga2 import RankAndCrowdingSurvival
    from pymoo.core.mixed import MixedVariableGA
    from pymoo.core.problem import Problem
    from pymoo.core.variable import Integer
    from pymoo.optimize import minimize

    weights, spent = np.random.default_rng(0).random(genes), [0.0]

    class Mixed(Problem):
        def __init__(self) -> None:
            super().__init__(vars={f"g{i}": Integer(bounds=(0, 15)) for i in range(genes)}, n_obj=2)

        def _evaluate(self, rows: Any, out: Any, *_: Any, **__: Any) -> None:
            begun = time.process_time()
            kept = np.array([[r[f"g{i}"] for i in range(genes)] for r in rows]) + 1
            out["F"] = np.stack([-(np.sqrt(kept) @ weights), kept.sum(axis=1)], axis=1)
            spent[0] += time.process_time() - begun

    begun = time.process_time()
    done = minimize(Mixed(), MixedVariableGA(pop_size=100, survival=RankAndCrowdingSurvival()), ("n_gen", 20), seed=1, verbose=False)
    return 1e6 * (time.process_time() - begun - spent[0]) / done.algorithm.evaluator.n_eval


def compress() -> list[dict[str, object]]:
    from benchmarks.networks import build

    found = []
    for exporter in ("legacy", "dynamo"):
        model = build("resnet50", exporter)
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "out.onnx")
            seconds, peak, code = child([sys.executable, "-m", "nasopt", "compress", str(model), "--flops-drop", str(DROP), "-o", out])
        size = Path(model).stat().st_size / 1e6
        entry = {"what": f"compress --flops-drop {DROP} on ResNet-50 ({exporter}, {size:.0f} MB)", "unit": "s", "ours": round(seconds, 2)}
        entry |= {"target": 20.0, "peak_mb": round(peak), "peak_target": 1500, "exit": code, "met": seconds < 20 and peak < 1500}
        say(entry)
        found.append(entry)
    return found


PARTS = {"start": start, "groups": groups, "cost": cost, "search": search, "compress": compress}


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor time beside the peers; prints one JSON document.")
    parser.add_argument("--part", choices=PARTS, action="append")
    a = parser.parse_args()
    found = {name: PARTS[name]() for name in a.part or PARTS}
    print(document({"clock": "process CPU, one thread, medians", "results": found}))


if __name__ == "__main__":
    main()
