"""``nasopt tables …``, through to files: lookups, imports, and what is refused."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from nasopt.cli.main import application
from nasopt.cli.tables import command
from nasopt.spaces.tables.catalogue import GROUPS
from tests.cli.conftest import only_document

CELL = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|"


@pytest.fixture
def tables(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NASOPT_DATA", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(application, ["tables", *arguments])


def test_all_tables_are_listed(tables) -> None:
    document = only_document(tables("list", "--json"))
    assert [table["name"] for table in document["tables"]] == [info.label for group in GROUPS.values() for info in group.tables]
    assert all(table["rows"] for table in document["tables"])
    assert "not here" not in tables("list").stdout


def test_a_group_without_a_verb_shows_its_verbs(tables) -> None:
    result = tables()
    assert result.exit_code == 0
    assert all(name in result.stdout for name in command.commands)


@pytest.mark.parametrize("name", ["list", "show", "query"])
def test_the_examples_in_the_help_work(tables, name: str) -> None:
    examples = tables(name, "--help").stdout.partition("Examples:")[2].strip().splitlines()
    assert examples
    for example in examples:
        _, _, verb, *arguments = shlex.split(example)
        result = tables(verb, *arguments)
        assert result.exit_code == 0, result.output


def test_values_come_unrounded_and_keyed_as_asked(tables) -> None:
    document = only_document(
        tables("query", "nasbench201", "--arch", CELL, "--metric", "nats_test_cifar10", "--metric", "latency:pixel3", "--json")
    )  # fmt: skip
    assert document["schema"] == "nasopt/tables-query/1"
    assert document["values"] == {"nats_test_cifar10": 86.61666666666667, "latency:pixel3": 1.06264}
    text = tables("query", "nasbench201", "--arch", CELL, "--metric", "nats_test_cifar10").stdout
    assert "86.61666666666667" in text


def test_a_release_is_imported_and_asked(tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NASOPT_DATA")
    file = tmp_path / "results-imagenet.csv"
    file.write_text(
        "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation\nnet.a,224,81.5,18.5,95.0,5.0,12.5,0.9,bicubic\n"
    )
    document = only_document(tables("import", str(file), "--json"))
    name = document["table"]["name"]
    assert name.startswith("timm/")
    found = only_document(tables("query", "timm", "--arch", "net.a", "--metric", f"{name.split('/')[1]}/top1", "--json"))
    assert list(found["values"].values()) == [81.5]
    assert name in tables("list").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nasbench21"], "did you mean nasbench201"),
        (["show", "nasbench201/none"], "has no table 'none'"),
        (["query", "nasbench201", "--arch", CELL], "--metric"),
        (["query", "nasbench201", "--arch", "x", "--metric", "nats_test_cifar10"], "is no architecture"),
        (["query", "nasbench201", "--arch", CELL, "--metric", "synflow"], "write one of"),
        (["import", "missing.pth"], "does not exist"),
    ],
)
def test_wrong_use_is_answered_in_one_line(tables, arguments: list[str], said: str) -> None:
    result = tables(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_strange_files_are_not_imported(tables, tmp_path: Path) -> None:
    for name, content in (
        ("a.pth", b"junk"),
        ("b.pickle", b"cos\nsystem\n(S'touch owned'\ntR."),
        ("c.csv", b"a,b\n1,2\n"),
        ("d.tfrecord", b"\0" * 64),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        result: Result = tables("import", str(file))
        assert result.exit_code == 2, result.output
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "cache").exists()


def test_a_missing_table_says_what_to_fetch(tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NASOPT_DATA")
    result = tables("query", "nasbench201", "--arch", CELL, "--metric", "nats_test_cifar10")
    assert result.exit_code == 2
    assert "NAS-Bench-201-v1_1-096897.pth" in result.stderr
    assert "nasopt tables import" in result.stderr
    assert "not here" in tables("list").stdout


def test_numbers_may_be_missing(tables) -> None:
    document = only_document(
        tables("query", "nasbench201", "--arch", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "--metric", "naswot_score", "--json")
    )  # fmt: skip
    value = document["values"]["naswot_score"]
    assert value is None or np.isfinite(value)
