"""Spaces of chains of layers: FBNet, NAS-Bench-Macro, MnasNet, Once-for-All."""

from __future__ import annotations

from typing import Any

from nasopt.spaces.tables.columns import ColumnInfo, columns, zero_cost
from nasopt.spaces.tables.described.sources import HELP_DEVICES, help_fetch
from nasopt.spaces.tables.info import Group, TableInfo
from nasopt.spaces.tables.keys import BLOCKS_KEY, OFA_KEY, Key

__all__ = ["FBNET", "MNASNET", "NASBENCH_MACRO", "OFA_MBV3"]

FBNET = Group(
    "fbnet",
    "FBNet",
    Key(("arch_key",)),
    (
        TableInfo(
            "fbnet", "latency_help", "latency of 5,000 architectures on 27 devices", 5000,
            (
                *columns("key", "index arch_key"),
                *columns("latency", HELP_DEVICES.format(b1="1", b2="32", b3="64"), "ms", device="*"),
            ),
            "HayeonLee/HELP data/fbnet/latency (Lee et al., NeurIPS 2021)", "MIT", "fbnet/latency_help.parquet", settings={"": {}},
            short="help", notes="A number at the end of a device's name is the batch size. There are no accuracies of this space.",
            **help_fetch("fbnet"),
        ),
        TableInfo(
            "fbnet", "zcp_nasflat", "13 proxies of the same 5,000 architectures", 5000,
            (
                *columns("key", "index arch_key"),
                *zero_cost("synflow zen epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip", counts="count"),
            ),
            "abdelfattah-lab/nasflat_latency fbnet_zcp/zc_fbnet.json", "none stated (no licence file)", "fbnet/zcp_nasflat.parquet",
            ("cifar100",), {"cifar100": {"layout": "cifar", "resolution": 32, "classes": 100}},
            notes="The source has another order than HELP: joined by key. flops and params are plain numbers.",
        ),
    ),
    space="fbnet",
    aliases=("index",),
)  # fmt: skip

NASBENCH_MACRO = Group(
    "nasbench_macro",
    "NAS-Bench-Macro",
    Key(("arch",)),
    (
        TableInfo(
            "nasbench_macro", "cifar10", "test accuracy of all architectures in three runs, mean and deviation; parameters, FLOPs", 6561,
            (
                *columns("key", "arch"), *columns("metric", "test_acc_0 test_acc_1 test_acc_2 mean_acc std", "%"),
                *columns("cost", "params flops", "count"),
            ),
            "xiusu/NAS-Bench-Macro (Su et al., CVPR 2021)", "Apache-2.0", "nasbench_macro/cifar10.parquet", ("cifar10",), {"cifar10": {}},
        ),
    ),
    space="nasbench_macro",
)  # fmt: skip

MNASNET = Group(
    "mnasnet",
    "MnasNet (Accel-NASBench)",
    BLOCKS_KEY,
    (
        TableInfo(
            "mnasnet", "mnasnet_space", "ImageNet accuracy (proxy training), latency and throughput on accelerators", 5138,
            (
                *columns("key", " ".join(["id", *BLOCKS_KEY.columns])), *columns("metric", "val_top1 val_top5", "%"),
                *columns("cost", "train_time", "s"), *columns("cost", "macs params", "millions"),
                *columns("latency", "latency_zcu102 latency_vck190", "ms", device="*"),
                *columns(
                    "cost", "throughput_a100 throughput_a100_std throughput_3090 throughput_3090_std throughput_tpuv2 throughput_tpuv2_std "
                    "throughput_tpuv3 throughput_tpuv3_std throughput_zcu102 throughput_vck190", "images/s",
                ),
            ),
            "afzalxo/Accel-NASBench anb_dataset (Ahmad et al., DAC 2024)", "Apache-2.0", "accel_nasbench/mnasnet_space.parquet",
            ("imagenet",), {"imagenet": {}},
            notes="Accuracies are those of a shortened training. 13 networks were trained twice: repeats.",
        ),
    ),
    space="mnasnet",
    aliases=("id",),
    also="accel_nasbench",
)  # fmt: skip

