"""Imported releases: kept, described, found, and never in the way of published tables."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nasopt.errors import UsageError
from nasopt.spaces.tables.catalogue import describe, group_named, list_tables, open_table, tables_of
from nasopt.spaces.tables.places import IMPORTED, cache_directory
from nasopt.spaces.tables.query import join, query
from nasopt.spaces.tables.release import Release
from nasopt.spaces.tables.store import import_table, keep

CELLS = [f"|none~0|+|none~0|none~1|+|none~0|none~1|{last}~2|" for last in ("none", "skip_connect", "nor_conv_3x3")]
NATS = Release(
    "nats_bench",
    "nasbench201",
    {
        "index": np.arange(3, dtype=np.int32),
        "arch_str": CELLS,
        "test_cifar10": np.array([10.0, 20.5, math.nan]),
        "test_cifar100": np.array([1.0, 2.0, 3.0]),
        "latency_cifar10": np.array([13.5, 14.0, math.nan]),
        "seeds_cifar10": np.array([1, 3, 2]),
    },
    {"test_cifar10": "%", "test_cifar100": "%", "latency_cifar10": "ms"},
    "D-X-Y/NATS-Bench",
    "MIT",
    "Three of 15,625.",
)
HW = Release(
    "hw_nas_bench",
    "nasbench201",
    {
        "arch_str": [*CELLS, *CELLS],
        "index": np.array([0, 1, 2, 0, 1, 2]),
        "task": ["cifar10"] * 3 + ["cifar100"] * 3,
        "edgetpu_latency": np.array([-1.0, 2.0, 3.0, 4.0, -1.0, 6.0]),
        "edgegpu_energy": np.arange(6.0),
    },
    {"edgetpu_latency": "ms", "edgegpu_energy": "mJ"},
)


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NASOPT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_what_is_kept_is_in_the_catalogue() -> None:
    path = keep(NATS)
    assert path == cache_directory() / IMPORTED / "nasbench201" / "nats_bench.parquet"
    (entry,) = describe("nasbench201/nats_bench").tables
    info = entry.info
    assert (entry.path, entry.imported, entry.checksum) == (path, True, "right")
    assert (info.rows, info.source, info.licence, info.notes) == (3, "D-X-Y/NATS-Bench", "MIT", "Three of 15,625.")
    kinds = {column.name: (column.kind, column.unit, column.task) for column in info.columns}
    assert kinds == {
        "index": ("key", "", ""),
        "arch_str": ("key", "", ""),
        "test_cifar10": ("metric", "%", "cifar10"),
        "test_cifar100": ("metric", "%", "cifar100"),
        "latency_cifar10": ("latency", "ms", "cifar10"),
        "seeds_cifar10": ("other", "", "cifar10"),
    }
    assert entry in list_tables()
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_values_come_back() -> None:
    keep(NATS)
    table = open_table(group_named("nasbench201"), describe("nasbench201/nats_bench").tables[0])
    for name, values in NATS.columns.items():
        assert table.column(name).dtype == (object if isinstance(values, list) else values.dtype)
        np.testing.assert_array_equal(table.column(name), values)
    (row,) = query("nasbench201", "1", ["test_cifar10", "test@cifar100", "seeds_cifar10"])
    assert (row.key, row.values) == (CELLS[1], {"test_cifar10": 20.5, "test@cifar100": 2.0, "seeds_cifar10": 3})
    assert query("nasbench201", CELLS[2], ["test_cifar10"])[0].values["test_cifar10"] is None


def test_tasks_and_failures_of_an_import() -> None:
    keep(HW)
    (row,) = query("nasbench201", CELLS[0], ["latency:edgetpu@cifar10", "latency:edgetpu@cifar100", "edgegpu_energy@cifar100"])
    assert list(row.values.values()) == [None, 4.0, 3.0]
    with pytest.raises(UsageError, match="latency:edgetpu@cifar100"):
        query("nasbench201", CELLS[2], ["latency:edgetpu"])
    assert len(join("nasbench201", ["latency:hw_nas_bench/edgetpu@cifar10"]).keys) == 2


def test_an_import_does_not_change_what_a_name_means(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    metrics = ["test_cifar10", "latency:edgetpu@cifar10", "nats_bench/test_cifar10"]
    before = query("nasbench201", CELLS[1], metrics[:2])
    keep(NATS)
    keep(HW)
    after = query("nasbench201", CELLS[1], metrics)
    assert [after[0].measured[metric] for metric in metrics[:2]] == list(before[0].measured.values())
    assert after[0].values["nats_bench/test_cifar10"] == 20.5


def test_a_published_name_of_an_absent_table_is_answered_by_an_import() -> None:
    with pytest.raises(UsageError, match=r"nasbench201/accuracy is not here: fetch NATS-tss.*nasopt tables import"):
        query("nasbench201", CELLS[0], ["test_cifar10"])
    keep(NATS)
    assert query("nasbench201", CELLS[0], ["test_cifar10"])[0].values["test_cifar10"] == 10
    with pytest.raises(UsageError, match="nasbench201/accuracy is not here"):
        query("nasbench201", CELLS[0], ["nats_test_cifar10"])


def test_what_is_missing_may_be_in_an_import(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    metrics = ["naswot_score", "latency:edgetpu@cifar10"]
    before = query("nasbench201", CELLS[0], metrics)[0]
    assert [before.measured[metric].elsewhere for metric in metrics] == [(), ()]
    keep(Release("mine", "nasbench201", {"arch_str": CELLS[:1], "naswot_score": np.array([1.5]), "edgetpu_latency": np.array([2.5])},
                 {"edgetpu_latency": "ms"}))  # fmt: skip
    found = query("nasbench201", CELLS[0], metrics)[0]
    assert found.values == before.values == dict.fromkeys(metrics)
    assert found.measured["naswot_score"].elsewhere == ("mine/naswot_score",)
    assert query("nasbench201", CELLS[0], ["mine/naswot_score", "latency:mine/edgetpu"])[0].values == {
        "mine/naswot_score": 1.5, "latency:mine/edgetpu": 2.5,
    }  # fmt: skip


def test_two_imports_with_one_name() -> None:
    keep(NATS)
    keep(Release("nasbench201", "nasbench201", NATS.columns, NATS.units))
    with pytest.raises(UsageError, match=r"nasbench201/test_cifar10, nats_bench/test_cifar10"):
        query("nasbench201", CELLS[0], ["test_cifar10"])


def test_a_later_import_replaces_an_earlier_one() -> None:
    keep(NATS)
    assert query("nasbench201", CELLS[0], ["test_cifar10"])[0].values["test_cifar10"] == 10
    path = keep(Release("nats_bench", "nasbench201", {"arch_str": CELLS[:1], "test_cifar10": np.array([11.0])}, {"test_cifar10": "%"}))
    os.utime(path, ns=(1, 1))  # else a file of the same size within the clock's tick
    assert query("nasbench201", CELLS[0], ["test_cifar10"])[0].values["test_cifar10"] == 11
    assert sorted(file.name for file in path.parent.iterdir()) == ["nats_bench.parquet", "nats_bench.parquet.sha256"]


def test_the_same_release_gives_the_same_bytes() -> None:
    path = keep(NATS)
    first = path.read_bytes()
    assert keep(NATS).read_bytes() == first
    assert path.with_name(f"{path.name}.sha256").read_text() == f"{hashlib.sha256(first).hexdigest()}  nats_bench.parquet\n"


def test_a_damaged_import_is_refused() -> None:
    path = keep(NATS)
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    assert describe("nasbench201/nats_bench").tables[0].checksum == "wrong"
    with pytest.raises(UsageError, match="import it again"):
        query("nasbench201", CELLS[0], ["test_cifar10"])


def test_a_foreign_file_among_the_imports() -> None:
    path = keep(NATS).with_name("other.parquet")
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(UsageError, match=r"other\.parquet: does not describe itself"):
        tables_of(group_named("nasbench201"))
    path.write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"other\.parquet: cannot be read"):
        list_tables()


def test_a_group_that_nasopt_does_not_describe() -> None:
    columns = {"index": np.arange(2), "arch_str": ["64:64:64:64:64", "8:8:8:8:8"], "test_cifar10": np.array([93.0, 80.0])}
    keep(Release("nats_bench_size", "nats_size", columns, {"test_cifar10": "%"}))
    assert "nats_size" in {entry.info.group for entry in list_tables()}
    for name in ("8:8:8:8:8", "1"):
        (row,) = query("nats_size", name, ["test_cifar10"])
        assert (row.key, row.space, row.values) == ("8:8:8:8:8", None, {"test_cifar10": 80.0})
    with pytest.raises(UsageError, match="keys look like '64:64:64:64:64'"):
        query("nats_size", "7:7", ["test_cifar10"])


@pytest.mark.parametrize(
    ("space", "columns"),
    [
        ("nasbench201", {"index": np.arange(2), "pixel3": np.ones(2)}),
        ("ofa_mbv3", {"index": np.arange(2), "ks0": np.ones(2)}),
        ("unheard", {"pixel3": np.ones(2)}),
        ("../../up", {"arch": ["a", "b"]}),
    ],
)
def test_releases_that_do_not_name_their_architectures(space: str, columns: dict[str, np.ndarray]) -> None:
    with pytest.raises(UsageError, match="the release odd "):
        keep(Release("odd", space, columns))
    assert not cache_directory().exists()


def test_names_cannot_leave_the_directory() -> None:
    path = keep(Release("../../a b/ü", "nasbench201", NATS.columns))
    assert path.parent == cache_directory() / IMPORTED / "nasbench201"
    assert path.stem == ".._.._a_b__"
    assert describe(f"nasbench201/{path.stem}").tables[0].path == path


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UsageError, match="XDG_CACHE_HOME"):
        keep(NATS)


def test_a_release_of_timm_from_file_to_answer(tmp_path: Path) -> None:
    path = tmp_path / "results-imagenet.csv"
    path.write_text(
        "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation\n"
        "resnet50.a1_in1k,224,80.2,19.8,94.6,5.4,25.56,0.95,bicubic\n"
        "resnet50.a1_in1k,288,81.2,18.8,95.1,4.9,25.56,1.0,bicubic\n"
    )
    entry = import_table(path)
    assert (entry.imported, entry.info.group, entry.info.rows) == (True, "timm", 2)
    (row,) = query("timm", "resnet50.a1_in1k", ["top1@288", "params_m"])
    assert row.values == {"top1@288": 81.2, "params_m": 25.56}
    assert row.units["top1@288"] == "%"
    with pytest.raises(UsageError, match=r"missing\.pth"):
        import_table(tmp_path / "missing.pth")
