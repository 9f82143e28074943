"""Torch-Pruning with the same images as `recovery`: pruned, its BatchNorm re-estimated on them, then the same steps of distillation.

Its best importances (by accuracy on the test set as cut, which favours it), each by global and local ranking, at equal MACs, with
unrounded channel counts. The norms are re-estimated on all images in one batch, on the first 1,000 where there are more, as many as
`compress` fits on. The distillation is that of `compress`: the pruned weights go into the original's file under their names, so that the
recipe finds the same values to hold on to. Processor time covers the search for the ratio, the norms and the training; that of `compress`
also its verification and its timing.

Beside each configuration stands what it lost against the cell of `recovery` with the same draw, if that was measured: points behind,
paired. `behind_nasopt` is positive where nasopt is ahead.

    python -m benchmarks.peer_recovery [--network NAME] [--drop 0.3] [--draws 3] [--finetune-steps 400] > peer_recovery.json
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import onnx
import torch
from onnx.numpy_helper import from_array
from torch import nn

from benchmarks.cache import remembered
from benchmarks.document import commit, document, say
from benchmarks.paired import Hits, pack, points_lost, spread, standard_error, unpack
from benchmarks.peer_torch_pruning import DEPTHS, DROPS, RANKINGS, CifarResNet, cut_to, importances, load, macs, peers
from benchmarks.protocols import base_hits, hits, model_path
from benchmarks.recipe import calibration, distilled, prepared
from benchmarks.recovery import Column, add_options, column_of, known_cell, mean_seconds
from nasopt.api.repair import ENOUGH
from nasopt.graphs.graph import Graph
from nasopt.graphs.write_back import write_weights
from nasopt.runtime.calibration import Calibration
from nasopt.runtime.latency import compare
from nasopt.runtime.sessions import open_session, random_inputs, run

PEERS = {f"{name}_cifar10_jpeg": name for name in DEPTHS}
AGREEMENT = 1e-4


def best_importances(network: str, drop: float, count: int) -> list[str]:
    """The importances that keep most as cut, by their better ranking."""
    scores: dict[str, float] = {}
    for peer in peers([PEERS[network]], [drop]):
        scores[peer.importance] = max(scores.get(peer.importance, 0.0), peer.accuracy or 0.0)
    return sorted(scores, key=lambda name: -scores[name])[:count]


def reestimate(model: CifarResNet, images: torch.Tensor) -> None:
    """Means and variances of the norms become those of the images, all in one batch."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = 1.0
    model.train()
    with torch.no_grad():
        model(images)
    model.eval()


def as_file(model: CifarResNet, original: Graph) -> Graph:
    """The original's file with the pruned weights: the state dict has the names of the file."""
    file = onnx.ModelProto()
    file.CopyFrom(original.model)
    del file.graph.value_info[:]
    weights = model.state_dict()
    for tensor in file.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(from_array(weights[tensor.name].numpy(), tensor.name))
    return Graph(file, original.bound, origin=original.origin)


def require_agreement(model: CifarResNet, student: Graph, images: torch.Tensor) -> None:
    """That the file answers as the module does."""
    with torch.no_grad():
        expected = model(images).numpy()
    found = run(open_session(student.model), {student.inputs[0]: images.numpy()}, origin=student.origin)[0]
    error = np.abs(expected - found).max() / np.abs(expected).max()
    if error > AGREEMENT:
        raise RuntimeError(f"the file of the pruned network differs from its module by {error:.1e}")


def cell(
    network: str, drop: float, importance: str, ranking: str, draw: int, column: Column, *, fresh: bool = False
) -> tuple[dict[str, Any], Hits | None]:
    """One configuration on one draw; nothing is right where the library could not do it, and `failure` says why."""

    def measure() -> dict[str, Any]:
        return _measured(network, drop, importance, ranking, draw, column)

    key = (network, drop, importance, ranking, column.count(network), column.steps or 0, *column.augment, draw, column.limit or "all")
    row = remembered("peer_recovery", key, measure, fresh=fresh)
    text = row.pop("hits", None)
    return row, None if text is None else unpack(text, row["count"])


