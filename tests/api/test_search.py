"""Searches on real tables, their records, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from nasopt.api.runs import list_runs, show_run, table_of, watch_run
from nasopt.api.search import search
from nasopt.errors import UsageError
from nasopt.search.run_state import RunState, read_run
from nasopt.spaces.tables.query import query

pytestmark = pytest.mark.usefixtures("data")
SPACE = "nasbench201"


def test_what_is_told_is_what_the_tables_say() -> None:
    result = search(SPACE, objectives=["accuracy", "latency:pixel3", "params"], samples=30, seed=1)
    assert (result.evaluations, result.predictor, result.task) == (30, "zcpvec", "cifar10")
    for one in (result.best, *result.front):
        told = query(SPACE, one.arch, ["accuracy/valid_cifar10", "accuracy/nats_test_cifar10", "latency:pixel3", "accuracy/params_m"])[
            0
        ].values
        assert one.valid_accuracy == one.values["accuracy"] == told["accuracy/valid_cifar10"]
        assert one.test_accuracy == told["accuracy/nats_test_cifar10"]
        assert (one.values["latency:pixel3"], one.values["params"]) == (told["latency:pixel3"], told["accuracy/params_m"])
    values = np.array([[-one.values["accuracy"], one.values["latency:pixel3"], one.values["params"]] for one in result.front])
    assert not any((one <= other).all() and (one < other).any() for one in values for other in values)
    assert result.best.valid_accuracy == max(one.values["accuracy"] for one in result.front)


@pytest.mark.parametrize(("objectives", "candidates"), [(["accuracy"], 6466), (["accuracy", "latency:pixel3"], 15625)])
def test_every_candidate_can_be_chosen_or_is_counted_as_left_out(objectives: list[str], candidates: int) -> None:
    result = search(SPACE, objectives=objectives, samples=5)
    assert result.left_out > 0
    assert result.pool + result.left_out == candidates


def test_a_predictor_needs_forty_architectures() -> None:
    found = [search(SPACE, samples=40, seed=seed).best.test_accuracy for seed in range(5)]
    assert np.median(found) >= 94.27  # of 15,625 cells 8 reach as much
    assert np.median([search(SPACE, strategy="random", samples=40, seed=seed).best.test_accuracy for seed in range(5)]) < 94.27


@pytest.mark.parametrize("asked", [0, 1, 17, 30])
@pytest.mark.parametrize("strategy", ["predictor", "evolution"])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path: Path, strategy: str, asked: int) -> None:
    given = {"objectives": ["accuracy", "latency:fpga"], "strategy": strategy, "samples": 30, "seed": 4}
    whole = search(SPACE, **given, run=tmp_path / "whole.run")
    with RunState.create(tmp_path / "part.run", read_run(tmp_path / "whole.run")[0]["settings"]) as state:
        for one in read_run(tmp_path / "whole.run")[1][:asked]:
            state.ask(one.number, one.question, lambda one=one: one.answer)
    resumed = search(resume=tmp_path / "part.run")
    assert resumed == replace(whole, run=tmp_path / "part.run")
    assert [(one.question, one.answer) for one in read_run(tmp_path / "part.run")[1]] == [
        (one.question, one.answer) for one in read_run(tmp_path / "whole.run")[1]
    ]


def test_a_signal_saves_the_run_and_says_how_to_go_on(tmp_path: Path) -> None:
    """A slow pool, so that there is something to interrupt."""
    program = """
