"""Accuracy of an ONNX network on real images: CIFAR-10, LFW pairs, a thousand ImageNet photographs.

The images are those of `$NASOPT_DATA/images`; the protocol is that of `$NASOPT_DATA/models/evaluate.py`. Each task has two parts that share
no case: what is reported comes from one, and the other is for choosing settings. CIFAR-10 has a training set to choose on; of LFW's
pairs every twentieth is set aside, of the photographs every fifth (a face can occur in pairs of both parts). Decoded pixels and the
accuracies of files stay in the benchmark cache.

    python -m benchmarks.accuracy_data {cifar10,lfw,imagenet} MODEL.onnx [--part {report,choose,all}] [--limit N]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.cache import cache_dir

Task = Literal["cifar10", "lfw", "imagenet"]
Part = Literal["report", "choose", "all"]
Run = Callable[[Iterable["Array"]], "Array"]
Array = npt.NDArray[Any]
CIFAR_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
CIFAR_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
BATCH = 50
TASKS: dict[str, Task] = {
    "resnet56_cifar10_jpeg": "cifar10",
    "resnet20_cifar10_jpeg": "cifar10",
    "resnet20_cifar10_jpeg_folded": "cifar10",
    "resnet56_cifar10": "cifar10",
    "resnet20_cifar10": "cifar10",
    "mobilefacenet_112x96": "lfw",
    "efficientnet_lite0": "imagenet",
}
"""Of the networks in `$NASOPT_DATA/models`."""
CHANCE: dict[Task, float] = {"cifar10": 0.1, "lfw": 0.5, "imagenet": 0.001}
"""What guessing scores."""
SET_ASIDE = {"lfw": 20, "imagenet": 5}
"""Every how many cases one is kept for choosing."""


def data_dir() -> Path:
    """The folder with `images` and `models`."""
    value = os.environ.get("NASOPT_DATA")
    if not value or not (Path(value) / "images").is_dir():
        raise FileNotFoundError("NASOPT_DATA must name the folder that holds images/ and models/")
    return Path(value)


def evaluate(model: str | Path | bytes, task: Task, *, part: Part = "report", limit: int | None = None, threads: int = 1) -> float:
    """Accuracy in 0..1: of classification (ImageNet: top-1), or of verification for LFW."""
    return float(details(model, task, part=part, limit=limit, threads=threads)["accuracy"])


def details(
    model: str | Path | bytes, task: Task, *, part: Part = "report", limit: int | None = None, threads: int = 1
) -> dict[str, float]:
    """`accuracy`, `count` (images or pairs), `error` (its standard error), and `top5` or `auc` where the task has them.

    Args:
        model: the network, or the path of its file.
        task: what to measure.
        part: the cases for reports, those for choosing settings, or (LFW, ImageNet) all of them.
        limit: about how many of them to take.
        threads: within an operator.
    """
    result = {"cifar10": _cifar10, "lfw": _lfw, "imagenet": _imagenet}[task](runner(model, threads), part, limit)
    p, n = result["accuracy"], result["count"]
    return result | {"error": float(np.sqrt(p * (1 - p) / n))}


def measured(model: Path | bytes, task: Task, *, part: Part = "report", limit: int | None = None, fresh: bool = False) -> dict[str, float]:
    """`details`, from the cache if the same bytes were judged before."""
    digest = hashlib.sha256(model if isinstance(model, bytes) else model.read_bytes()).hexdigest()[:24]
    known = cache_dir() / "accuracy" / f"{task}-{part}-{limit or 'all'}-{digest}.json"
    if fresh or not known.exists():
        known.parent.mkdir(exist_ok=True)
        known.write_text(json.dumps(details(model, task, part=part, limit=limit)))
    found: dict[str, float] = json.loads(known.read_text())
    return found


def runner(model: str | Path | bytes, threads: int = 1) -> Run:
    """Runs batches through ONNX Runtime and joins the first outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batches: np.concatenate([session.run(None, {name: np.ascontiguousarray(x, np.float32)})[0] for x in batches])


def batches(pixels: Array, mean: Array | float, std: Array | float) -> Iterable[Array]:
    """Bytes, channels last → normalised floats, channels first."""
    for i in range(0, len(pixels), BATCH):
        yield ((pixels[i : i + BATCH].astype(np.float32) - mean) / std).transpose(0, 3, 1, 2)


# -- the tasks


