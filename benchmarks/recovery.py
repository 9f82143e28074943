"""Accuracy that is kept with unlabelled images, at −13.5, −30 and −50 % MACs: 500 of them and no training, or with distillation.

CIFAR-10: the images are drawn from the training set, three draws; accuracy is on the full test set. Default flags and `--data`.

    python -m benchmarks.recovery [--network NAME] [--drop 0.3] [--draws 3] [--granularity 1] > recovery.json
    python -m benchmarks.recovery --images 40000 --finetune-steps 400 > distilled.json
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import nasopt
from benchmarks.accuracy_data import CIFAR_MEAN, CIFAR_STD, batches, cifar10, data_dir, measured
from benchmarks.document import document, say

NETWORKS = ("resnet56_cifar10_jpeg", "resnet20_cifar10_jpeg")
DROPS = (0.135, 0.3, 0.5)
IMAGES = 500


@dataclass(frozen=True)
class Row:
    """One result; accuracies in 0..1, divergences of the outputs on images that were not fitted."""

    network: str
    drop: float
    granularity: str
    draw: int
    before: float
    accuracy: float
    error: float
    latency: float
    steps: tuple[int, ...]
    divergence_before: float
    divergence_after: float
    cpu_seconds: float


def rows(networks: list[str], drops: list[float], draws: int, granularity: str, images: int, steps: int | None) -> Iterator[Row]:
    pixels, _ = cifar10("train")
    for name in networks:
        path = data_dir() / "models" / f"{name}.onnx"
        before = measured(path, "cifar10")
        for drop in drops:
            for draw in range(draws):
                with tempfile.TemporaryDirectory() as folder:
                    chosen = np.sort(np.random.default_rng(draw).choice(len(pixels), images, replace=False))
                    data, result = Path(folder) / "images.npy", Path(folder) / "result.onnx"
                    np.save(data, np.concatenate(list(batches(pixels[chosen], CIFAR_MEAN, CIFAR_STD))))
                    begun = time.process_time()
                    step = granularity if granularity == "auto" else int(granularity)
                    done = nasopt.compress(
                        path, result, flops_drop=drop, granularity=step, data=data, data_limit=images, finetune_steps=steps, seed=draw
                    )  # type: ignore[arg-type]
                    seconds = time.process_time() - begun
                    after = measured(result, "cifar10")
                assert done.repair is not None
                assert done.latency is not None
                steps = tuple(sorted({group.step for group in done.groups if group.units_after < group.units_before}))
                row = Row(
                    name, drop, granularity, draw, before["accuracy"], after["accuracy"], after["error"], done.latency.ratio, steps,
                    done.repair.before, done.repair.after, seconds,
                )  # fmt: skip
                say(row)
                yield row


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy kept with 500 unlabelled images; prints one JSON document.")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--drop", type=float, action="append")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--granularity", default="auto")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--finetune-steps", type=int)
    a = parser.parse_args()
    found = list(rows(a.network or list(NETWORKS), a.drop or list(DROPS), a.draws, a.granularity, a.images, a.finetune_steps))
    print(
        document({"data": f"{a.images} images of CIFAR-10's training set, drawn anew each time", "results": [asdict(row) for row in found]})
    )


if __name__ == "__main__":
    main()
