"""`compress --latency-drop` on real networks and the devices at hand, and what it keeps beside the way by MACs at the same latency.

    python -m benchmarks.latency_drops --part reached [--device NAME ...] [--drop 0.2]
    python -m benchmarks.latency_drops --part kept [--network NAME ...] [--device NAME ...] [--drop 0.2]

`reached`: every network of the shared models, default flags and no data: the drop that was measured, what was predicted, and how many
timings that took. Where the drop is out of reach, what a MACs drop of one half would have brought. `kept`: with 500 images and two measured
candidates, beside `--flops-drop` at the drop of MACs that, halved again and again without data, comes to the same measured latency.
Accuracies are of the cases of `protocols`, in percentage points lost, with the standard error of the paired difference.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import nasopt
from benchmarks.accuracy_data import TASKS
from benchmarks.cache import remembered
from benchmarks.document import document, say
from benchmarks.paired import points_lost
from benchmarks.protocols import IMAGES, NETWORKS, base_hits, hits, images, model_path
from benchmarks.variants import DEVICES
from nasopt.errors import ConstraintUnreachableError

HALVINGS = 5
CANDIDATES = 2

Row = dict[str, Any]


def reached(network: str, device: str, drop: float) -> Row:
    """One network on one device, without data."""
    path = model_path(network)
    try:
        done = nasopt.compress(path, latency_drop=drop, device=device, dry_run=True)
    except ConstraintUnreachableError as error:
        half = nasopt.compress(path, flops_drop=0.5, device=device, dry_run=True, compensate=False)
        assert half.latency is not None
        return {"reached": None, "reachable": error.reachable, "latency_at_half_the_macs": half.latency.ratio}
    assert done.latency is not None
    assert done.latency.predicted is not None
    return {
        "reached": done.drop["latency"], "macs": done.drop["flops"], "before_ms": done.latency.before.median_ms,
        "after_ms": done.latency.after.median_ms, "predicted_ms": done.latency.predicted.ms, "predicted_std": done.latency.predicted.std,
        "timings": done.latency.predicted.timings, "seconds": done.seconds,
    }  # fmt: skip


def kept(network: str, device: str, drop: float) -> Row:
    """Points lost by both ways, at the same latency."""
    base = base_hits(network, 0)
    with tempfile.TemporaryDirectory() as folder:
        data, result = Path(folder) / "images.npy", Path(folder) / "result.onnx"
        np.save(data, images(network, 0, IMAGES))
        given: dict[str, Any] = {"device": device, "data": data, "measure": CANDIDATES, "force": True}
        done = nasopt.compress(model_path(network), result, latency_drop=drop, **given)
        row: Row = {"by latency": told(done, base, result, network)}
        macs = same_latency(network, device, 1 - done.drop["latency"])
        done = nasopt.compress(model_path(network), result, flops_drop=macs, **given)
        row["by MACs"] = told(done, base, result, network)
    return row


def told(done: nasopt.CompressResult, base: Any, result: Path, network: str) -> Row:
    """What one result is worth."""
    assert done.latency is not None
    lost, error = points_lost(base, hits(str(result), network, 0))
    return {"latency": done.latency.ratio, "macs": done.drop["flops"], "lost": lost, "lost_error": error, "seconds": done.seconds}


def same_latency(network: str, device: str, ratio: float) -> float:
    """The least drop of MACs that comes to a latency."""
    low, high = 0.0, 0.9
    for _halving in range(HALVINGS):
        middle = (low + high) / 2
        done = nasopt.compress(
            model_path(network), flops_drop=middle, device=device, dry_run=True, compensate=False, generations=20
        )  # fmt: skip
        assert done.latency is not None
        low, high = (low, middle) if done.latency.ratio <= ratio else (middle, high)
    return high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("reached", "kept"), required=True)
    parser.add_argument("--network", nargs="*", choices=sorted(TASKS))
    parser.add_argument("--device", nargs="*", default=list(DEVICES))
    parser.add_argument("--drop", type=float, default=0.2)
    arguments = parser.parse_args()
    measure = {"reached": reached, "kept": kept}[arguments.part]
    networks = arguments.network or (sorted(TASKS) if arguments.part == "reached" else NETWORKS)
    found: dict[str, dict[str, Row]] = {}
    for device in arguments.device:
        found[device] = {}
        for network in networks:
            key = (arguments.part, network, device, arguments.drop)
            row = remembered("latency_drops", key, lambda network=network, device=device: measure(network, device, arguments.drop))
            found[device][network] = row
            say(device, network, row)
    print(document({"part": arguments.part, "drop": arguments.drop, "devices": found}))


if __name__ == "__main__":
    main()
