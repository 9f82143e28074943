"""Where tables are found, and that only intact ones are read."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nasopt.errors import UsageError
from nasopt.spaces.tables import places
from nasopt.spaces.tables.query import query

KEYS = ["_".join(["0"] * 21 + [str(last)]) for last in range(3)]


def write(path: Path, pixel: list[float]) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"index": [0, 1, 2], "arch_key": KEYS, "pixel3": pixel}), path)
    return path.read_bytes()


@pytest.fixture
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASOPT_DATA", str(tmp_path / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "shared" / "data"


def pixel3(architecture: str) -> object:
    return query("fbnet", architecture, ["latency:pixel3"])[0].values["latency:pixel3"]


def test_data_directory_goes_before_cache(data_directory: Path) -> None:
    write(places.cache_directory() / "fbnet" / "latency_help.parquet", [4, 5, 6])
    assert pixel3(KEYS[1]) == 5
    write(data_directory / "fbnet" / "latency_help.parquet", [1, 2, 3])
    assert pixel3(KEYS[1]) == 2


def test_cache_directory_without_the_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NASOPT_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):  # which the specification says to ignore
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert places.directories() == (tmp_path / ".cache" / "nasopt" / "tables",)


@pytest.mark.parametrize("where", ["data", "cache"])
def test_the_index_is_believed(data_directory: Path, where: str) -> None:
    root = data_directory if where == "data" else places.cache_directory()
    path = root / "fbnet" / "latency_help.parquet"
    content = write(path, [1, 2, 3])
    (root / "INDEX.json").write_text(json.dumps({"fbnet/latency_help.parquet": {"sha256": hashlib.sha256(content).hexdigest()}}))
    assert pixel3(KEYS[0]) == 1
    write(path, [7, 8, 9])  # a whole Parquet file, but another; it was found good before
    with pytest.raises(UsageError, match="is not the table that was published"):
        pixel3(KEYS[0])


def test_a_changed_file_is_read_anew(data_directory: Path) -> None:
    path = data_directory / "fbnet" / "latency_help.parquet"
    write(path, [1, 2, 3])
    assert pixel3(KEYS[2]) == 3
    write(path, [1, 2, 4])
    os.utime(path, ns=(1, 1))
    assert pixel3(KEYS[2]) == 4


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', "{", '{"a": {}}'])
def test_a_broken_index_is_named(data_directory: Path, content: str) -> None:
    write(data_directory / "fbnet" / "latency_help.parquet", [1, 2, 3])
    (data_directory / "INDEX.json").write_text(content)
    with pytest.raises(UsageError, match=r"INDEX\.json: is no index of tables"):
        pixel3(KEYS[0])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"<html>not found</html>", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet_is_named(data_directory: Path, content: bytes) -> None:
    path = data_directory / "fbnet" / "latency_help.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"latency_help\.parquet: cannot be read as Parquet"):
        pixel3(KEYS[0])


def test_a_column_that_is_not_there(data_directory: Path) -> None:
    write(data_directory / "fbnet" / "latency_help.parquet", [1, 2, 3])
    with pytest.raises(UsageError, match="has no column 'raspi4'"):
        query("fbnet", KEYS[0], ["latency:raspi4"])


def test_an_absent_table_says_what_to_do(data_directory: Path) -> None:
    with pytest.raises(UsageError) as caught:
        pixel3(KEYS[0])
    message = str(caught.value)
    assert "fbnet/latency_help is not here" in message
    assert "https://github.com/HayeonLee/HELP" in message
    assert "nasopt tables import data/fbnet" in message
    assert str(data_directory / "fbnet" / "latency_help.parquet") in message
    with pytest.raises(UsageError, match=r"zcp_nasflat is not here: .*abdelfattah-lab.*cannot import"):
        query("fbnet", KEYS[0], ["synflow"])


def test_without_pyarrow(data_directory: Path) -> None:
    write(data_directory / "fbnet" / "latency_help.parquet", [1, 2, 3])
    program = """
import sys
sys.modules["pyarrow"] = None
from nasopt.errors import MissingExtraError
from nasopt.spaces.tables.catalogue import list_tables
from nasopt.spaces.tables.query import query
assert list_tables()
try:
    query("fbnet", "0", ["pixel3"])
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "nasopt[tables]" in done.stdout
