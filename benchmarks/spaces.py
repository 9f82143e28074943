"""Search spaces: do their networks cost what the published tables say, do texts round trip, do networks run, how fast are they built?

Per space: how many architectures there are, by enumeration where that is possible; parameters and FLOPs against every figure that stands in
`$NASOPT_DATA/data` (each table's own way of counting: `nasopt.spaces.counting`); texts and keys read back for all, or 10,000, random
architectures; processor time to build a network and to analyse it; and random networks through ONNX Runtime and through PyTorch.

    python -m benchmarks.spaces [--space NAME] [--rows N] [--networks 100] > spaces.json
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.accuracy_data import data_dir
from benchmarks.document import document, say
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, random_inputs, run
from nasopt.spaces import counting
from nasopt.spaces.registry import SPACES, get_space
from nasopt.spaces.space import Genes, Space
from nasopt.spaces.weights import initialise

ROUND_TRIPS = 10_000
ENUMERATED = 500_000
SMALL = 20_000
"""Architectures of a space all of which are gone through."""
TIMED = 50
RUN_SMALLER = {"resolution": 64}
"""Networks of 224 or 256 pixels are run on fewer: what is compared does not depend on it."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """Figures of one table.

    Attributes:
        space: whose networks they are of.
        file: below ``data``.
        genes: of a row.
        settings: under which they were counted.
        params: column, and what a unit of it is.
        flops: likewise; None where the table has none.
        count: how these FLOPs are counted.
        only: which rows; all without it.
    """

    space: str
    file: str
    genes: Callable[[Space, Row], Genes]
    settings: dict[str, Any]
    params: tuple[str, float] | None
    flops: tuple[str, float] | None
    count: Callable[[Graph], int]
    only: Callable[[Row], bool] = lambda _row: True


def macs(graph: Graph) -> int:
    """The project's own."""
    return totals(graph).macs


def column(name: str) -> Callable[[Space, Row], Genes]:
    return lambda space, row: space.parse(str(row[name]))


def cell101(space: Space, row: Row) -> Genes:
    return space.parse(f"{row['adjacency']}|{row['ops']}")


MILLION = 1e6
IN_MILLIONS = ("params", MILLION), ("flops", MILLION)
TRANSNAS_TASKS: dict[str, dict[str, int]] = {
    "class_scene": {"classes": 63}, "class_object": {"classes": 100}, "room_layout": {}, "jigsaw": {}, "segmentsemantic": {}, "normal": {},
    "autoencoder": {},
}  # fmt: skip
"""With the heads that NASLib counted."""
PUBLISHED = (
    Published("nasbench101", "nasbench101/accuracy_30001.parquet", cell101, {}, ("params", 1), None, macs),
    Published(
        "nasbench201", "nasbench201/accuracy.parquet", column("arch_str"), {},
        ("params_m", MILLION), ("flops_m", MILLION), counting.naslib_flops,
    ),
    Published(
        "nasbench201", "nasbench201/zcp_ImageNet16-120_9445.parquet", column("arch_str"), {"resolution": 16, "classes": 120},
        ("params", MILLION), ("flops", MILLION), counting.naslib_flops,
    ),
    *(
        Published("nasbench301", f"nasbench301/{file}.parquet", column("arch"), {"search": True}, *IN_MILLIONS, counting.naslib_flops)
        for file in ("zcp_subset_725", "zcp_early_500")
    ),
    *(
        Published(
            "nasbench301", "nasbench301/zcp_9x_199.parquet", column("arch"), {"search": True, **settings}, *IN_MILLIONS,
            counting.naslib_flops, lambda row, task=task: row["task"] == task,  # type: ignore[misc]
        )
        for task, settings in (("svhn", {}), ("scifar100", {"classes": 100, "resolution": 60}))
    ),
    Published(
        "nasbench301", "oncenas_bench/darts_545.parquet", column("architecture"), {"channels": 36, "layers": 20, "none": True},
        ("params", MILLION), ("flop", MILLION), counting.thop_macs,
    ),
    *(
        Published(
            f"transnasbench101_{kind}", f"transnasbench101/{kind}_zcp_subset.parquet", column("arch"), {"task": task, **settings},
            *IN_MILLIONS, counting.naslib_flops, lambda row, task=task: row["task"] == task,  # type: ignore[misc]
        )
        for kind in ("micro", "macro")
        for task, settings in TRANSNAS_TASKS.items()
    ),
    Published(
        "transnasbench101_micro", "transnasbench101/micro_class_scene_zcp_2128.parquet", column("arch"),
        {"task": "class_scene", **TRANSNAS_TASKS["class_scene"]}, *IN_MILLIONS, counting.naslib_flops,
    ),
    Published("nasbench_macro", "nasbench_macro/cifar10.parquet", column("arch"), {}, ("params", 1), ("flops", 1), macs),
    Published(
        "fbnet", "fbnet/zcp_nasflat.parquet", column("arch_key"), {"layout": "cifar", "resolution": 32, "classes": 100},
        ("params", 1), ("flops", 1), counting.flopth_flops,
    ),
    Published(
        "ofa_mbv3", "ofa_mbv3/imagenet_accuracy_dynast.parquet", lambda space, row: space.row(row), {},  # type: ignore[attr-defined]
        ("params", 1), ("macs", 1), macs,
    ),
    Published(
        "mnasnet", "accel_nasbench/mnasnet_space.parquet", lambda space, row: space.row(row), {},  # type: ignore[attr-defined]
        ("params", MILLION), ("macs", MILLION), counting.thop_macs,
    ),
)  # fmt: skip


