"""Every table of the catalogue is there, and every column of it is explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasopt.errors import UsageError
from nasopt.spaces.registry import SPACES
from nasopt.spaces.tables.catalogue import CATALOGUE
from nasopt.spaces.tables.info import TableInfo
from nasopt.spaces.tables.places import digest, expected, find, locate
from nasopt.spaces.tables.table import open_table

NO_TABLES = {"cg_samples", "ofa_mbv3/acc_predictor_mbv3.npz", "ofa_pn/acc_predictor_pn.npz"}


@pytest.fixture(autouse=True)
def place(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_all_files_of_the_data_are_in_the_catalogue(data: Path) -> None:
    known = {info.file for info in CATALOGUE}
    files = set(json.loads((data / "data/INDEX.json").read_text()))
    assert {file for file in files - known if file not in NO_TABLES and file.split("/")[0] not in NO_TABLES} == set()
    assert len(known) == len(CATALOGUE)


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)
def test_every_column_is_explained(info: TableInfo) -> None:
    table = open_table(info)
    told = {name: info.column(name) for name in table.columns}
    assert info.key in ("ofa", "mnasnet") or told[info.key].kind in ("key", "metric")
    assert not info.task or info.task in told
    assert any(one.kind in ("metric", "latency", "proxy", "cost") for one in told.values())
    # A number without a unit is a count, or a score of its own.
    no_unit = {name for name, one in told.items() if one.kind in ("metric", "latency") and not one.unit}
    assert no_unit <= {"darcy_score", *(name for name in told if info.stem == "darts_545" and name.endswith("_latency"))}
    unexplained = [name for name, one in told.items() if one.kind == "setting"]
    known = ("ks", "e", "d", "r", "block", "search_log", "run", "supernet", "img_size", "crop_pct", "interpolation", "batch_size")
    assert all(name.startswith(known) for name in unexplained) or info.group == "zoos"


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)
def test_keys_are_those_of_the_space(info: TableInfo) -> None:
    table = open_table(info)
    assert len(table.keys) == table.rows
    assert all(table.keys[:100])
    assert not info.space or info.space in SPACES


@pytest.mark.parametrize("info", CATALOGUE[::5], ids=lambda info: info.name)
def test_checksums_are_those_of_the_index(info: TableInfo) -> None:
    path = find(info)
    known = expected(path)
    assert known is not None
    assert digest(path) == known["sha256"]


def test_a_missing_table_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NASOPT_DATA")
    for info in CATALOGUE:
        assert locate(info) is None
        with pytest.raises(UsageError, match=r"is not here: .* or (fetch .*tables import PATH|its data are those of)"):
            find(info)


def test_a_damaged_table_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "data/nasbench_macro"
    folder.mkdir(parents=True)
    (tmp_path / "data/INDEX.json").write_text((data / "data/INDEX.json").read_text())
    (folder / "cifar10.parquet").write_bytes((data / "data/nasbench_macro/cifar10.parquet").read_bytes()[:-100])
    monkeypatch.setenv("NASOPT_DATA", str(tmp_path))
    info = next(info for info in CATALOGUE if info.group == "nasbench_macro")
    with pytest.raises(UsageError, match="damaged, fetch it again"):
        find(info)
    (tmp_path / "data/INDEX.json").unlink()
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        _ = open_table(info).rows