def _cases(task: Task, count: int, part: Part, limit: int | None) -> Array:
    """The cases of a part; fewer are spread evenly over it."""
    cases, every = np.arange(count), SET_ASIDE[task]
    if part != "all":
        cases = cases[(cases % every == 0) == (part == "choose")]
    return cases[:: max(1, len(cases) // (limit or len(cases)))]


def _cifar10(run: Run, part: Part, limit: int | None) -> dict[str, float]:
    right = image_hits(run, "train" if part == "choose" else "test", limit)
    return {"accuracy": float(right.mean()), "count": len(right)}


def image_hits(run: Run, split: str = "test", limit: int | None = None) -> Array:
    """Which images of CIFAR-10 are named right."""
    pixels, labels = cifar10(split, limit)
    hits: Array = run(batches(pixels, CIFAR_MEAN, CIFAR_STD)).argmax(1) == labels
    return hits


def _imagenet(run: Run, part: Part, limit: int | None) -> dict[str, float]:
    hits = photograph_hits(run, _cases("imagenet", len(photographs()), part, limit))
    return {"accuracy": float(hits[:, 0].mean()), "top5": float(hits.any(1).mean()), "count": len(hits)}


def photographs() -> Array:
    """The pixels of a thousand photographs; the first shows class 0, the last class 999."""
    return decoded("imagenet_sample_1000", _joined)


def photograph_hits(run: Run, cases: Array) -> Array:
    """Of some photographs, which of the five likeliest classes is the right one, likeliest first."""
    top = np.argsort(-run(batches(photographs()[cases], 127.0, 128.0)), 1)[:, :5]
    hits: Array = top == cases[:, None]
    return hits


def _lfw(run: Run, part: Part, limit: int | None) -> dict[str, float]:
    _, same, fold = face_pairs()
    cases = _cases("lfw", len(same), part, limit)
    same, fold = same[cases], fold[cases]
    cosine = face_cosines(run, cases)
    hits = pair_hits(cosine, same, fold)
    auc = float((cosine[same][:, None] > cosine[~same][None]).mean())
    return {"accuracy": float(np.mean([hits[fold == k].mean() for k in np.unique(fold)])), "auc": auc, "count": len(same)}


def faces() -> Array:
    """The pixels of all faces of LFW's pairs."""
    return decoded("lfw_pairs_a", _joined)


def face_pairs() -> tuple[Array, Array, Array]:
    """Pairs of faces, whether both show one person, and the fold of each; no person is in two folds."""
    with np.load(_images("lfw_pairs_a")) as z:
        return z["pairs"], z["same"].astype(bool), z["fold"]


def face_cosines(run: Run, cases: Array) -> Array:
    """Cosine of the embeddings of two faces, each joined with that of the mirror image."""
    pairs = face_pairs()[0][cases]
    wanted, at = np.unique(pairs, return_inverse=True)
    at = at.reshape(pairs.shape)
    pixels = faces()[wanted]
    vectors = np.concatenate([run(batches(pixels, 127.5, 128.0)), run(batches(pixels[:, :, ::-1], 127.5, 128.0))], 1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine: Array = (vectors[at[:, 0]] * vectors[at[:, 1]]).sum(1)
    return cosine


def pair_hits(cosine: Array, same: Array, fold: Array) -> Array:
    """Which pairs are told right; the threshold is chosen on all folds but the pair's own."""
    thresholds, hits = np.linspace(-1, 1, 2001), np.empty(len(same), bool)
    said = (cosine[None] > thresholds[:, None]) == same[None]
    for k in np.unique(fold):
        best = int(said[:, fold != k].mean(1).argmax())
        hits[fold == k] = said[best, fold == k]
    return hits


# -- pixels


def cifar10(split: str = "test", limit: int | None = None) -> tuple[Array, Array]:
    """Images (bytes, channels last) and labels; a prefix of a multiple of ten is balanced."""
    name = f"cifar10_{split}"
    with np.load(_images(name)) as z:
        labels = z["labels"].astype(np.int64)
    return decoded(name, _cifar_pixels)[:limit], labels[:limit]


def decoded(name: str, decode: Callable[[Path], Array]) -> Array:
    """The pixels of a data set, from the cache or decoded into it; read as a memory map."""
    source = _images(name)
    target = cache_dir() / "pixels" / f"{name}.{source.stat().st_size}.npy"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}")
        with draft.open("wb") as file:
            np.save(file, decode(source))
        draft.replace(target)
    pixels: Array = np.load(target, mmap_mode="r")
    return pixels


def _images(name: str) -> Path:
    return data_dir() / "images" / f"{name}.npz"


def _pixels(jpeg: bytes) -> Array:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def _cifar_pixels(path: Path) -> Array:
    """All files share one JPEG header."""
    with np.load(path) as z:
        header, scans, at = z["header"].tobytes(), z["scans"].tobytes(), z["offsets"]
    return np.stack([_pixels(header + scans[a:b]) for a, b in pairwise(at)])


def _joined(path: Path) -> Array:
    with np.load(path) as z:
        blob, at = z["jpeg"], z["offsets"]
    return np.stack([_pixels(blob[a:b].tobytes()) for a, b in pairwise(at)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy of an ONNX network on real images.")
    parser.add_argument("task", choices=["cifar10", "lfw", "imagenet"])
    parser.add_argument("model")
    parser.add_argument("--part", choices=["report", "choose", "all"], default="report")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    found = details(a.model, a.task, part=a.part, limit=a.limit, threads=a.threads)
    print(json.dumps({"task": a.task, "part": a.part, "model": Path(a.model).name} | found))


if __name__ == "__main__":
    main()