def rows_of(file: str, most: int | None) -> list[Row]:
    """Rows of a table; of more than `most`, as many, evenly spread."""
    import pyarrow.parquet as pq

    found: list[Row] = pq.read_table(data_dir() / "data" / file).to_pylist()
    step = max(1, len(found) // most) if most else 1
    return found[::step]


def compared(published: Published, most: int | None) -> Row:
    """How many rows are met exactly, and by how much the others are missed."""
    space = get_space(published.space, **published.settings)
    rows = [row for row in rows_of(published.file, most) if published.only(row)]
    worst = {"params": 0.0, "flops": 0.0}
    exact = {"params": 0, "flops": 0}
    for row in rows:
        graph = Graph(space.build(published.genes(space, row)))
        for name, told, found in (("params", published.params, totals(graph).params), ("flops", published.flops, published.count(graph))):
            if told is not None:
                wanted = float(row[told[0]]) * told[1]
                exact[name] += abs(found - wanted) < 0.5
                worst[name] = max(worst[name], abs(found / wanted - 1))
    told: Row = {"file": published.file, "settings": published.settings, "rows": len(rows), "flops_counted_as": published.count.__name__}
    for name, has in (("params", published.params), ("flops", published.flops)):
        told |= {f"{name}_equal": exact[name], f"{name}_largest_relative_difference": worst[name]} if has else {f"{name}_equal": None}
    say(published.space, told)
    return told


TABLE_14 = {
    "ofa_pn": ({"width": 1.3}, (5.30, 0.60, 3.88, 7.18), (1.12, 0.14, 0.69, 1.59)),
    "ofa_mbv3": ({"width": 1.2}, (6.71, 0.85, 4.71, 9.89), (0.90, 0.13, 0.52, 1.37)),
    "ofa_resnet50": ({}, (18.68, 5.79, 7.19, 41.15), (5.89, 1.22, 2.67, 11.39)),
}
"""AIO-P, AAAI 2023, Table 14, classification: settings; mean, deviation, least and most of parameters (M) and of FLOPs (G)."""
SAMPLED = 2000


def table_14(name: str) -> Row:
    """Costs of random architectures (all genes uniform) at 224 pixels, FLOPs as 2 x MACs, against those published."""
    settings, params, flops = TABLE_14[name]
    space = get_space(name, **settings)
    costs = [totals(Graph(space.build(genes))) for genes in drawn(space, SAMPLED, seed=3)]
    told: Row = {"settings": settings, "sampled": SAMPLED}
    for what, published, values in (
        ("params_m", params, [cost.params / 1e6 for cost in costs]),
        ("flops_g", flops, [2 * cost.macs / 1e9 for cost in costs]),
    ):
        found = [float(statistic(values)) for statistic in (np.mean, np.std, np.min, np.max)]
        told[what] = {"published": published, "found": found, "ratio": [a / b for a, b in zip(found, published, strict=True)]}
    return told


def drawn(space: Space, count: int, seed: int = 0) -> list[Genes]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def some(space: Space) -> Iterator[Genes]:
    """All architectures of a small space, else random ones, no two the same."""
    if space.count() <= SMALL:
        yield from space.architectures()
        return
    rng, seen = np.random.default_rng(0), set[Genes]()
    while len(seen) < ROUND_TRIPS:
        genes = space.sample(rng)
        if genes not in seen:
            seen.add(genes)
            yield genes


def round_trips(space: Space) -> Row:
    """Texts and encodings: how many architectures come back."""
    architectures = list(some(space))
    read = sum(space.parse(space.text(genes)) == genes for genes in architectures)
    decoded = sum(space.decode(space.vec(genes)) == genes for genes in architectures)
    return {"architectures": len(architectures), "texts_read_back": read, "encodings_decoded": decoded}


def built(space: Space) -> Row:
    """Medians of processor time for a network without weights, as a model and as an analysed graph."""
    times = []
    for genes in drawn(space, TIMED, seed=1):
        begun = time.process_time()
        model = space.build(genes)
        between = time.process_time()
        Graph(model)
        times.append((between - begun, time.process_time() - between))
    build, analyse = 1e3 * np.median(times, axis=0)
    return {"networks": TIMED, "build_ms": float(build), "analyse_ms": float(analyse)}


def ran(space: Space, count: int) -> Row:
    """Random networks through ONNX Runtime and through the bridge: the largest difference, relative to the largest output."""
    import torch

    from nasopt.runtime.bridge import to_torch

    errors = []
    for seed, genes in enumerate(drawn(space, count, seed=2)):
        graph = Graph(initialise(space.build(genes), seed))
        inputs = random_inputs(graph, seed)
        expected = run(open_session(graph.model), inputs)
        with torch.no_grad():
            got = [value.numpy() for value in to_torch(graph)(inputs)]
        errors.append(
            max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)) for a, b in zip(expected, got, strict=True))
        )  # fmt: skip
    return {"networks": count, "within_1e-4": sum(error <= 1e-4 for error in errors), "largest_difference": max(errors)}


