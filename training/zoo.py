"""Real networks with published ImageNet accuracies: timm's, as computational graphs.

    python -m training.zoo --state FOLDER [--most 140] [--minutes 80]     # graphs, one file a network; may be stopped and run again
    python -m training.zoo --state FOLDER --pack                           # nasopt/predictors/zoo/imagenet.npz
    python -m training.zoo --foreign                                       # nasopt/predictors/zoo/foreign.npz

Needs timm (without torchvision, which does not import beside torch 2.13; what timm wants of it is stood in for). Networks are built without
published weights, exported to ONNX by torch's tracer, and read as everything else is; what is kept of them are features and costs.

The rule for labels: a row of `$NASOPT_DATA/data/timm/imagenet_accuracy.parquet` counts if its weights saw nothing but ImageNet-1k and no
teacher, by its tag (`FOREIGN`); of several recipes for one architecture and image size the best counts. Accuracies of other rows, best of
each as well, stand in a column of their own.

The foreign zoos of AIO-P's Table 12 (`data/zoos/published.csv`) are built the same way, by timm, or are onnx's own copies (Inception).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import io
import json
import re
import sys
import time
import types
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_data import data_dir
from benchmarks.document import say
from nasopt.graphs.computational_graph import CGFeatures
from nasopt.predictors.aiop.corpus import Corpus
from nasopt.predictors.aiop.zoo import FILE, Zoo

FOREIGN = re.compile(
    r"in2\dk|in12k|jft|ig1b|yfcc|laion|openai|clip|webli|swag|seer|m30m|m38m|merged|indomain|ssl|dist|teacher|bd_|ns_|c2ns|mim|usi|ens"
)
"""Tags of weights that saw more data than ImageNet-1k, or a teacher."""

Row = dict[str, Any]


def is_plain(name: str) -> bool:
    """Whether weights saw ImageNet-1k alone; distilled DeiT and its like say so in the architecture's name."""
    architecture, _, tag = name.partition(".")
    return not FOREIGN.search(tag) and "distilled" not in architecture


def wanted() -> list[Row]:
    """A row for each architecture and image size: those that count before the others, small networks first."""
    import pyarrow.parquet as pq

    found: dict[tuple[str, int], Row] = {}
    for row in pq.read_table(data_dir() / "data/timm/imagenet_accuracy.parquet").to_pylist():
        name = row["model"].partition(".")[0]
        one = found.setdefault((name, row["img_size"]), {"name": name, "size": row["img_size"], "params_m": row["params_m"]})
        column = "top1" if is_plain(row["model"]) else "top1_other_data"
        one.setdefault("recipes", 0)
        one["recipes"] += column == "top1"
        if row["top1"] > one.get(column, 0):
            one[column] = row["top1"]
            one[f"{column}_weights"] = row["model"]
    return sorted(found.values(), key=lambda one: ("top1" not in one, one["params_m"], one["name"], one["size"]))


class _Named(type):
    """A class whose attributes are their own names."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _StandIn(types.ModuleType):
    """Anything of torchvision: a class that does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, _path: object, _target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.partition(".")[0] == "torchvision" else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__path__ = []


def exported(name: str, size: int) -> bytes:
    """The network as ONNX."""
    import timm

    try:
        model = timm.create_model(name, pretrained=False, exportable=True, img_size=size)
    except TypeError:  # most take images of any size
        model = timm.create_model(name, pretrained=False, exportable=True)
    return traced(model, size)


def traced(model: Any, size: int) -> bytes:
    """A module as ONNX."""
    import torch

    file = io.BytesIO()
    with torch.no_grad():
        torch.onnx.export(
            model.eval(), (torch.zeros(1, 3, size, size),), file, dynamo=False, opset_version=17, do_constant_folding=False,
            input_names=["input"], output_names=["output"],
        )  # fmt: skip
    return file.getvalue()


