"""What is asked and what is answered: names of metrics and architectures, joins by key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.tables import BEST, TABLE_9, TABLE_10, best, correlations
from nasopt.errors import UsageError
from nasopt.spaces.registry import get_space
from nasopt.spaces.tables.catalogue import GROUPS, describe, open_table
from nasopt.spaces.tables.query import Value, join, query
from nasopt.spaces.tables.table import BenchmarkTable

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
FULL = "latency:amp-nchw-pt240-cu124-rtx4090"


def value(group: str, architecture: str, metric: str) -> Value:
    (row,) = query(group, architecture, [metric])
    return row.values[metric]


def table(label: str) -> BenchmarkTable:
    told = describe(label)
    return open_table(told.group, told.tables[0])


def refusal(group: str, architecture: str, metric: str) -> str:
    with pytest.raises(UsageError) as caught:
        query(group, architecture, [metric])
    return str(caught.value)


# Known facts.


@pytest.mark.parametrize(("group", "metric", "published", "source"), BEST)
def test_best_architectures(data: Path, group: str, metric: str, published: str, source: str) -> None:
    assert best(group, metric, published, source)["equal"]


@pytest.mark.parametrize(("group", "printed"), [("fbnet", TABLE_9), ("nasbench201", TABLE_10)])
def test_device_correlations_of_multi_predict(data: Path, group: str, printed: dict[str, tuple[str, ...]]) -> None:
    rows = correlations(group, printed)
    assert len(rows) == 27
    assert [row for row in rows if not row["equal"]] == []


# Names of metrics.


@pytest.mark.parametrize(
    ("metric", "file", "column", "task"),
    [
        ("nats_test_cifar10", "accuracy", "nats_test_cifar10", None),
        ("accuracy/nats_test_cifar10", "accuracy", "nats_test_cifar10", None),
        ("nats_test@ImageNet16-120", "accuracy", "nats_test_ImageNet16-120", None),
        ("latency:pixel3", "latency_help", "pixel3", None),
        ("latency:pixel3@cifar10", "latency_help", "pixel3", None),
        ("latency:help/pixel3", "latency_help", "pixel3", None),
        ("latency:latency_help/pixel3", "latency_help", "pixel3", None),
        ("pixel3", "latency_help", "pixel3", None),
        ("latency:hw_nas_bench/pixel3@cifar100", "hw_nas_bench", "pixel3_latency", "cifar100"),
        ("latency:edgegpu@ImageNet16-120", "hw_nas_bench", "edgegpu_latency", "ImageNet16-120"),
        ("edgegpu_energy@task=cifar100", "hw_nas_bench", "edgegpu_energy", "cifar100"),
        ("latency:pi5_litert@darcy", "hw_nas_bench_360", "pi5_litert_darcy_ms", None),
        ("pi5_onnx_mJ@ninapro", "hw_nas_bench_360", "pi5_onnx_ninapro_mJ", None),
        ("latency:eagle_i7", "latency_eagle_i7", "latency_ms", None),
        ("aa_apgd-ce@Linf_eps-0.1", "robustness_cifar10", "aa_apgd-ce@Linf_eps-0.1", None),
        ("zcp_cifar10_9445/synflow", "zcp_cifar10_9445", "synflow", None),
        ("synflow@ImageNet16-120@task=ImageNet16-120", "", "", ""),
        ("zen/zen@cifar100", "zen", "zen_cifar100", None),
        ("tagates_split", "accuracy", "tagates_split", None),
        ("index", "accuracy", "index", None),
    ],
)
def test_a_metric_means_a_column(data: Path, metric: str, file: str, column: str, task: str | None) -> None:
    if not file:
        assert "may mean several columns" in refusal("nasbench201", CELL, metric)
        return
    rows = pq.read_table(data / "data" / "nasbench201" / f"{file}.parquet").to_pylist()
    (expected,) = (row[column] for row in rows if row["arch_str"] == CELL and task in {None, row.get("task")})
    (row,) = query("nasbench201", CELL, [metric])
    found = row.measured[metric]
    assert found.value == expected
    assert (found.table, found.column, found.rows) == (f"nasbench201/{file}", column, 0 if expected is None else 1)
    assert found.conditions == ({"task": task} if task else {})
    assert row.units[metric] == describe(f"nasbench201/{file}").tables[0].info.column(column).unit
    assert row.sources[metric] == found.source


def test_tasks_choose_between_tables(data: Path) -> None:
    for task in ("ninapro", "svhn", "scifar100"):
        rows = pq.read_table(data / "data" / "nasbench201" / "zcp_9x_199.parquet").to_pylist()
        row = next(row for row in rows if row["task"] == task)
        assert value("nasbench201", row["arch_str"], f"val_accuracy@{task}") == row["val_accuracy"]


@pytest.mark.parametrize(
    ("group", "metric", "parts"),
    [
        ("nasbench201", "nats_tst_cifar10", ["no metric 'nats_tst_cifar10'", "nats_test_cifar10", "tables show nasbench201"]),
        ("nasbench201", "synflow", ["zcp_cifar10_9445/synflow", "zcp_9x_199/synflow@ninapro|scifar100|svhn"]),
        ("nasbench201", "val_accuracy@cifar10", ["zcp_subset_725/val_accuracy@cifar10", "zcp_early_491/val_accuracy@cifar10"]),
        ("nasbench201", "val_accuracy@mnist", ["fits no table", "zcp_9x_199/val_accuracy@ninapro|scifar100|svhn"]),
        ("nasbench201", "latency:pi5_litert", ["hw_nas_bench_360/pi5_litert_darcy_ms"]),
        ("nasbench201", "latency:edgegpu", ["for each task", "latency:edgegpu@cifar100"]),
        ("nasbench201", "latency:pixel", ["no latency on a device 'pixel'", "latency:pixel3"]),
        ("nasbench201", "latency:nats_test_cifar10", ["no latency on a device"]),
        ("nasbench201", "latency:", ["no latency on a device ''"]),
        ("nasbench201", "", ["no metric ''"]),
        ("nasbench201", "@cifar10", ["no metric '@cifar10'"]),
        ("nasbench201", "accuracy/synflow", ["no metric 'accuracy/synflow'"]),
        ("fbnet", "accuracy", ["no metric 'accuracy'"]),
        ("ofa_mbv3", "top1", ["imagenet_accuracy_dynast/top1", "cifar10_accuracy_cnas/top1"]),
        ("timm", "latency:gpu", ["timm/latency has no rows of 'gpu'", "amp-nchw-pt240-cu124-rtx4090"]),
    ],
)
def test_errors_list_what_could_be_meant(data: Path, group: str, metric: str, parts: list[str]) -> None:
    message = refusal(group, CELL, metric)
    assert [part for part in parts if part not in message] == []


def test_suggested_names_are_understood(data: Path) -> None:
    message = refusal("nasbench201", CELL, "synflow")
    names = message.partition("write one of ")[2].split(", ")
    assert len(names) > 3
    for name in names:
        query("nasbench201", CELL, [name.partition("|")[0]])


def test_no_metric(data: Path) -> None:
    with pytest.raises(UsageError, match="at least one metric"):
        query("fbnet", "0", [])


# Names of architectures.


def test_other_names_of_a_cell(data: Path) -> None:
    rows = pq.read_table(data / "data" / "nasbench201" / "accuracy.parquet").to_pylist()
    for row in rows[:: len(rows) // 20]:
        for name in (row["arch_str"], f" {row['arch_str']}\n", str(row["index"]), row["naslib_key"]):
            assert query("nasbench201", name, ["params_m"])[0].key == row["arch_str"]
    found = query("nasbench201", [row["naslib_key"] for row in rows[:3]], ["index"])
    assert [row.values["index"] for row in found] == [0, 1, 2]


def test_cells_by_hash_and_by_matrix(data: Path) -> None:
    rows = pq.read_table(data / "data" / "nasbench101" / "accuracy_30001.parquet").to_pylist()
    for row in rows[:: len(rows) // 10]:
        for name in (row["hash"], f"{row['adjacency']}|{row['ops']}"):
            assert value("nasbench101", name, "valid_acc_e4") == row["valid_acc_e4"]


def test_edges_of_a_node_have_no_order(data: Path) -> None:
    space = get_space("nasbench301")
    for row in pq.read_table(data / "data" / "nasbench301" / "zcp_subset_725.parquet").to_pylist()[::50]:
        for name in (row["arch"], space.text(space.parse(row["arch"]))):
            assert value("nasbench301", name, "zcp_subset_725/nwot") == row["nwot"]


@pytest.mark.parametrize("kind", ["micro", "macro"])
def test_official_strings_of_transnasbench(data: Path, kind: str) -> None:
    space = get_space(f"transnasbench101_{kind}")
    for row in pq.read_table(data / "data" / "transnasbench101" / f"{kind}.parquet").to_pylist()[::400]:
        for name in (row["arch"], space.text(space.parse(row["arch"])), str(row["index"])):
            assert value(f"transnasbench101_{kind}", name, "valid_jigsaw") == row["valid_jigsaw"]


def test_spaces_whose_keys_are_many_columns(data: Path) -> None:
    rows = pq.read_table(data / "data" / "ofa_mbv3" / "latency_help.parquet").to_pylist()
    space = get_space("ofa_mbv3")
    for row in rows[::500]:
        genes = space.row(row)  # type: ignore[attr-defined]
        for name in (space.text(genes), str(row["index"])):
            assert value("ofa_mbv3", name, "latency:v100_64") == row["v100_64"]
    blocks = pq.read_table(data / "data" / "accel_nasbench" / "mnasnet_space.parquet").to_pylist()
    space = get_space("mnasnet")
    for row in blocks[::500]:
        assert value("mnasnet", space.text(space.row(row)), "macs") == row["macs"]  # type: ignore[attr-defined]


def test_architectures_that_a_table_does_not_have(data: Path) -> None:
    none = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    (row,) = query("nasbench201", none, ["latency:eagle_i7", "naswot_score", "latency:edgetpu@cifar10", "nats_test_cifar10"])
    assert list(row.values.values())[:3] == [None, None, None]
    assert row.values["nats_test_cifar10"] == 10
    assert row.measured["naswot_score"].rows == 0
    (row,) = query("ofa_mbv3", "ks=" + ",".join("3" * 20) + ";e=" + ",".join("6" * 20) + ";d=4,4,4,4,4", ["latency:v100_1"])
    assert row.values["latency:v100_1"] is None


def test_a_name_in_another_table_of_the_group(data: Path) -> None:
    """The index of a cell that the table asked for does not have."""
    (row,) = query("nasbench201", "0", ["zcp_9x_199/synflow@svhn"])
    assert (row.key, row.values["zcp_9x_199/synflow@svhn"]) == (table("nasbench201/accuracy").keys[0], None)


@pytest.mark.parametrize(
    ("group", "architecture", "part"),
    [
        ("nasbench201", "garbage", "expected |op~0|"),
        ("nasbench201", "15625", "no architecture"),
        ("nasbench201", "-1", "no architecture"),
        ("nasbench101", "f" * 32, "no table of nasbench101 has the architecture"),
        ("timm", "resnet50000.a1_in1k", "keys look like"),
        ("fbnet", "", "22 numbers"),
    ],
)
def test_unknown_architectures(data: Path, group: str, architecture: str, part: str) -> None:
    metric = {"nasbench201": "params_m", "nasbench101": "zen", "timm": "top1", "fbnet": "synflow"}[group]
    assert part in refusal(group, architecture, metric)


# Conditions and repeats.


def test_conditions_have_to_be_chosen(data: Path) -> None:
    rows = pq.read_table(data / "data" / "timm" / "imagenet_accuracy.parquet").to_pylist()
    row = next(row for row in rows if row["img_size"] == 288)
    name = row["model"]
    sizes = [each["img_size"] for each in rows if each["model"] == name]
    assert len(sizes) == 2
    assert f"top1@{sizes[0]}" in refusal("timm", name, "top1")
    assert value("timm", name, "top1@288") == value("timm", name, "top1@img_size=288") == row["top1"]
    assert value("timm", name, "imagenet_accuracy/params_m") == row["params_m"]  # which does not depend on the size
    assert "has no rows of '999'" in refusal("timm", name, "top1@999")
    (found,) = query("timm", name, ["top1@288"])
    assert found.measured["top1@288"].conditions == {"img_size": 288}


def test_conditions_rule_tables_out(data: Path) -> None:
    rows = pq.read_table(data / "data" / "ofa_mbv3" / "imagenet_accuracy_moofa.parquet").to_pylist()
    row = next(row for row in rows if row["supernet"] == "MIT_OFA" and row["r"] == 192)
    key = get_space("ofa_mbv3").text(get_space("ofa_mbv3").row(row))  # type: ignore[attr-defined]
    assert value("ofa_mbv3", key, "top1@MIT_OFA@r=192") == row["top1"]
    message = refusal("ofa_mbv3", key, "top1@224")
    assert "imagenet_accuracy_dynast/top1@224" in message
    assert "moofa" not in message
    assert "compofa" in refusal("ofa_mbv3", key, "top1@999")  # of which no table has rows: all are named


def test_one_table_of_a_group(data: Path) -> None:
    (row,) = query("nasbench201/zcp_cifar10_9445", CELL, ["synflow"])
    assert row.measured["synflow"].table == "nasbench201/zcp_cifar10_9445"
    with pytest.raises(UsageError, match="no latency on a device 'pixel3'"):
        query("nasbench201/accuracy", CELL, ["latency:pixel3"])
    assert set(join("fbnet/zcp_nasflat", ["flops"]).sources.values()) == {describe("fbnet/zcp_nasflat").tables[0].info.source}


def test_latency_does_not_depend_on_weights(data: Path) -> None:
    assert value("timm", "resnet50.a1_in1k", f"{FULL}@224") == value("timm", "resnet50", f"step_ms@{FULL[8:]}@img_size=224")
    both = join("timm", ["top1@224", f"{FULL}@224"])
    accuracies, latencies = table("timm/imagenet_accuracy"), table("timm/latency")
    for key, top1, latency in list(zip(both.keys, both.values["top1@224"], both.values[f"{FULL}@224"], strict=True))[::100]:
        rows = [row for row in accuracies.rows_of(key) if accuracies.column("img_size")[row] == 224]
        assert [accuracies.column("top1")[row] for row in rows] == [top1]
        rows = [row for row in latencies.rows_of(key) if latencies.column("img_size")[row] == 224]
        assert latency in {latencies.column("step_ms")[row] for row in rows if latencies.column("setup")[row] == FULL[8:]}


def test_repeats_are_averaged(data: Path) -> None:
    name = "imagenet_accuracy_dynast/top1"
    found = table("ofa_mbv3/imagenet_accuracy_dynast")
    values = found.column("top1")
    key, rows = next((key, rows) for key, rows in found.repeated.items() if len({values[row] for row in rows}) > 1)
    (row,) = query("ofa_mbv3", key, [name])
    assert row.values[name] == pytest.approx(np.mean(values[list(rows)]), rel=1e-12)
    assert row.measured[name].rows == len(rows)
    log = found.column("search_log")[rows[0]]
    assert value("ofa_mbv3", key, f"{name}@{log}") == values[rows[0]]
    joined = join("ofa_mbv3", [name])
    assert len(joined.keys) == len(found.index)
    assert joined.values[name][joined.keys.index(key)] == row.values[name]
    assert value("ofa_mbv3", key, "search_log") == ", ".join(dict.fromkeys(found.column("search_log")[list(rows)]))


# Joins.


@pytest.fixture
def shuffled(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FBNet's tables with the rows of the proxies in another order and some of them missing."""
    monkeypatch.setenv("NASOPT_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data" / "fbnet").mkdir(parents=True)
    for name in ("latency_help", "zcp_nasflat"):
        rows = pq.read_table(data / "data" / "fbnet" / f"{name}.parquet").slice(0, 1000)
        if name == "zcp_nasflat":
            rows = rows.take(pa.array(np.random.default_rng(0).permutation(1000)[:900]))
        pq.write_table(rows, tmp_path / "data" / "fbnet" / f"{name}.parquet")
    return tmp_path / "data" / "fbnet"


