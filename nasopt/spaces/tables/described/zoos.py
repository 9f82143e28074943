"""Model zoos, and published files that are not tables."""

from __future__ import annotations

from nasopt.spaces.tables.columns import ColumnInfo, columns
from nasopt.spaces.tables.info import Asset, Group, TableInfo
from nasopt.spaces.tables.keys import Key

__all__ = ["ASSETS", "TIMM", "ZOOS"]

TIMM_SOURCE = "huggingface/pytorch-image-models results/"


def _architecture(model: str) -> str:
    """``resnet50`` of ``resnet50.a1_in1k``: latencies do not depend on the weights."""
    return model.partition(".")[0]


TIMM = Group(
    "timm",
    "timm's model zoo",
    Key(("model",), general=_architecture),
    (
        TableInfo(
            "timm", "imagenet_accuracy", "top-1 and top-5 on ImageNet-1k, ImageNet-ReaL and ImageNet-V2 of 1,266 trained models", 1556,
            (
                *columns("key", "model"), *columns("condition", "img_size", "pixels"),
                *columns("metric", "top1 top5 real_top1 v2_top1", "%"), *columns("cost", "params_m", "millions"),
                *columns("other", "crop_pct", "fraction"), *columns("other", "interpolation"),
            ),
            TIMM_SOURCE, "Apache-2.0", "timm/imagenet_accuracy.parquet", ("imagenet",),
            notes="A model is architecture.weights. Recipes differ: weights whose tag names another data set (in21k, in22k, in12k, "
            "fb_swsl, fb_wsl, laion, openai, mim, dist) saw more data than ImageNet-1k. Some models have two image sizes.",
            fetch="results/results-imagenet*.csv of https://github.com/huggingface/pytorch-image-models", imports="results-imagenet.csv",
        ),
        TableInfo(
            "timm", "latency", "inference throughput, time of a batch, MACs and activations on 20 set-ups", 28_768,
            (
                *columns("condition", "setup"), *columns("key", "model"), *columns("condition", "img_size", "pixels"),
                *columns("other", "batch_size", "images"), *columns("cost", "samples_per_sec", "images/s"),
                ColumnInfo("step_ms", "latency", "ms"), *columns("cost", "gmacs", "1e9"),
                *columns("cost", "mactivations params_m", "millions"),
            ),
            TIMM_SOURCE, "Apache-2.0", "timm/latency.parquet", ("imagenet",),
            notes="step_ms is the time of a batch of batch_size: throughput, not latency at batch size 1. A setup is "
            "precision-layout-torch-cuda-device.",
            fetch="results/benchmark-infer-*.csv of https://github.com/huggingface/pytorch-image-models", imports="benchmark-infer-….csv",
        ),
    ),
)  # fmt: skip

ZOOS = Group(
    "zoos",
    "Published model zoos (AIO-P's Table 12, Keras)",
    Key(("model",)),
    (
        TableInfo(
            "zoos", "published", "accuracies of 54 networks of foreign model zoos", 54,
            (
                *columns("condition", "zoo"), *columns("key", "model"), *columns("condition", "input_size", "pixels"),
                *columns("condition", "metric"), *columns("metric", "value_percent", "%"), *columns("other", "source build_with"),
            ),
            "tensorflow/models research/slim and research/deeplab, keras-team/keras-io, timm: see the column source", "facts, cited",
            "zoos/published.csv", notes="build_with: what gives the architecture, without weights.",
        ),
    ),
)  # fmt: skip

SURROGATE = (
    "An accuracy predictor of 128-400-400-400-1 with ReLU: 60 kernel one-hots (3, 5, 7), 60 expansion one-hots (3, 4, 6), absent blocks "
    "all zero, 8 resolution one-hots ((r - 112) / 16)."
)
ASSETS = (
    Asset(
        "ofa_mbv3/acc_predictor_mbv3", "OFA's accuracy surrogate for MobileNetV3", "ofa_mbv3/acc_predictor_mbv3.npz",
        "mit-han-lab/once-for-all tutorial/checkpoints", "MIT",
        f"{SURROGATE} It answers a fraction, on its own part of ImageNet: about 6 points above top-1.",
    ),
    Asset(
        "ofa_pn/acc_predictor_pn", "OFA's accuracy surrogate for ProxylessNAS", "ofa_pn/acc_predictor_pn.npz",
        "Ascend-Research/BlockProfile models/ProxylessNAS (history)", "MIT", f"{SURROGATE} It answers in percent.",
    ),
    Asset(
        "cg_samples", "21 computational graphs in AIO-P's format, without labels", "cg_samples/*.json",
        "Ascend-Research/AutoGO architectures", "MIT",
        "nodes: weighted ones first; res = H_in, H_out, W_in, W_out, C_in, C_out; shape = C_in, C_out, k1, k2; edges: pairs of indices.",
    ),
)  # fmt: skip