def smaller(name: str) -> Space:
    """The space at a size at which a hundred networks run in minutes."""
    space = get_space(name)
    large = (space.settings["resolution"] or 256) > 2 * RUN_SMALLER["resolution"]
    return get_space(name, **RUN_SMALLER) if large else space


def counted(space: Space) -> Row:
    told: Row = {"architectures": space.count()}
    if space.count() <= ENUMERATED:
        begun = time.process_time()
        told |= {"enumerated": sum(1 for _ in space.architectures()), "seconds": time.process_time() - begun}
    if space.count() <= SMALL:
        told["classes"] = len({space.key(genes) for genes in space.architectures()})
    return told


def measure(name: str, most: int | None, networks: int) -> Row:
    space = get_space(name)
    told = {
        "space": name,
        "settings": space.settings,
        "count": counted(space),
        "published": [compared(one, most) for one in PUBLISHED if one.space == name],
        **({"table_14": table_14(name)} if name in TABLE_14 else {}),
        "round_trips": round_trips(space),
        "built": built(space),
        "ran": ran(smaller(name), networks),
    }
    say(told)
    return told


def failures(results: Sequence[Row]) -> list[str]:
    """What is not as it should be, whatever the tables say."""
    found = []
    for one in results:
        trips, count = one["round_trips"], one["count"]
        found += [f"{one['space']}: texts"] if trips["texts_read_back"] != trips["architectures"] else []
        found += [f"{one['space']}: encodings"] if trips["encodings_decoded"] != trips["architectures"] else []
        found += [f"{one['space']}: networks"] if one["ran"]["within_1e-4"] != one["ran"]["networks"] else []
        found += [f"{one['space']}: count"] if count.get("enumerated", count["architectures"]) != count["architectures"] else []
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Search spaces against the published figures; prints one JSON document.")
    parser.add_argument("--space", choices=SPACES, action="append")
    parser.add_argument("--rows", type=int, help="of each table, evenly spread; all without it")
    parser.add_argument("--networks", type=int, default=100, help="to run in both")
    a = parser.parse_args()
    results = [measure(name, a.rows, a.networks) for name in a.space or SPACES]
    wrong = failures(results)
    print(document({"failures": wrong, "results": results}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