# Once-for-All, MobileNetV3

BODY = columns("key", " ".join(OFA_KEY.columns))
RESOLUTION = columns("condition", "r", "pixels")
TOP1 = columns("metric", "top1", "%")


def _of_ofa(
    name: str, title: str, rows: int, own: tuple[ColumnInfo, ...], source: str, licence: str,
    settings: dict[str, Any] | None = None, tasks: tuple[str, ...] = ("imagenet",), **more: Any,
) -> TableInfo:  # fmt: skip
    by_task = {task: settings or {} for task in tasks}
    return TableInfo("ofa_mbv3", name, title, rows, own, source, licence, f"ofa_mbv3/{name}.parquet", tasks, by_task, **more)


OFA_MBV3 = Group(
    "ofa_mbv3",
    "Once-for-All, MobileNetV3 (width 1.0)",
    OFA_KEY,
    (
        _of_ofa(
            "latency_help", "latency of 5,000 sub-networks on four GPUs at three batch sizes", 5000,
            (
                *columns("key", "index"), *BODY,
                *columns(
                    "latency", "2080ti_1 2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_32 titan_rtx_64 titan_xp_1 titan_xp_32 titan_xp_64 "
                    "v100_1 v100_32 v100_64", "ms", device="*",
                ),
            ),
            "HayeonLee/HELP data/ofa (Lee et al., NeurIPS 2021)", "MIT", short="help",
            notes="A number at the end of a device's name is the batch size.", **help_fetch("ofa"),
        ),
        _of_ofa(
            "imagenet_accuracy_dynast", "ImageNet top-1, MACs, parameters of networks that five searches visited (r = 224)", 2373,
            (*columns("origin", "search_log"), *BODY, *RESOLUTION, *columns("cost", "params macs", "count"), *TOP1),
            "IntelLabs/DyNAS-T notebooks/data (history)", "Apache-2.0",
            notes="Biased to good networks. Some architectures were visited by several searches: repeats, at most 0.1 points apart.",
        ),
        _of_ofa(
            "imagenet_accuracy_moofa", "top-1 on a quarter of ImageNet's validation images, of two supernets at three resolutions", 4690,
            (*columns("condition", "supernet"), *BODY, *RESOLUTION, *TOP1, *columns("cost", "peak_activation_elems", "count")),
            "MaximeGirard/memory-optimized-once-for-all acc_predictor_datasets/adapted", "none stated (no licence file)",
            notes="supernet: MIT_OFA (as published) or CompOFA. r: 128, 160 or 192 pixels.",
        ),
        _of_ofa(
            "imagenet_accuracy_compofa", "ImageNet top-1 of 1,000 random networks with kernels of 7 (r = 224)", 1000,
            (*BODY, *RESOLUTION, *TOP1),
            "gatech-sysml/once-for-all ofa/nas/accuracy_predictor/src/224.dict (history)", "MIT",
            notes="Which supernet is not stated.",
        ),
        _of_ofa(
            "cifar10_accuracy_cnas", "CIFAR-10 top-1 and parameters of networks fine-tuned in four searches, at many resolutions", 1341,
            (*columns("origin", "run"), *BODY, *RESOLUTION, *TOP1, *columns("cost", "params_m", "millions")),
            "AI-Tech-Research-Lab/CNAS benchmarks (history)", "Apache-2.0", {"classes": 10}, ("cifar10",),
        ),
        _of_ofa(
            "imagenet_subset_accuracy_naslib", "top-1 on 10,000, and of 455 networks on 1,000, of ImageNet's images (r = 224)", 1514,
            (*BODY, *columns("metric", "val10k_acc test1k_acc", "%")),
            "schlagem/NASLib naslib/data/ofa.pickle (history)", "Apache-2.0",
        ),
    ),
    space="ofa_mbv3",
    aliases=("index",),
)  # fmt: skip
