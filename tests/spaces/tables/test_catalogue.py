"""The descriptions against the files that they describe."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.spaces.registry import SPACES, get_space
from nasopt.spaces.tables.catalogue import GROUPS, describe, group_named, list_assets, list_tables, open_table, tables_of
from nasopt.spaces.tables.columnar import open_columns
from nasopt.spaces.tables.info import Group, TableInfo

TABLES = {info.label: (group, info) for group in GROUPS.values() for info in group.tables}
MEASURED = {"metric", "proxy", "latency", "cost"}


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def read(path: Path, name: str) -> list[object]:
    values: list[object] = open_columns(path).read(name).tolist()
    return values


def test_every_published_file_is_described(data: Path) -> None:
    published = {*json.loads((data / "data" / "INDEX.json").read_text()), "zoos/published.csv"}
    tables = {info.file for _, info in TABLES.values()}
    others = {path.relative_to(data / "data").as_posix() for asset in list_assets() for path in (data / "data").glob(asset.files)}
    assert tables | others == published
    assert not tables & others


@pytest.mark.parametrize("label", TABLES)
def test_descriptions_fit_their_files(data: Path, label: str) -> None:
    _, info = TABLES[label]
    path = data / "data" / info.file
    file = open_columns(path)
    assert file.rows == info.rows
    names = [column.name for column in info.columns]
    assert len(set(names)) == len(names)
    if path.suffix == ".parquet":
        assert set(names) == set(json.loads((data / "data" / "INDEX.json").read_text())[info.file]["columns"])
    for name in names:
        assert len(file.read(name)) == info.rows
    if "task" in names:
        assert set(read(path, "task")) == set(info.tasks)


@pytest.mark.parametrize("label", TABLES)
def test_what_was_measured_has_a_unit_a_source_and_a_licence(label: str) -> None:
    _, info = TABLES[label]
    assert [column.name for column in info.columns if column.kind in MEASURED and not column.unit] == []
    assert [column.name for column in info.columns if column.device and column.kind != "latency"] == []
    assert [column.name for column in info.columns if column.task and column.task not in column.name] == []
    assert info.source
    assert info.licence
    assert info.title
    assert bool(info.fetch) == bool(info.imports)


@pytest.mark.parametrize("label", TABLES)
def test_texts_are_not_called_numbers(data: Path, label: str) -> None:
    """What has a unit is numbers, but for times of day."""
    _, info = TABLES[label]
    file = open_columns(data / "data" / info.file)
    texts = [column.name for column in info.columns if column.unit not in {"", "h:mm:ss"} and file.read(column.name).dtype == object]
    assert texts == []


@pytest.mark.parametrize("label", TABLES)
def test_settings_are_those_of_the_space(label: str) -> None:
    group, info = TABLES[label]
    assert set(info.settings) <= {"", *info.tasks}
    if group.space:
        for settings in info.settings.values():
            assert get_space(group.space, **settings).settings.items() >= settings.items()
    else:
        assert not info.settings


@pytest.mark.parametrize("label", TABLES)
def test_failures_are_marked(data: Path, label: str) -> None:
    """No latency is negative once failures are missing."""
    group, info = TABLES[label]
    (entry,) = (entry for entry in tables_of(group) if entry.info is info)
    table = open_table(group, entry)
    for column in info.of_kind("latency"):
        values = table.column(column.name)
        assert np.nanmin(values) > 0
        assert np.isfinite(values).any()


@pytest.mark.parametrize("group", [group for group in GROUPS.values() if group.space], ids=lambda group: group.name)
def test_the_space_reads_and_writes_the_keys(data: Path, group: Group) -> None:
    space = get_space(str(group.space), **group.settings)
    for entry in tables_of(group):
        table = open_table(group, entry)
        rows = list(range(0, table.rows, max(1, table.rows // 25)))
        texts = [table.keys[row] for row in rows]
        if group.name == "nasbench101":  # a hash does not tell its cell
            if "ops" not in table.units | {column.name: "" for column in entry.info.columns}:
                continue
            cells = zip(table.column("adjacency").tolist(), table.column("ops").tolist(), strict=True)
            written = [f"{adjacency}|{operations}" for adjacency, operations in cells]
            assert [group.key.of_genes(space, space.parse(written[row])) for row in rows] == texts
        else:
            assert [group.key.of_genes(space, space.parse(text)) for text in texts] == texts


@pytest.mark.parametrize("label", TABLES)
def test_conditions_tell_measurements_apart(data: Path, label: str) -> None:
    """An architecture has one row under the same conditions, or rows of different origin, or repeats that the notes speak of."""
    group, info = TABLES[label]
    (entry,) = (entry for entry in tables_of(group) if entry.info is info)
    table = open_table(group, entry)
    told = [table.column(column.name).tolist() for column in info.of_kind("condition", "origin")]
    rows = list(zip(table.keys, *told, strict=True))
    assert len(set(rows)) == len(rows) or "repeats" in info.notes


def test_groups_are_named_after_their_spaces() -> None:
    assert {group.name for group in GROUPS.values() if group.name in SPACES} == {
        group.space for group in GROUPS.values() if group.space and group.name != "oncenas_bench"
    }


def test_list_and_describe(data: Path) -> None:
    entries = list_tables()
    assert [entry.info.label for entry in entries] == list(TABLES)
    assert {entry.checksum for entry in entries if entry.info.group != "zoos"} == {"right"}
    assert describe("zoos").tables[0].checksum == "unknown"
    told = describe("nasbench201")
    assert told.group.name == "nasbench201"
    assert len(told.tables) == len(GROUPS["nasbench201"].tables)
    assert [entry.info.name for entry in describe("nasbench201/help").tables] == ["latency_help"]
    assert group_named("accel_nasbench").name == "mnasnet"


def test_descriptions_need_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(tmp_path))
    assert {(entry.path, entry.checksum) for entry in list_tables()} == {(None, "absent")}
    info: TableInfo = describe("fbnet/zcp_nasflat").tables[0].info
    assert info.column("flops").unit == "count"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nasbench-201", "did you mean nasbench201"),
        ("xyz", "groups of tables: nasbench101, nasbench201"),
        ("fbnet/latency", "no table 'latency' (tables: latency_help, zcp_nasflat)"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe(name)
    assert message in str(caught.value)


def test_priorities_are_ordered() -> None:
    """HELP's latencies come first, full tables before parts."""
    for group in ("nasbench201", "fbnet", "ofa_mbv3"):
        with_latency = [info.name for info in GROUPS[group].tables if info.of_kind("latency")]
        assert with_latency[0] == "latency_help"
    names = [info.name for info in GROUPS["nasbench201"].tables]
    assert all(names.index(first) < names.index(second) for first, second in pairwise(("latency_eagle_i7", "latency_oneproxy_eagle_1999")))
