"""Latency at −13.5 % MACs and default flags, ONNX Runtime, one thread: MobileNetV2 and ResNet-50 beside a prune that does not round.

Original and results run in turns within one process; each repeat opens new sessions. The peer is Torch-Pruning (global L2 group
importance) at the smallest ratio that reaches the same drop, channel counts as they come: the caution that MACs are not latency.

    python -m benchmarks.latency [--network resnet50] [--drop 0.135] [--repeats 5] [--no-peers] > latency.json
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import nasopt
from benchmarks.cache import cache_dir
from benchmarks.document import document, say
from benchmarks.networks import EXPORTERS, NETWORKS, build
from nasopt.graphs.graph import load_graph
from nasopt.runtime.latency import timings
from nasopt.runtime.sessions import random_inputs

DEFAULT = ("mobilenet_v2", "resnet50")
TARGET = 0.90


def unrounded(name: str, drop: float) -> tuple[Path, float]:
    """Torch-Pruning's network of at least that drop, exported like the `legacy` original, and the drop it reached; kept in the cache."""
    import torch
    import torch_pruning as tp

    from benchmarks.networks.export import module

    shape, model = NETWORKS[name].input_shape, module(name)
    example = torch.zeros(shape)
    classifier = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1]

    def cut(ratio: float) -> Any:
        twin = copy.deepcopy(model)
        importance = tp.importance.GroupMagnitudeImportance(p=2)
        tp.BasePruner(twin, example, importance=importance, global_pruning=False, pruning_ratio=ratio, ignored_layers=[classifier]).step()
        return twin

    target = cache_dir() / "torch" / f"{name}.torch-pruning-{drop}.v1.onnx"
    base = tp.utils.count_ops_and_params(model, example)[0]
    low, high = 0.0, drop
    while high - low > 0.002:
        ratio = (low + high) / 2
        low, high = (low, ratio) if tp.utils.count_ops_and_params(cut(ratio), example)[0] <= (1 - drop) * base else (ratio, high)
    pruned = cut(high)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(pruned, (example,), str(target), dynamo=False, opset_version=NETWORKS[name].opset, input_names=["input"])
    before, after = nasopt.inspect(build(name, "legacy")).cost.macs, nasopt.inspect(target).cost.macs
    return target, 1 - after / before


def measure(name: str, exporter: str, drop: float, repeats: int, *, peers: bool) -> dict[str, Any]:
    original = build(name, exporter)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.onnx"
        done = nasopt.compress(original, result, flops_drop=drop)
        models: list[Path] = [original, result]
        reached: dict[str, float] = {"nasopt": done.drop["flops"]}
        if peers:
            rival, reached["torch-pruning, not rounded"] = unrounded(name, drop)
            models.append(rival)
        inputs = [random_inputs(load_graph(path), 0) for path in models]
        times = [timings(models, inputs, threads=1, seconds=8.0) for _ in range(repeats)]
    medians = np.array([np.median(turns, axis=0) for turns in times])
    ratios = np.array([np.median(turns / turns[:, :1], axis=0) for turns in times])
    row = {
        "network": name,
        "exporter": exporter,
        "asked": drop,
        "before_ms": round(float(np.median(medians[:, 0])), 3),
        "turns": [len(turns) for turns in times],
        "steps": sorted({group.step for group in done.groups if group.units_after < group.units_before}),
        "results": {
            who: {
                "drop": round(reached[who], 4),
                "ms": round(float(np.median(medians[:, column])), 3),
                "ratio": round(float(np.median(ratios[:, column])), 3),
                "ratios": ratios[:, column].round(3).tolist(),
            }
            for column, who in enumerate(reached, 1)
        },
    }
    row["met"] = row["results"]["nasopt"]["ratio"] <= TARGET
    say(row)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency before and after; prints one JSON document.")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--exporter", choices=EXPORTERS, action="append")
    parser.add_argument("--drop", type=float, default=0.135)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    a = parser.parse_args()
    exporters = a.exporter or ["legacy", "dynamo-optimized"]
    jobs = [(name, exporter) for name in a.network or DEFAULT for exporter in exporters]
    found = [measure(name, exporter, a.drop, a.repeats, peers=a.peers and exporter == "legacy") for name, exporter in jobs]
    print(document({"target": TARGET, "threads": 1, "engine": "onnxruntime", "results": found}))


if __name__ == "__main__":
    main()
