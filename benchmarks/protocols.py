"""What recovery is measured on: for each network the images that it may learn from, and the cases that are reported. No image is in both.

CIFAR-10: images of the training set, and the full test set. LFW: the faces of fold 1, and the pairs of folds 2 to 5; no person is in two
folds. ImageNet: of the thousand photographs 500, drawn anew each time, and the other 500.
"""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy_data import (
    CIFAR_MEAN,
    CIFAR_STD,
    TASKS,
    Array,
    batches,
    cifar10,
    data_dir,
    face_cosines,
    face_pairs,
    faces,
    image_hits,
    pair_hits,
    photograph_hits,
    photographs,
    runner,
)
from benchmarks.cache import remembered
from benchmarks.paired import Hits, pack, unpack

NETWORKS = ("resnet56_cifar10_jpeg", "resnet20_cifar10_jpeg", "mobilefacenet_112x96", "efficientnet_lite0")
IMAGES = 500
"""To fit the weights on."""
CIFAR_MOST = 40_000
"""To train on; the rest of the training set stays apart from the run."""


def model_path(network: str) -> str:
    return str(data_dir() / "models" / f"{network}.onnx")


def most(network: str) -> int:
    """So many images there are to learn from."""
    return {"cifar10": CIFAR_MOST, "lfw": len(_first_fold()), "imagenet": len(photographs()) // 2}[TASKS[network]]


def images(network: str, draw: int, count: int) -> Array:
    """Images to learn from, as the network takes them."""
    task, rng = TASKS[network], np.random.default_rng(draw)
    if task == "cifar10":
        pixels, _ = cifar10("train")
        chosen = np.sort(rng.choice(len(pixels), count, replace=False))
        return np.concatenate(list(batches(pixels[chosen], CIFAR_MEAN, CIFAR_STD)))
    if task == "lfw":
        chosen = np.sort(rng.choice(_first_fold(), count, replace=False))
        return np.concatenate(list(batches(faces()[chosen], 127.5, 128.0)))
    return np.concatenate(list(batches(photographs()[np.sort(_halves(draw)[0][:count])], 127.0, 128.0)))


def hits(model: str | bytes, network: str, draw: int, limit: int | None = None) -> Hits:
    """Which of the reported cases a network gets right; `limit` takes about so many of them."""
    task, run = TASKS[network], runner(model)
    if task == "cifar10":
        return image_hits(run, "test", limit)
    if task == "lfw":
        _, same, fold = face_pairs()
        cases = _thinned(np.flatnonzero(fold > 0), limit)
        return pair_hits(face_cosines(run, cases), same[cases], fold[cases])
    return photograph_hits(run, _thinned(np.sort(_halves(draw)[1]), limit))[:, 0]


def base_hits(network: str, draw: int, limit: int | None = None) -> Hits:
    """Of the network as it is, on the cases that its result is reported on."""
    half = draw if TASKS[network] == "imagenet" else 0

    def measure() -> dict[str, object]:
        found = hits(model_path(network), network, draw, limit)
        return {"hits": pack(found), "count": len(found)}

    known = remembered("recovery", ("base", network, half, limit or "all"), measure)
    return unpack(known["hits"], known["count"])


def _first_fold() -> Array:
    pairs, _, fold = face_pairs()
    return np.unique(pairs[fold == 0])


def _halves(draw: int) -> tuple[Array, Array]:
    order = np.random.default_rng(draw).permutation(len(photographs()))
    half = len(order) // 2
    return order[:half], order[half:]


def _thinned(cases: Array, limit: int | None) -> Array:
    return cases[:: max(1, len(cases) // (limit or len(cases)))]
