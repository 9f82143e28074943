"""Accuracy that is kept with no data and no training, at −13.5, −30 and −50 % MACs, beside Torch-Pruning at equal MACs.

Default flags, and `--granularity 1` beside them with its latency. CIFAR-10: the full test set; of LFW's pairs and ImageNet's photographs
those that no setting was chosen on (`accuracy_data`).
An accuracy is computed once for each distinct result and then found in the cache, by the hash of the file.

    python -m benchmarks.accuracy [--network NAME] [--drop 0.3] [--fresh] [--no-peers] > accuracy.json
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nasopt
from benchmarks.accuracy_data import TASKS, data_dir, measured
from benchmarks.document import document, say

DROPS = (0.135, 0.3, 0.5)
NETWORKS = ("resnet56_cifar10_jpeg", "resnet20_cifar10_jpeg", "resnet20_cifar10_jpeg_folded", "mobilefacenet_112x96", "efficientnet_lite0")
PEERS = {"resnet56_cifar10_jpeg": "resnet56", "resnet20_cifar10_jpeg": "resnet20", "resnet20_cifar10_jpeg_folded": "resnet20"}


@dataclass(frozen=True)
class Row:
    """One result; `peer` is Torch-Pruning's best of all importances and both rankings, `verdict` what follows at one standard error."""

    network: str
    task: str
    drop: float
    granularity: str
    reached: float
    accuracy: float
    error: float
    before: float
    latency: float
    steps: tuple[int, ...]
    seconds: float
    peer: float | None = None
    peer_by: str | None = None
    verdict: str | None = None


def best_peers(networks: list[str], drops: list[float], *, fresh: bool) -> dict[tuple[str, float], tuple[float, str]]:
    """(network, drop) → accuracy of Torch-Pruning's best configuration, and which one it is."""
    from benchmarks.peer_torch_pruning import peers

    best: dict[tuple[str, float], tuple[float, str]] = {}
    for peer in peers(networks, drops, fresh=fresh):
        if peer.accuracy is not None:
            found = peer.accuracy, f"{peer.importance}, {peer.ranking}"
            best[peer.network, peer.drop] = max(best.get((peer.network, peer.drop), (0.0, "")), found)
    return best


def rows(networks: list[str], drops: list[float], *, fresh: bool, peers: bool) -> Iterator[Row]:
    rivals = sorted({PEERS[name] for name in networks if name in PEERS}) if peers else []
    best = best_peers(rivals, drops, fresh=fresh) if rivals else {}
    for name in networks:
        path, task = data_dir() / "models" / f"{name}.onnx", TASKS[name]
        before = measured(path, task, fresh=fresh)
        for drop in drops:
            for granularity in ("auto", 1):
                with tempfile.TemporaryDirectory() as folder:
                    result = Path(folder) / "result.onnx"
                    done = nasopt.compress(path, result, flops_drop=drop, granularity=granularity)
                    # The path of the script is in the metadata: the same name every time, for the hash.
                    after = measured(result, task, fresh=fresh)
                steps = {group.step for group in done.groups if group.units_after < group.units_before}
                rival, by = best.get((PEERS.get(name, ""), drop), (None, None))
                row = Row(
                    name, task, drop, str(granularity), done.drop["flops"], after["accuracy"], after["error"], before["accuracy"],
                    done.latency.ratio, tuple(sorted(steps)), done.seconds, rival, by, verdict(after, rival),
                )  # fmt: skip
                say(row)
                yield row


def verdict(after: dict[str, float], rival: float | None) -> str | None:
    if rival is None:
        return None
    ours = after["accuracy"]
    return "ahead" if ours > rival else "level" if ours >= rival - after["error"] else "behind"


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy kept without data; prints one JSON document.")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--drop", type=float, action="append")
    parser.add_argument("--fresh", action="store_true", help="compute again what the cache holds, Torch-Pruning's results too")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    a = parser.parse_args()
    found = list(rows(a.network or list(NETWORKS), a.drop or list(DROPS), fresh=a.fresh, peers=a.peers))
    body: dict[str, Any] = {
        "data": "CIFAR-10 test set (10,000), 2,850 LFW pairs, 800 ImageNet photographs; error is sqrt(p (1 - p) / n)",
        "peer": "torch-pruning, one shot, best of 12 importances by global and local ranking, at equal MACs",
        "results": [asdict(row) for row in found],
    }
    print(document(body))


if __name__ == "__main__":
    main()