import time
from nasopt.search.run_state import RunState
known = RunState.ask
RunState.ask = lambda state, *question: time.sleep(0.05) or known(state, *question)
from nasopt.cli.main import main
main()
"""
    command = [sys.executable, "-c", program, "search", "--space", SPACE, "--samples", "200", "--run", "a.run"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ)
    while not (tmp_path / "a.run").exists() or not show_run(tmp_path / "a.run").summary.evaluations:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "nasopt search --resume a.run" in said
    done = len(read_run(tmp_path / "a.run")[1])
    assert 0 < done < 200
    resumed = search(resume=tmp_path / "a.run")
    assert resumed == replace(search(SPACE, samples=200), run=tmp_path / "a.run")


def test_runs_are_listed_shown_and_exported(tmp_path: Path) -> None:
    result = search(SPACE, objectives=["accuracy", "macs"], samples=12, run=tmp_path / "a.run")
    (tmp_path / "b.run").write_text("something else")
    (summary,) = list_runs(tmp_path).runs
    assert (summary.state, summary.evaluations, summary.samples) == ("done", 12, 12)
    shown = show_run(tmp_path / "a.run")
    assert shown.best is not None
    assert replace(shown.best, test_accuracy=result.best.test_accuracy) == result.best
    assert [one.arch for one in shown.front] == [one.arch for one in result.front]
    values = [value for _, value in shown.history]
    assert values == sorted(values)
    assert values[-1] == result.best.values["accuracy"]
    rows = table_of(tmp_path / "a.run")
    assert [row["number"] for row in rows] == list(range(1, 13))
    assert rows[result.best.number - 1]["arch"] == result.best.arch
    assert [(number, arch) for number, _, arch, _ in watch_run(tmp_path / "a.run")] == [(row["number"], row["arch"]) for row in rows]


def test_the_front_is_exported_as_networks(tmp_path: Path) -> None:
    result = search(SPACE, task="cifar100", objectives=["accuracy", "params"], samples=10, export=tmp_path / "found")
    assert [one.file for one in result.front] == sorted((tmp_path / "found").iterdir())
    model = onnx.load(result.front[0].file)
    onnx.checker.check_model(model)
    assert model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 100
    with pytest.raises(UsageError, match="no empty directory"):
        search(SPACE, samples=5, export=tmp_path / "found")


def test_earlier_runs_and_own_measurements_are_a_beginning(tmp_path: Path) -> None:
    space, target = "transnasbench101_micro", "class_object"
    search(space, task="class_scene", samples=60, run=tmp_path / "scene.run")
    told = query(space, [str(row["arch"]) for row in table_of(tmp_path / "scene.run")], [f"micro/valid_{target}"])
    values = [(one.key, one.values[f"micro/valid_{target}"]) for one in told]
    lines = ["arch,accuracy", *(f'"{key}",{value}' for key, value in values)]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    ranks = {}
    for source in (None, "scene.run", "own.csv"):
        found = [
            search(space, task=target, samples=10, seed=seed, init_from=source and tmp_path / source).best.valid_accuracy
            for seed in range(5)
        ]
        ranks[source] = float(np.median(found))
    assert ranks["scene.run"] > ranks[None]
    assert ranks["own.csv"] > ranks[None]
    begun = search(space, task=target, samples=25, init_from=tmp_path / "scene.run", run=tmp_path / "b.run")
    (tmp_path / "scene.run").unlink()  # it is in the record
    assert search(resume=tmp_path / "b.run") == begun


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arch\nx", "no column accuracy"),
        ("arch,accuracy\nx,1", "1 measurements"),
        ("arch,accuracy\nx,much", "much"),
        ("arch,accuracy\na,1\nb,2\nc,3", "no architecture"),
        ("arch,accuracy\n64-41414-0_00_000,nan", "not finite"),
    ],
)
def test_measurements_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        search("transnasbench101_micro", samples=10, init_from=tmp_path / "own.csv")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "--space"),
        ({"space": "nowhere"}, "nowhere"),
        ({"space": "fbnet"}, "no accuracies"),
        ({"space": SPACE, "task": "cats"}, "cifar100"),
        ({"space": SPACE, "objectives": ["speed"]}, "latency:DEVICE"),
        ({"space": SPACE, "objectives": ["latency:abacus"]}, "abacus"),
        ({"space": SPACE, "objectives": ["accuracy", "accuracy:cifar10"]}, "another figure"),
        ({"space": SPACE, "predictor": "tea"}, "zcpvec"),
        ({"space": SPACE, "strategy": "luck"}, "evolution"),
        ({"space": SPACE, "samples": 0}, "--samples 0"),
        ({"space": SPACE, "seed": -1}, "--seed -1"),
        ({"space": "transnasbench101_macro", "predictor": "zcp"}, "--predictor vec"),
        ({"resume": "none.run"}, "no such run"),
        ({"space": SPACE, "resume": "none.run"}, "leave --space"),
    ],
)
def test_what_cannot_be_asked(options: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        search(**options)
    assert not list(tmp_path.iterdir())


def test_a_run_of_another_version_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search(SPACE, samples=5, run=tmp_path / "a.run")
    with pytest.raises(UsageError, match="exists already"):
        search(SPACE, samples=5, run=tmp_path / "a.run")
    monkeypatch.setattr("nasopt.api.search.__version__", "9.9")
    with pytest.raises(UsageError, match="begin anew"):
        search(resume=tmp_path / "a.run")
