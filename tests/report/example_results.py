"""Results made by hand: a small one of each kind, ResNet-56 as it might come out, and a network with many groups and long names."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from nasopt.device_results import (
    Calibrated,
    Calibration,
    Device,
    DeviceDetail,
    DevicesResult,
    FailedNetwork,
    NetworkLatency,
    PredictedLatency,
)
from nasopt.drawings import Box, Drawing
from nasopt.predictor_results import (
    Agreement,
    Predicted,
    PredictedTask,
    PredictResult,
    ProxiesResult,
    Reproduced,
    ReproduceResult,
    TasksResult,
    TrainResult,
)
from nasopt.results import (
    Answer,
    BenchResult,
    Check,
    CompressResult,
    Cost,
    DiffResult,
    DoctorResult,
    DrawResult,
    ExplainResult,
    FrontPoint,
    FrozenGroup,
    Group,
    InspectResult,
    Labelled,
    Latency,
    LatencyStats,
    LayerChange,
    LayerFit,
    Measured,
    NodeCost,
    Repair,
    Sample,
    TensorInfo,
    VerifyResult,
)
from nasopt.search_results import FoundArchitecture, RunDetail, RunsResult, RunSummary, SearchObjective, SearchResult
from nasopt.space_results import (
    Architecture,
    BuiltNetwork,
    DrawnArchitecture,
    ImportResult,
    QueryResult,
    SampledArchitectures,
    SpaceDetail,
    SpacesResult,
    SpaceSummary,
    TableColumn,
    TableDetail,
    TablesDetail,
    TablesResult,
    TableSummary,
)

BEFORE = Cost(
    macs=125_485_696, params=855_770, activation_bytes=5_214_248, peak_activation_bytes=1_048_576, file_bytes=3_471_204, nodes=173
)
AFTER = Cost(macs=108_100_352, params=702_314, activation_bytes=4_902_952, peak_activation_bytes=983_040, file_bytes=2_858_110, nodes=171)

FROZEN = (
    FrozenGroup("fc.weight[0]", 10, "/fc/Gemm", "Gemm", "graph output", "these channels are the output 'logits'", 640, 640 / 125_485_696),
    FrozenGroup(
        "input[1]", 3, "/conv1/Conv", "Conv", "graph input", "these channels are the input 'image'", 442_368, 442_368 / 125_485_696
    ),
    FrozenGroup(
        "layer2.0.shortcut", 32, "/layer2/0/Pad", "Pad", "pads", "the padded channels are not a multiple of the group", 9_437_184, 0.0752
    ),
)

VERIFIED = VerifyResult(
    checks=(
        Check("checker", ok=True, detail="onnx.checker accepts the file"),
        Check("interface", ok=True, detail="names, types and order of inputs and outputs are those of the original"),
        Check("shapes", ok=True, detail="every inferred shape holds"),
        Check("masked reference", ok=True, detail="5 random inputs, largest relative error 3.2e-07"),
    ),
    max_relative_error=3.2e-07,
)
NOT_VERIFIED = VerifyResult(checks=(VERIFIED.checks[0], Check("interface", ok=False, detail="output 'logits' is missing")))

LATENCY = Latency(before=LatencyStats(4.1234, 4.0512, 4.2671), after=LatencyStats(3.4821, 3.4402, 3.6007), threads=1, runs=50)
SLOWER = Latency(before=LatencyStats(4.12, 4.05, 4.26), after=LatencyStats(5.04, 4.98, 5.21), threads=1, runs=50, slower=True)

REPAIR = Repair(
    method="least squares",
    inputs="300 synthetic images",
    synthetic=True,
    before=1.2,
    after=0.243,
    kept=True,
    layers=(LayerFit("/layer1/0/conv2/Conv", 0.31, 0.04), LayerFit("/fc/Gemm", 0.52, 0.11)),
)
NO_GAIN = Repair("least squares", "1,000 inputs of x.npy", synthetic=False, before=0.02, after=0.02, kept=False)


def front(before: Cost, after: Cost, size: int) -> tuple[FrontPoint, ...]:
    """Makes a curve as searches find them; the chosen point costs what `after` costs."""
    points = []
    for index in range(size):
        kept = 0.05 + 0.95 * (index + 1) / size
        wobble = 1 + 0.02 * ((index * 7) % 5 - 2) / 2
        saliency = min(1.0, kept ** (0.35 * wobble))
        points.append(
            FrontPoint(round(before.macs * kept), round(before.params * kept), round(before.peak_activation_bytes * kept), saliency)
        )
    points.append(FrontPoint(after.macs, after.params, after.peak_activation_bytes, (after.macs / before.macs) ** 0.35, chosen=True))
    return tuple(sorted(points, key=lambda point: point.macs))


def resnet_groups() -> tuple[Group, ...]:
    groups = []
    for stage, width in enumerate((16, 32, 64), start=1):
        stem = ("conv1.weight", f"layer{stage}.0.conv1.weight")[stage > 1]
        groups.append(
            Group(f"stage{stage}: {stem}", (f"{stem}[0]", f"layer{stage}.0.bn1.weight[0]"), width, width, width, width, 1, 21_000_000)
        )
        for block in range(9):
            name = f"layer{stage}.{block}.conv1.weight"
            cut = 0 if (block * stage) % 4 == 1 else (16 if stage > 1 else 8) * (2 if stage == 3 and block > 5 else 1)
            members = (f"{name}[0]", f"layer{stage}.{block}.conv2.weight[1]")
            step = 1 if cut == 0 else 16 if stage > 1 else 8
            groups.append(Group(name, members, width, width - cut, width, width - cut, step, 4_718_592))
    return tuple(groups)


RESNET = CompressResult(
    path=Path("models/resnet56.onnx"),
    output=Path("out/resnet56-small.onnx"),
    script=Path("out/resnet56-small.onnx.json"),
    before=BEFORE,
    after=AFTER,
    asked={"flops": 0.135, "params": 0.1},
    drop={"flops": 1 - AFTER.macs / BEFORE.macs, "params": 1 - AFTER.params / BEFORE.params, "memory": 0.0625},
    groups=resnet_groups(),
    frozen=FROZEN,
    edits=("remove-identities: 2 nodes", "prune-channels layer1.0.conv1.weight: 16 -> 8", "prune-channels layer2.1.conv1.weight: 32 -> 16"),
    granularity="auto",
    importance="coupled-l2",
    saliency=0.9487,
    front=front(BEFORE, AFTER, 39),
    latency=LATENCY,
    verification=VERIFIED,
    repair=REPAIR,
    measured=(
        Measured(AFTER.macs, (16,), 0.051, 0.062, 0.871, 0.84, chosen=False),
        Measured(AFTER.macs - 4096, (8, 16), 0.038, 0.041, 0.882, 0.86, chosen=True),
    ),
    metric=0.888,
    labelled=Labelled(50, 0.88, 0.86),
    predicted=Predicted("cifar10", "%", 93.2, 92.9, -0.3, 0.1, 3, 0.5, 2.5, "net.onnx: unlike any network"),
    seed=7,
    generations=60,
    evaluations=4_800,
    seconds=6.42,
    reached=True,
    command="nasopt compress models/resnet56.onnx --flops-drop 0.135 --params-drop 0.1 --seed 7 -o out/resnet56-small.onnx",
    notes=("generations were bounded by the clock: 60 of at most 200", "latency was measured on a machine with 2 cores"),
)
# What a PNG holds is not the report's business.
_INPUT, _BEFORE, _AFTER = (b"\x89PNG" + bytes([number]) * 90 for number in (1, 2, 3))
CLASSES = (
    Sample("logits", "class", _INPUT, Answer(((5, 0.9876), (3, 0.01), (0, 0.0))), Answer(((5, 0.75), (3, 0.2), (1, 0.05))), 1.0),
    Sample("logits", "class", _INPUT, Answer(((8, 1.0), (1, 0.0), (2, 0.0))), Answer(((1, 0.6), (8, 0.4), (2, 0.0))), 0.0),
    Sample("logits", "class", None, Answer(((0, 1.25), (1, -0.5))), Answer(((0, 1.0), (1, 0.0))), 1.0),
)
MASKS = tuple(Sample("mask", "mask", _INPUT, Answer(picture=_BEFORE), Answer(picture=_AFTER), likeness) for likeness in (0.95, 0.85))
HEATMAPS = (Sample("heat", "heatmap", None, Answer(picture=_BEFORE), Answer(picture=_AFTER), 0.9376),)
IMAGES = (Sample("clean", "image", _INPUT, Answer(picture=_BEFORE), Answer(picture=_AFTER), 0.5),)
SHOWN = replace(RESNET, samples=CLASSES)
DRY = replace(
    RESNET,
    output=None,
    script=None,
    predicted=None,
    latency=None,
    verification=None,
    repair=None,
    notes=(),
    edits=(),
    frozen=(),
    front=RESNET.front[:1],
)
SLOW = replace(RESNET, latency=SLOWER, repair=NO_GAIN)
BUDGET = replace(
    RESNET,
    asked={"latency": 0.15},
    drop={**RESNET.drop, "latency": 0.1555},
    latency=replace(LATENCY, engine="openvino", predicted=PredictedLatency("laptop", 3.51, 0.08, 16)),
)
MISSED = replace(RESNET, asked={"flops": 0.9}, reached=False)

_LONG = (
    "model/backbone/stages.{}/blocks.{}/mobile_inverted_conv/inverted_bottleneck/depthwise_separable/point_wise/conv/weight_quantised_no"
)


def long_groups(number: int = 120) -> tuple[Group, ...]:
    groups = []
    for index in range(number):
        width = (24, 48, 96, 192, 384, 768)[index * 6 // number]
        after = width if index % 3 == 0 else max(8, width - (index % 5 + 1) * width // 8 // 8 * 8)
        name = _LONG.format(index // 10, index % 10)
        groups.append(Group(name, (f"{name}[0]",), width, after, width, after, 1 if after == width else 8, 1_000_000 * (index + 1)))
    return tuple(groups)


_BIG = Cost(
    macs=4_089_184_256, params=25_503_912, activation_bytes=88_412_160, peak_activation_bytes=12_845_056, file_bytes=102_146_730, nodes=411
)
_BIGGER_HALF = replace(
    _BIG, macs=2_044_101_120, params=14_803_112, activation_bytes=61_200_000, peak_activation_bytes=9_633_792, file_bytes=59_313_000
)
LONG = replace(
    RESNET,
    path=Path("efficientnet_v2_l_in21k_finetuned_on_customer_images_2024_final_export_opset18.onnx"),
    output=Path("efficientnet_v2_l_in21k_finetuned_on_customer_images_2024_final_export_opset18.half.onnx"),
    before=_BIG,
    after=_BIGGER_HALF,
    asked={"flops": 0.5},
    drop={"flops": 0.5001, "params": 0.4196, "memory": 0.25},
    groups=long_groups(),
    frozen=tuple(
        replace(FROZEN[2], name=_LONG.format(9, n), locked_share=0.08 / (n + 1), locked_macs=9_000_000 // (n + 1)) for n in range(14)
    ),
    front=front(_BIG, _BIGGER_HALF, 120),
    latency=replace(SLOWER, threads=4),
    notes=(),
)

INSPECT = InspectResult(
    path=Path("net.onnx"),
    cost=BEFORE,
    nodes=(
        NodeCost("/conv1/Conv", "Conv", 442_368, 432, 65_536, (1, 16, 32, 32)),
        NodeCost("/bn1/BatchNormalization", "BatchNormalization", 0, 64, 65_536, (1, 16, 32, 32)),
        NodeCost("/custom/Odd", "Odd", None, 0, 0, None),
    ),
    inputs=(TensorInfo("image", "float32", ("N", 3, 32, 32), (1, 3, 32, 32)),),
    outputs=(TensorInfo("logits", "float32", ("N", 10), (1, 10)),),
    opset={"": 17, "com.example": 1},
    ir_version=8,
    producer="pytorch 2.13.0",
    unknown_operators={"com.example::Odd": 1},
)
EXPLAIN = ExplainResult(Path("net.onnx"), RESNET.groups, FROZEN, BEFORE.macs, 3_912_704, {"com.example::Odd": 1})
DIFF = DiffResult(
    Path("net.onnx"),
    Path("small.onnx"),
    BEFORE,
    AFTER,
    (LayerChange("conv1.weight", "weight shape", "16x3x3x3", "8x3x3x3"),),
    interface_equal=True,
)
BENCH = BenchResult(Path("small.onnx"), LATENCY.after, 1, 50, "onnxruntime", Path("net.onnx"), LATENCY.before)
BENCH_ALONE = replace(BENCH, against=None, against_latency=None)
BENCH_BOARD = replace(BENCH_ALONE, engine="command", device="board")
DOCTOR = DoctorResult({"nasopt": "0.1.0", "onnx": "1.20.0"}, {"torch": True, "tf": False}, {"cpu": "2 cores"}, ())
SICK = replace(DOCTOR, problems=("onnxruntime 1.10 is too old: pip install -U onnxruntime",))

_SUMMARY = SpaceSummary("fbnet", "FBNet", 9**22, {"resolution": 224, "classes": 1000, "width": 1.0, "task": "image", "heads": None})
_ARCHITECTURE = Architecture("0_1_2", "0_1_2", (0, 1, 2))
SPACES = SpacesResult((_SUMMARY,))
SPACE = SpaceDetail(_SUMMARY, "Wu et al., CVPR 2019", (9,) * 3, ("k3_e1", "skip"), _ARCHITECTURE)
SAMPLED = SampledArchitectures("fbnet", _SUMMARY.settings, 3, (_ARCHITECTURE,))
BUILT = BuiltNetwork("fbnet", _SUMMARY.settings, _ARCHITECTURE, Path("net.onnx"), 10**8, 10**6, 99, (1, 3, 224, 224), 3)
DRAWN = DrawnArchitecture("fbnet", _ARCHITECTURE, {"cell": Drawing("cell", (Box(("input",), "edge"), Box(("output",), "edge")), ((0, 1),))})

_TABLE = TableSummary("fbnet/latency_help", "fbnet", "Latency on 27 devices.", 5000, Path("data/fbnet/latency_help.parquet"), "fetch it")
_ABSENT = TableSummary("nasbench201/accuracy", "nasbench201", "Accuracies.", 0, None, "fetch that")
TABLES = TablesResult((_TABLE, _ABSENT))
TABLE = TablesDetail(
    "fbnet",
    (
        TableDetail(
            _TABLE,
            "HELP",
            "MIT",
            {"": {"resolution": 32, "layout": "cifar"}, "cifar100": {"classes": None, "search": True}},
            ("cifar10",),
            (TableColumn("arch_key", "key", "", ""), TableColumn("pixel3", "latency", "ms", "pixel3")),
            "a4d109497c97405385a617373f22939fd90be651591bb937cea277b35775f4d9",
            None,
        ),
        TableDetail(_TABLE, "HELP", "MIT", {}, (), (), "a4d1", verified=False),
    ),
)
QUERIED = QueryResult(
    "fbnet",
    "0_1_2",
    {"latency:pixel3": 27.25, "split": "train", "skip": True, "latency:tpu": None},
    {"latency:pixel3": "ms", "split": "", "skip": "", "latency:tpu": "ms"},
    {"latency:pixel3": "fbnet/latency_help", "split": "fbnet/x", "skip": "fbnet/x", "latency:tpu": "fbnet/x"},
    {"latency:tpu": ("latency:released/tpu",)},
)
IMPORTED = ImportResult(_TABLE, ("arch_key", "pixel3"), "for tests")

DRAWING = DrawResult(
    Path("net.onnx"),
    {"nodes": 2, "weighted": 0, "edges": 1, "flops": 0},
    Drawing("net", (Box(("input",), "edge"), Box(("output",), "edge")), ((0, 1),)),
    '{"name":"net"}',
)

PREDICTED = PredictResult(Path("net.onnx"), "nats_test_cifar10", "%", 91.24, 0.31, 3, 0.8, None, 0.08, 1_289_000)
UNLIKE = replace(PREDICTED, std=None, members=1, unlikeness=7.5, warning="net.onnx: unlike any network that the predictor was trained on")
PROXIES = ProxiesResult(Path("net.onnx"), {"flops": 8.1e7, "nwot": math.nan}, 64, "random inputs", "random")
TASKS = TasksResult(
    (
        PredictedTask("imagenet", "ImageNet-1k top-1", "%", "timm", 700, 100, Agreement(0.7, 0.88, 1.3)),
        PredictedTask("ranks", "ranks", "", "nothing", 10, 10, Agreement(0.1, 0.2, None)),
    )
)
TRAINED = TrainResult(
    Path("trained"), "nasbench201", "nats_test_cifar10", "%", 156, 3, (12, 40, 31), 1000, Agreement(0.71, 0.88, 2.1),
    {"flops": Agreement(0.57, 0.76, None), "params": Agreement(0.57, 0.76, None), "constant": Agreement(0.0, 0.0, 5.0)},
)  # fmt: skip
REPRODUCED = ReproduceResult(
    Path("tables"), Path("caches"),
    tuple(
        Reproduced("ofa_pn", task, method, way, 0.5, 0.1, 0.7, 0.05, 5)
        for task in ("LSP", "OD") for method in ("GNN", "AIO-P") for way in ("zero-shot", "fine-tuned")
    ),
)  # fmt: skip

LAPTOP = Calibration(
    Device("laptop", "onnxruntime", 2),
    {"system": "Linux x86_64", "processor": "a CPU", "cores": "2", "nasopt": "0.1.0", "onnxruntime": "1.32.0"},
    "2026-11-27T13:51:46+00:00",
    (
        NetworkLatency("nasbench_macro:22212220", 1.12, 1.06, 5.08, 437),
        NetworkLatency("mnasnet:" + "e6_k3_l1_se0-" * 7, 15.6, 15.3, 16.0, 437),
    ),
)
BOARD = replace(
    LAPTOP,
    device=Device("board", "command", 1, "ssh board ./bench {model}", 60.0),
    failed=(FailedNetwork("fbnet:1_2", "--device-command 'ssh board ./bench {model}': ended with exit code 1"),),
)
CALIBRATED = Calibrated(BOARD, Path("devices/board.json"), 61.5)
SHOWN_DEVICE = DeviceDetail(LAPTOP, Path("devices/laptop.json"), {"nasopt": ("0.1.0", "0.2.0"), "onnxruntime": ("1.32.0", "")})
SHOWN_BOARD = DeviceDetail(BOARD, Path("devices/board.json"), {})
DEVICES = DevicesResult(
    Path("devices"), (BOARD, LAPTOP), {"onnxruntime": True, "openvino": False, "command": True}, ("devices/x.json: is no calibration",)
)
NO_DEVICES = DevicesResult(Path("devices"), (), {"onnxruntime": True})

OBJECTIVES = (
    SearchObjective("accuracy", "accuracy/valid_cifar10", "max", "%"),
    SearchObjective("latency:pixel3", "latency:pixel3", "min", "ms"),
)
FOUND = FoundArchitecture("|a~0|", 3, {"accuracy": 91.5, "latency:pixel3": 4.5}, 91.5, 94.25, Path("found/nasbench201-01.onnx"))
UNTESTED = FoundArchitecture("|b~0|", 7, {"latency:pixel3": 2.5}, None, None)
SEARCHED = SearchResult(
    "nasbench201", "cifar10", "predictor", "zcp", OBJECTIVES, 0, 14921, 181, 40, FOUND, (FOUND, replace(FOUND, number=9, file=None)),
    Path("a.run"),
)  # fmt: skip
SEARCHED_PLAINLY = SearchResult("nasbench201", "cifar10", "random", None, OBJECTIVES[1:], 0, 15625, 0, 20, UNTESTED, (UNTESTED,), None)
RUN = RunDetail(
    RunSummary(Path("a.run"), "running", "nasbench201", "cifar10", "predictor", 3, 12, 40, "2026-11-27T20:00:00Z"),
    "zcp", OBJECTIVES, FOUND, (FOUND,), ((1, 70.5), (3, 91.5)),
)  # fmt: skip
YOUNG_RUN = RunDetail(
    RunSummary(Path("b.run"), "running", "nasbench201", "cifar10", "random", 3, 0, 40, None), None, OBJECTIVES[1:], None, (), ()
)  # fmt: skip
RUNS = RunsResult(Path(), (RUN.summary, YOUNG_RUN.summary))