def features_of(model: bytes, name: str) -> tuple[CGFeatures, dict[str, float]]:
    """Features and costs."""
    import onnx

    from nasopt.graphs.cg_from_graph import computational_graph
    from nasopt.graphs.cost import COUNTED, node_macs, totals
    from nasopt.graphs.graph import Graph

    graph = Graph(onnx.load_from_string(model))
    if hidden := [node for node in graph.nodes if node.op in COUNTED and not node.domain and node_macs(graph, node) is None]:
        raise ValueError(f"{len(hidden)} nodes of unknown size, the first of them {hidden[0].name}")
    cg, cost = computational_graph(graph, name), totals(graph)
    return cg.features(), {"gflops": 2 * cost.macs / 1e9, "params": cost.params / 1e6, "cg_gflops": cg.flops() / 1e9}


def graph_of(row: Row) -> dict[str, np.ndarray[Any, Any]]:
    """Both as arrays."""
    features, costs = features_of(exported(row["name"], row["size"]), row["name"])
    return {**asdict(features), **{name: np.asarray(value) for name, value in costs.items()}}


def make(state: Path, most: int, minutes: float) -> None:
    """Graphs of all that can be built; what cannot is noted with its reason."""
    import torch

    sys.meta_path.append(_Finder())
    importlib.import_module("timm")  # before the loop, which goes on whatever happens
    torch.set_num_threads(1)
    state.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    for row in wanted():
        place = state / f"{row['name']}@{row['size']}.npz"
        failed = place.with_suffix(".txt")
        if place.exists() or failed.exists() or row["params_m"] > most:
            continue
        if time.monotonic() - begun > 60 * minutes:
            say("time is up; run it again to go on")
            return
        try:
            arrays = graph_of(row)
        except Exception as error:  # noqa: BLE001 - whatever one of a thousand networks does, the others go on
            failed.write_text(f"{type(error).__name__}: {error}"[:500])
            say(place.stem, "cannot be read:", type(error).__name__, str(error)[:100])
            continue
        part = place.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **arrays)
        part.replace(place)


def built_by() -> str:
    """For the cards."""
    return f"timm {importlib.import_module('timm').__version__} (Apache-2.0), without weights; torch's ONNX exporter"


def pack(state: Path, file: Path) -> None:
    """All graphs of the state in one file, and a card beside it."""
    sys.meta_path.append(_Finder())
    modules = importlib.import_module("timm.models._registry")._model_to_module
    rows = [row for row in wanted() if (state / f"{row['name']}@{row['size']}.npz").exists()]
    graphs, costs = [], []
    for row in rows:
        with np.load(state / f"{row['name']}@{row['size']}.npz", allow_pickle=False) as arrays:
            graphs.append(CGFeatures(*(arrays[field.name] for field in fields(CGFeatures))))
            costs.append([float(arrays[name]) for name in ("gflops", "params", "cg_gflops")])
    names, sizes = [row["name"] for row in rows], np.array([row["size"] for row in rows], np.int64)
    keys = tuple(f"{name}@{size}" for name, size in zip(names, sizes, strict=True))
    top1, other = (np.array([row.get(name, np.nan) for row in rows]) for name in ("top1", "top1_other_data"))
    zoo = Zoo(
        Corpus(keys, tuple(graphs), *np.array(costs).T.copy()), tuple(names), sizes, tuple(modules[name] for name in names), top1,
        np.array([row["recipes"] for row in rows], np.int64), other,
    )  # fmt: skip
    file.parent.mkdir(exist_ok=True)
    zoo.save(file)
    failed = {place.stem: place.read_text() for place in sorted(state.glob("*.txt"))}
    told = {
        "what": "computational graphs (AIO-P, AAAI 2023) of real networks, and their published ImageNet-1k top-1",
        "networks": len(rows), "with_a_plain_label": int(np.isfinite(top1).sum()), "families": len(set(zoo.families)),
        "rule": f"weights that saw ImageNet-1k alone and no teacher (tag without /{FOREIGN.pattern}/); the best recipe counts",
        "accuracies": "huggingface/pytorch-image-models, results/ (Apache-2.0)",
        "networks_built_by": built_by(),
        "made_by": "python -m training.zoo", "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "left_out": failed,
    }  # fmt: skip
    (file.parent / "card.json").write_text(json.dumps(told, indent=1) + "\n")
    say({name: value for name, value in told.items() if name != "left_out"}, len(failed), "left out")


