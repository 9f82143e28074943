"""Tables in files: read column by column, without pandas; and Parquet that we write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nasopt.errors import UsageError
from nasopt.spaces.tables import columnar
from nasopt.spaces.tables.catalogue import GROUPS, describe, open_table
from nasopt.spaces.tables.columnar import open_columns, packed, read_description
from nasopt.spaces.tables.query import query
from nasopt.spaces.tables.selection import is_missing
from nasopt.spaces.tables.table import BenchmarkTable

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def table(label: str) -> BenchmarkTable:
    told = describe(label)
    return open_table(told.group, told.tables[0])


def test_only_what_is_asked_for_is_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, str]] = []
    original = columnar._Parquet.read

    def watched(self: columnar._Parquet, name: str) -> np.ndarray:
        read.append((self._path.name, name))
        return original(self, name)

    monkeypatch.setattr(columnar._Parquet, "read", watched)
    monkeypatch.setattr("nasopt.spaces.tables.catalogue._opened", {})
    for _ in range(2):
        query("nasbench201", CELL, ["nats_test_cifar10", "latency:pixel3"])
    assert sorted(read) == [
        ("accuracy.parquet", "arch_str"), ("accuracy.parquet", "nats_test_cifar10"),
        ("latency_help.parquet", "arch_str"), ("latency_help.parquet", "pixel3"),
    ]  # fmt: skip


def test_a_fresh_process_imports_no_pandas(data: Path) -> None:
    program = f"""
import sys
from nasopt.spaces.tables.query import join, query
query("nasbench201", {CELL!r}, ["nats_test_cifar10", "tagates_split", "latency:edgetpu@cifar10", "latency:rice_edgetpu"])
query("timm", "resnet50.a1_in1k", ["top1@224", "interpolation", "latency:amp-nchw-pt240-cu124-rtx4090@224"])
join("mnasnet", ["val_top1", "block0_se"])
print(sorted({{"pandas", "onnx", "torch", "scipy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_values_are_those_of_the_file(data: Path) -> None:
    for group in GROUPS.values():
        for info in group.tables:
            if info.file.endswith(".parquet"):
                found = table(info.label)
                raw = pq.read_table(found.path)
                for column in info.columns[:: max(1, len(info.columns) // 8)]:
                    expected = [None if is_missing(value) or value == column.failed else value for value in raw[column.name].to_pylist()]
                    assert [None if is_missing(value) else value for value in found.column(column.name).tolist()] == expected


def test_columns_cannot_be_changed(data: Path) -> None:
    for name in ("nats_test_cifar10", "tagates_split", "arch_str"):
        with pytest.raises(ValueError, match="read-only"):
            table("nasbench201/accuracy").column(name)[0] = 1


def test_failures_are_missing(data: Path) -> None:
    found = table("nasbench201/hw_nas_bench")
    column = found.column("edgetpu_latency")
    assert np.isnan(column).sum() == 3 * 4699
    assert not np.isnan(found.column("edgegpu_latency")).any()
    assert np.isnan(table("nasbench201/oneproxy").column("rice_edgetpu")).sum() == 259


def test_splits_and_units(data: Path) -> None:
    found = table("nasbench201/accuracy")
    assert found.splits == {"tagates_split": ("test", "train")}
    assert (found.column("tagates_split") == "train").sum() == 4675
    assert found.units["params_m"] == "millions"
    assert "arch_str" not in found.units
    assert found.rows == 15_625
    assert "nasbench201/accuracy" in repr(found)


def test_repeated_rows(data: Path) -> None:
    found = table("ofa_mbv3/imagenet_accuracy_dynast")
    assert sum(len(rows) for rows in found.repeated.values()) + len(found.index) - len(found.repeated) == found.rows
    for key, rows in found.repeated.items():
        assert rows[0] == found.index[key] == min(rows)
        assert {found.keys[row] for row in rows} == {key}
        assert found.rows_of(key) == rows
    assert found.rows_of("nothing") == ()


def test_unknown_columns(data: Path) -> None:
    with pytest.raises(UsageError, match="no column 'accuracy'"):
        table("fbnet/latency_help").column("accuracy")


texts = st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=5)), min_size=4, max_size=4)
numbers = st.sampled_from(["f4", "f8", "i1", "i4", "i8", "u1", "u4", ">f8", ">i4"]).flatmap(lambda kind: hnp.arrays(kind, 4))


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=4), st.one_of(numbers, texts), min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, columns: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("written") / "table.parquet"
    description = {"name": "ä", "columns": list(columns)}
    path.write_bytes(packed(columns, description))
    assert read_description(path) == description
    file = open_columns(path)
    assert file.rows == 4
    for name, values in columns.items():
        found = file.read(name)
        if isinstance(values, list):
            assert found.tolist() == values
        else:
            assert found.dtype == values.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found, values)


def test_missing_numbers_are_nan(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    whole = pa.array([1, None, 3], pa.int64())
    pq.write_table(pa.table({"whole": whole, "yes": [True, False, True], "half": pa.array([0.5, None, None])}), path)
    file = open_columns(path)
    np.testing.assert_array_equal(file.read("whole"), [1, np.nan, 3])
    np.testing.assert_array_equal(file.read("half"), [0.5, np.nan, np.nan])
    assert file.read("yes").dtype == np.bool_
    assert read_description(path) == {}


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('a,b,c\nx,1,"p, q"\n,,r\n', encoding="utf-8")
    file = open_columns(path)
    assert file.rows == 2
    assert file.read("a").tolist() == ["x", None]
    np.testing.assert_array_equal(file.read("b"), [1, np.nan])
    assert file.read("c").tolist() == ["p, q", "r"]
    with pytest.raises(UsageError, match="no column 'd'"):
        file.read("d")
    for broken in ("a,b\n1\n", "", "a\n\udcff"):
        path.write_bytes(broken.encode("utf-8", "surrogateescape"))
        with pytest.raises(UsageError, match=r"table\.csv"):
            open_columns(path)