def test_joins_are_by_key(shuffled: Path) -> None:
    both = join("fbnet", ["latency:pixel3", "synflow"])
    latency = {row["arch_key"]: row["pixel3"] for row in pq.read_table(shuffled / "latency_help.parquet").to_pylist()}
    synflow = {row["arch_key"]: row["synflow"] for row in pq.read_table(shuffled / "zcp_nasflat.parquet").to_pylist()}
    assert (len(both.keys), both.left_out) == (900, 100)
    assert both.keys == tuple(key for key in latency if key in synflow)
    assert both.values["latency:pixel3"].tolist() == [latency[key] for key in both.keys]
    assert both.values["synflow"].tolist() == [synflow[key] for key in both.keys]
    assert (both.units, both.space) == ({"latency:pixel3": "ms", "synflow": "score"}, "fbnet")
    other = join("fbnet", ["synflow", "latency:pixel3"])
    assert other.keys == tuple(synflow)
    assert other.left_out == 0


def test_joins_with_gaps(shuffled: Path) -> None:
    both = join("fbnet", ["latency:pixel3", "synflow"], complete=False)
    assert len(both.keys) == 1000
    assert np.isnan(both.values["synflow"]).sum() == both.left_out == 100


def test_joins_across_sources(data: Path) -> None:
    metrics = ["nats_test_cifar10", "latency:pixel3", "latency:hw_nas_bench/pixel3@cifar10", "zcp_cifar10_9445/synflow", "latency:eagle_i7"]
    joined = join("nasbench201", metrics)
    parts = [set(table(f"nasbench201/{name}").keys) for name in ("accuracy", "help", "hw_nas_bench", "zcp_cifar10_9445", "eagle")]
    assert set(joined.keys) == set.intersection(*parts)
    assert joined.left_out == 15_625 - len(joined.keys) > 6000
    np.testing.assert_array_equal(joined.values["latency:pixel3"], joined.values["latency:hw_nas_bench/pixel3@cifar10"])
    assert set(joined.conditions["latency:hw_nas_bench/pixel3@cifar10"]["task"]) == {"cifar10"}
    for row in query("nasbench201", joined.keys[::1000], metrics):
        place = joined.keys.index(row.key)
        assert list(row.values.values()) == [joined.values[metric][place] for metric in metrics]