FOREIGN_ZOOS = ("slim-resnets", "slim-inception", "slim-mobilenets", "slim-efficientnets")
BUILT_BY = {"inception_v3": "inception_v3", "inception_v4": "inception_v4", "inception_resnet_v2": "inception_resnet_v2"}
"""timm's names, where they do not follow from the published one."""


def foreign(name: str, size: int) -> bytes:
    """A network of `data/zoos/published.csv` as ONNX."""
    import onnx
    import timm

    if name in ("inception_v1", "inception_v2"):
        return (Path(onnx.__file__).parent / f"backend/test/data/light/light_{name}.onnx").read_bytes()
    if name.startswith("mobilenet_v1_"):
        make_v1 = importlib.import_module("timm.models.efficientnet")._gen_mobilenet_v1
        return traced(make_v1("mobilenetv1_100", channel_multiplier=float(name.split("_")[2]), pretrained=False), size)
    if name.startswith("mobilenet_v2_"):
        known = f"mobilenetv2_{round(100 * float(name.split('_')[2]))}"
    elif name.startswith("resnet_"):
        _, version, depth = name.split("_")
        known = f"resnet{depth}" if version == "v1" else f"resnetv2_{depth}"
    else:
        known = BUILT_BY.get(name, f"tf_{name}")
    return traced(timm.create_model(known, pretrained=False, exportable=True), size)


def make_foreign(file: Path) -> None:
    """The foreign zoos in one file."""
    import csv

    sys.meta_path.append(_Finder())
    with (data_dir() / "data/zoos/published.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["zoo"] in FOREIGN_ZOOS]
    graphs, costs = zip(*(features_of(foreign(row["model"], int(row["input_size"])), row["model"]) for row in rows), strict=True)
    sizes = np.array([int(row["input_size"]) for row in rows], np.int64)
    keys = tuple(f"{row['model']}@{row['input_size']}" for row in rows)
    columns = [np.array([cost[name] for cost in costs]) for name in ("gflops", "params", "cg_gflops")]
    Zoo(
        Corpus(keys, graphs, *columns), tuple(row["model"] for row in rows), sizes, tuple(row["zoo"] for row in rows),
        np.array([float(row["value_percent"]) for row in rows]), np.ones(len(rows), np.int64), np.full(len(rows), np.nan),
    ).save(file)  # fmt: skip
    told = {
        "what": "computational graphs of zoos of AIO-P's Table 12 (AAAI 2023), and their published ImageNet-1k top-1",
        "networks": len(rows), "accuracies": sorted({row["source"] for row in rows}), "networks_built_by": built_by(),
        "made_by": "python -m training.zoo --foreign", "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }  # fmt: skip
    file.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    for row, features, cost in zip(rows, graphs, costs, strict=True):
        say(row["zoo"], row["model"], len(features.resolutions), {name: round(value, 2) for name, value in cost.items()})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="timm's networks as computational graphs.")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--foreign", action="store_true", help="write the foreign zoos")
    parser.add_argument("--most", type=int, default=140, help="parameters, in millions: larger networks are left out")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--pack", action="store_true", help="write nasopt/predictors/zoo/ from what there is")
    a = parser.parse_args(arguments)
    if a.foreign:
        make_foreign(FILE.with_name("foreign.npz"))
        return 0
    if a.pack:
        pack(a.state, FILE)
        return 0
    make(a.state, a.most, a.minutes)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
