"""Imported releases: kept whole, found again, and asked like any other table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.spaces.tables.places import digest, expected
from nasopt.spaces.tables.query import query
from nasopt.spaces.tables.release import Release
from nasopt.spaces.tables.store import catalogue, keep

CELLS = [f"|{name}~0|+|none~0|none~1|+|none~0|none~1|none~2|" for name in ("none", "skip_connect", "nor_conv_1x1")]


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NASOPT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def release(values: list[float], name: str = "nats_bench") -> Release:
    columns = {"index": np.arange(3), "arch_str": CELLS, "test_cifar10": np.array(values), "latency_cpu": np.array([1.0, 2.0, 3.0])}
    return Release(name, "nasbench201", columns, {"test_cifar10": "%", "latency_cpu": "ms"}, "somebody", "MIT", "for tests")


def test_what_was_kept_is_found_and_asked() -> None:
    info, path = keep(release([10.0, 20.5, 30.25]))
    assert info.name == "nasbench201/nats_bench"
    known = expected(path)
    assert known is not None
    assert digest(path) == known["sha256"]
    found = query("nasbench201", CELLS[1], ["test_cifar10", "latency:latency_cpu"])
    assert found.values == {"test_cifar10": 20.5, "latency:latency_cpu": 2.0}
    assert found.units["test_cifar10"] == "%"
    assert info.name in [one.name for one in catalogue()]


def test_a_second_import_replaces_the_first() -> None:
    keep(release([1.0, 2.0, 3.0]))
    keep(release([4.0, 5.0, 6.0]))
    assert query("nasbench201", "0", ["test_cifar10"]).values == {"test_cifar10": 4.0}


@pytest.mark.parametrize("name", ["../outside", "", "a/b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be kept"):
        keep(release([1.0, 2.0, 3.0], name))
    assert not list(tmp_path.rglob("*.parquet"))


def test_damage_is_noticed(tmp_path: Path) -> None:
    _, path = keep(release([1.0, 2.0, 3.0]))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(UsageError, match="damaged"):
        query("nasbench201", CELLS[0], ["test_cifar10"])


def test_cards_that_are_not_ours_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "nasopt/tables/imported"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text('{"name": 1}')
    assert all(info.file.startswith(("imported", "nas", "fb", "trans", "onc", "acc", "ofa", "timm", "zoos")) for info in catalogue())
    assert not any(info.file.startswith("imported") for info in catalogue())


def test_columns_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        Release("x", "fbnet", {"a": [1, 2], "b": [1]})  # type: ignore[dict-item]