def test_joins_do_not_mix_conditions(data: Path) -> None:
    with pytest.raises(UsageError, match="edgegpu_energy@cifar10"):
        join("nasbench201", ["edgegpu_energy"])
    moofa = join("ofa_mbv3", ["imagenet_accuracy_moofa/top1"]).conditions["imagenet_accuracy_moofa/top1"]
    assert set(moofa["supernet"]) == {"MIT_OFA", "CompOFA"}
    part = join("ofa_mbv3", ["imagenet_accuracy_moofa/top1@MIT_OFA@r=192"])
    assert set(part.conditions["imagenet_accuracy_moofa/top1@MIT_OFA@r=192"]["r"]) == {192}
    assert 0 < len(part.keys) < 2610


def test_texts_are_joined(data: Path) -> None:
    joined = join("nasbench201", ["nats_test_cifar10", "tagates_split"])
    assert len(joined.keys) == 9445
    gaps = join("nasbench201", ["nats_test_cifar10", "tagates_split"], complete=False)
    assert sum(part is None for part in gaps.values["tagates_split"]) == 15_625 - 9445


@pytest.mark.parametrize("group", GROUPS)
def test_every_plain_name_is_a_column_or_refused_clearly(data: Path, group: str) -> None:
    """A name of any column is understood, or needs a condition; nothing else happens."""
    for entry in describe(group).tables:
        key = open_table(describe(group).group, entry).keys[0]
        for column in entry.info.columns[::3]:
            metric = f"{entry.info.name}/{column.name}"
            refused = ""
            try:
                (row,) = query(group, key, [metric])
            except UsageError as error:
                refused = str(error)
            assert "write one of" in refused if refused else row.measured[metric].column == column.name
