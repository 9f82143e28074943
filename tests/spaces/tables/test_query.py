"""Lookups and joins: by architecture whatever its spelling and whatever the order of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nasopt.errors import UsageError
from nasopt.spaces.registry import get_space
from nasopt.spaces.tables.query import join, query, resolve

CELL = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|"


@pytest.fixture(autouse=True)
def place(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("arch", [CELL, "(4, 0, 1, 1, 1, 0)", "3", f" {CELL} "])
def test_an_architecture_may_be_spelt_in_several_ways(arch: str) -> None:
    found = query("nasbench201", arch, ["nats_test_cifar10", "latency:pixel3"])
    assert found.arch == CELL
    assert found.values == {"nats_test_cifar10": 86.61666666666667, "latency:pixel3": 1.06264}
    assert found.units == {"nats_test_cifar10": "%", "latency:pixel3": "ms"}
    assert found.sources == {"nats_test_cifar10": "nasbench201/accuracy", "latency:pixel3": "nasbench201/latency_help"}


def test_values_are_those_of_the_file(data: Path) -> None:
    rows = pq.read_table(data / "data/nasbench101/accuracy_30001.parquet").slice(1000, 5).to_pylist()
    for row in rows:
        for arch in (row["hash"], f"{row['adjacency']}|{row['ops']}"):
            found = query("nasbench101", arch, ["valid_acc_e108", "train_time_s", "accuracy_30001/params"])
            assert list(found.values.values()) == [row["valid_acc_e108"], row["train_time_s"], row["params"]]


def test_architectures_named_by_many_columns_are_found(data: Path) -> None:
    row = pq.read_table(data / "data/ofa_mbv3/latency_help.parquet").slice(7, 1).to_pylist()[0]
    space = get_space("ofa_mbv3")
    text = space.text(space.row(row))  # type: ignore[attr-defined]
    assert query("ofa_mbv3", text, ["latency:v100_1"]).values == {"latency:v100_1": row["v100_1"]}
    row = pq.read_table(data / "data/accel_nasbench/mnasnet_space.parquet").slice(9, 1).to_pylist()[0]
    space = get_space("mnasnet")
    text = space.text(space.row(row))  # type: ignore[attr-defined]
    found = query("mnasnet", text, ["latency:zcu102", "val_top1"])
    assert list(found.values.values()) == [row["latency_zcu102"], row["val_top1"]]


def test_tasks_and_failures(data: Path) -> None:
    table = pq.read_table(data / "data/nasbench201/hw_nas_bench.parquet").to_pylist()
    failed = next(row for row in table if row["edgetpu_latency"] == -1 and row["task"] == "cifar100")
    metrics = ["latency:edgetpu@cifar100", "latency:hw_nas_bench/raspi4@cifar100", "raspi4_latency@cifar100"]
    found = query("nasbench201", failed["arch_str"], metrics)
    assert found.values["latency:edgetpu@cifar100"] is None
    assert found.values["latency:hw_nas_bench/raspi4@cifar100"] == failed["raspi4_latency"] == found.values["raspi4_latency@cifar100"]
    with pytest.raises(UsageError, match=r"several tasks; say which: latency:hw_nas_bench/edgetpu@cifar10,"):
        query("nasbench201", CELL, ["latency:edgetpu"])


def test_a_model_at_one_size_needs_no_task() -> None:
    assert query("timm", "eva02_large_patch14_448.mim_in22k_ft_in1k", ["top1"]).values == {"top1": 89.634}
    with pytest.raises(UsageError, match=r"top1@288, .*top1@224"):
        query("timm", "resnet50.d_in1k", ["top1"])


def test_an_architecture_that_was_not_measured_has_no_value() -> None:
    depths = ",".join(["2"] * 5)
    blocks = ",".join((["3"] * 2 + ["0"] * 2) * 5)
    assert query("ofa_mbv3", f"ks={blocks};e={blocks};d={depths}", ["latency:v100_1"]).values == {"latency:v100_1": None}


def test_repeated_measurements_are_averaged(data: Path) -> None:
    rows = pq.read_table(data / "data/ofa_mbv3/imagenet_accuracy_dynast.parquet").to_pylist()
    space = get_space("ofa_mbv3")
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(space.text(space.row(row)), []).append(row["top1"])  # type: ignore[attr-defined]
    text, values = max(found.items(), key=lambda item: (len(item[1]), len(set(item[1]))))
    assert len(values) > 1
    metric = "imagenet_accuracy_dynast/top1"
    assert query("ofa_mbv3", text, [metric]).values[metric] == pytest.approx(np.mean(values))


@pytest.mark.parametrize(
    ("group", "metric", "said"),
    [
        ("nasbench21", "x", "did you mean nasbench201"),
        ("nasbench201", "nats_test_cifar", "did you mean nats_test_cifar10"),
        ("nasbench201", "latency:pixel", "did you mean pixel3"),
        ("nasbench201", "synflow", "say which: zcp_cifar10_9445/synflow"),
        ("nasbench201", "no_file/synflow", "has no table 'no_file'"),
        ("nasbench201", "zcp_9x_199/val_accuracy@mnist", "no such task .tasks: ninapro"),
        ("nasbench201", "nats_test_cifar10@cifar10", "no such task .tasks: none"),
        ("nasbench201", "", "has no metric"),
    ],
)
def test_unknown_and_ambiguous_metrics_are_answered(group: str, metric: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(group, metric)


@pytest.mark.parametrize(("group", "arch"), [("nasbench201", "conv"), ("nasbench201", "99999"), ("timm", "resnet5"), ("fbnet", "1_2")])
def test_unknown_architectures_are_answered(group: str, arch: str) -> None:
    metric = {"nasbench201": "nats_test_cifar10", "timm": "top1", "fbnet": "latency:pixel3"}[group]
    with pytest.raises(UsageError, match=r"no architecture|no row"):
        query(group, arch, [metric])


def test_joins_go_by_key_and_not_by_position(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """FBNet's proxies stand in another order; and shuffling them changes nothing."""
    metrics = ["latency:raspi4", "flops"]
    first = join("fbnet", metrics)
    latency = pq.read_table(data / "data/fbnet/latency_help.parquet")
    proxies = pq.read_table(data / "data/fbnet/zcp_nasflat.parquet")
    wanted = dict(zip(proxies["arch_key"].to_pylist(), proxies["flops"].to_pylist(), strict=True))
    assert list(first.keys) == latency["arch_key"].to_pylist()
    assert first.columns["flops"].tolist() == [wanted[key] for key in first.keys]
    folder = tmp_path / "data/fbnet"
    folder.mkdir(parents=True)
    pq.write_table(latency, folder / "latency_help.parquet")
    order = np.random.default_rng(0).permutation(len(proxies))
    pq.write_table(proxies.take(pa.array(order)), folder / "zcp_nasflat.parquet")
    monkeypatch.setenv("NASOPT_DATA", str(tmp_path))
    again = join("fbnet", metrics)
    assert again.keys == first.keys
    assert all(np.array_equal(again.columns[name], first.columns[name]) for name in metrics)


def test_a_join_keeps_what_all_tables_have() -> None:
    joined = join("nasbench201", ["nats_test_cifar10", "zcp_cifar10_9445/synflow", "latency_oneproxy_eagle_1999/eagle_tpu"])
    assert len(joined.keys) == len(set(joined.keys))
    assert 1000 < len(joined.keys) <= 1999
    assert all(len(column) == len(joined.keys) for column in joined.columns.values())
    assert np.isfinite(joined.columns["nats_test_cifar10"]).all()


def test_the_known_maxima_of_nas_bench_201() -> None:
    found = join("nasbench201", ["nats_test_cifar10", "nats_test_cifar100", "nats_test_ImageNet16-120"])
    # Dong et al., NATS-Bench (IEEE TPAMI 2021), the best of the topology space.
    assert [round(float(column.max()), 3) for column in found.columns.values()] == [94.373, 73.513, 47.311]
