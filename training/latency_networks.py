"""Latency encodings of the networks whose latencies were published: cells, chains of blocks, and timm's.

    python -m training.latency_networks --state FOLDER [--minutes 80] [--of 600]

timm's networks are built as in `training.zoo`: those of its table of graphs that stand in the table of latencies. Of NAS-Bench-201, FBNet
and Accel-NASBench's MnasNets a random part is taken, by the keys of the published latencies. One small file a source; what is
there is not made again.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.document import say
from nasopt.predictors.latency.encoding import encode

Array = np.ndarray[Any, Any]

SPACES = {
    "nasbench201": ("latency_help", "latency_eagle_i7", "latency_oneproxy_eagle_1999"), "fbnet": ("latency_help",),
    "mnasnet": ("mnasnet_space",),
}  # fmt: skip
"""Spaces, and the tables of latencies; of the first, architectures are drawn.

OFA-MobileNetV3's table is left out: its latencies in batches hardly agree with those of single images (Spearman 0.2 to 0.4), so its
networks seem to have run on images of sizes that it does not tell.
"""


SETTINGS: dict[str, dict[str, Any]] = {"fbnet": {"layout": "cifar", "resolution": 32, "classes": 100}}
"""Under which networks were timed, where it is not the space's own: those of FBNet's table of proxies rank its latencies best."""


def space_encodings(name: str, keys: Sequence[str]) -> Array:
    """Of architectures by their keys: (architectures, numbers)."""
    from nasopt.graphs.graph import Graph
    from nasopt.spaces.registry import get_space

    space = get_space(name, **SETTINGS.get(name, {}))
    return np.stack([encode(Graph(space.build(space.parse(key)))) for key in keys])


def latencies(name: str, count: int) -> tuple[list[str], dict[str, Array]]:
    """Random architectures of a space, and their latencies by ``TABLE/COLUMN``, in ms; NaN where one was not measured."""
    from nasopt.spaces.tables.catalogue import describe
    from nasopt.spaces.tables.query import join

    infos = {entry.info.name: entry.info for entry in describe(name).tables}
    metrics = [f"{table}/{column.name}" for table in SPACES[name] for column in infos[table].columns if column.unit == "ms"]
    joined = join(name, metrics, complete=False)
    rows = np.sort(np.random.default_rng(0).permutation(len(joined.keys))[:count])
    values = {metric: np.asarray(joined.values[metric], np.float64)[rows] for metric in metrics}
    return [joined.keys[row] for row in rows], {metric: np.where(column > 0, column, np.nan) for metric, column in values.items()}


def timm_encoding(name: str, size: int) -> Array:
    """Of one of timm's networks: (numbers,)."""
    import onnx

    from nasopt.graphs.graph import Graph
    from training.zoo import exported

    return encode(Graph(onnx.load_from_string(exported(name, size))))


def timm_wanted() -> list[tuple[str, int]]:
    """Names and image sizes."""
    import pyarrow.parquet as pq

    from benchmarks.accuracy_data import data_dir
    from nasopt.predictors.aiop.zoo import load_zoo

    known = set(load_zoo().corpus.keys)
    rows = pq.read_table(data_dir() / "data/timm/latency.parquet", columns=["model", "img_size"]).to_pylist()
    found = {(row["model"].partition(".")[0], row["img_size"]) for row in rows}
    return sorted(pair for pair in found if f"{pair[0]}@{pair[1]}" in known)


def kept(file: Path, make: Callable[[], Array]) -> Array:
    """What stands in a file, or is made and written."""
    if not file.exists():
        part = file.with_suffix(".part")
        with part.open("wb") as opened:
            np.save(opened, make(), allow_pickle=False)
        part.replace(file)
    return np.asarray(np.load(file, allow_pickle=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=80.0)
    parser.add_argument("--of", type=int, default=600, help="architectures of each space")
    arguments = parser.parse_args()
    arguments.state.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    for name in SPACES:
        keys, _ = latencies(name, arguments.of)
        encodings = kept(arguments.state / f"{name}-{arguments.of}.npy", lambda name=name, keys=keys: space_encodings(name, keys))
        say(name, encodings.shape)
    import torch

    from training.zoo import _Finder

    sys.meta_path.insert(0, _Finder())
    importlib.import_module("timm")
    torch.set_num_threads(1)
    for name, size in timm_wanted():
        if time.monotonic() - begun > 60 * arguments.minutes:
            say("time is up; run it again to go on")
            return
        try:
            kept(arguments.state / f"timm-{name}@{size}.npy", lambda name=name, size=size: timm_encoding(name, size))
        except Exception as error:  # noqa: BLE001 - whatever one of many networks does, the others go on
            say(name, size, "cannot be read:", type(error).__name__, str(error)[:100])


if __name__ == "__main__":
    main()