def _measured(network: str, drop: float, importance: str, ranking: str, draw: int, column: Column) -> dict[str, Any]:
    count, original = column.count(network), prepared(network)
    head = {
        "network": network, "drop": drop, "importance": importance, "ranking": ranking, "images": count,
        "finetune_steps": column.steps or 0, "augment": list(column.augment), "draw": draw, "commit": commit(),
    }  # fmt: skip
    inputs = calibration(original, network, draw, count)
    seen, whole = _images(inputs), load(PEERS[network])
    begun = time.process_time()
    try:
        model, _ = cut_to(whole, importance, ranking, drop)
    except (RuntimeError, ValueError, IndexError) as error:
        return {**head, "failure": str(error)}
    reestimate(model, seen)
    student = as_file(model, original)
    spent = {"pruning_and_norms": time.process_time() - begun}
    require_agreement(model, student, seen[:50])
    result, kept = student.model, None
    if column.steps:
        begun = time.process_time()
        done = distilled(original, student, inputs, steps=column.steps, draw=draw, augment=column.augment)
        result, kept = write_weights(student.model, done.tensors), done.kept
        spent["distillation"] = time.process_time() - begun
    found, base = hits(result.SerializeToString(), network, draw, column.limit), base_hits(network, draw, column.limit)
    lost, uncertainty = points_lost(base, found)
    row = {
        **head, "reached": 1 - macs(model) / macs(whole), "accuracy": 100 * float(found.mean()), "error": standard_error(found),
        "lost": lost, "lost_error": uncertainty, "latency": compare(model_path(network), result, random_inputs(original, draw)).ratio,
        "kept": kept, "cpu_seconds": sum(spent.values()), "cpu_seconds_of": spent, "count": len(found), "hits": pack(found),
    }  # fmt: skip
    say({name: value for name, value in row.items() if name != "hits"})
    return row


def _images(inputs: Calibration) -> torch.Tensor:
    """All of them, or as many as `compress` fits on."""
    batches = [next(iter(batch.values())) for batch in (*inputs.fit, *inputs.held_out)]
    return torch.from_numpy(np.concatenate(batches)[:ENOUGH])


def configurations(network: str, drop: float, chosen: Sequence[str], best: int, rankings: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from product(chosen or best_importances(network, drop, best), rankings)


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One configuration: means and deviations over draws; an `error` is the standard error within one draw."""
    first = rows[0]
    told: dict[str, Any] = {
        name: first[name] for name in ("network", "drop", "importance", "ranking", "images", "finetune_steps", "augment")
    }
    told |= {"draws": len(rows), **{name: spread([row[name] for row in rows]) for name in ("reached", "accuracy", "lost", "latency")}}
    told |= {name: float(np.mean([row[name] for row in rows])) for name in ("error", "lost_error", "cpu_seconds")}
    ours = [row["behind_nasopt"] for row in rows if "behind_nasopt" in row]
    if ours:
        told["behind_nasopt"] = {
            **spread([one["points"] for one in ours]),
            "draws": len(ours),
            "error": float(np.mean([one["error"] for one in ours])),
            "nasopt_cpu_seconds": mean_seconds([{"cpu_seconds": one["nasopt_cpu_seconds"]} for one in ours]),
        }
    return told


def beside(row: dict[str, Any], found: Hits, column: Column, granularity: str) -> dict[str, Any]:
    """A row with what it lost against nasopt's result on the same draw."""
    ours = known_cell(row["network"], row["drop"], granularity, row["draw"], column)
    if ours is None:
        return row
    points, error = points_lost(ours[1], found)
    return {**row, "behind_nasopt": {"points": points, "error": error, "nasopt_cpu_seconds": ours[0]["cpu_seconds"]}}


def main() -> None:
    parser = argparse.ArgumentParser(description="Torch-Pruning with unlabelled images; prints one JSON document.")
    parser.add_argument("--network", choices=PEERS, action="append")
    parser.add_argument("--importance", choices=importances(), action="append", help="instead of the best ones")
    parser.add_argument("--best", type=int, default=2, help="so many importances, the best as cut")
    parser.add_argument("--ranking", choices=RANKINGS, action="append")
    parser.add_argument("--granularity", default="auto", help="of the results of nasopt to compare with")
    add_options(parser)
    a = parser.parse_args()
    torch.set_num_threads(1)
    column = column_of(a)
    if a.images == 0:
        raise SystemExit("without images there is nothing to re-estimate: see benchmarks.accuracy")
    rows: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    failures = []
    for draw, network, drop in product(range(a.draws), a.network or PEERS, a.drop or DROPS):
        for importance, ranking in configurations(network, drop, a.importance or (), a.best, a.ranking or RANKINGS):
            row, found = cell(network, drop, importance, ranking, draw, column, fresh=a.fresh)
            if found is None:
                failures.append(row)
            else:
                rows.setdefault((network, drop, importance, ranking), []).append(beside(row, found, column, a.granularity))
    told = [summary(found) for found in rows.values()]
    best = {f"{s['network']} {s['drop']}": s for s in sorted(told, key=lambda s: s["accuracy"]["mean"])}
    results = [row for found in rows.values() for row in found]
    print(document({"best": best, "summary": told, "failures": failures, "results": results}))


if __name__ == "__main__":
    main()
