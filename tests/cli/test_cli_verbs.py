"""Each verb calls its function of the library, and shows what it returns."""

from __future__ import annotations

import inspect
import re
import shlex
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from nasopt.cli.main import VERBS
from tests.cli.conftest import COMMAND_LINES, only_document
from tests.report import example_results as examples


@pytest.mark.parametrize("verb", VERBS)
def test_text_goes_to_stdout_and_nothing_to_stderr(nasopt, verb):
    result = nasopt(*COMMAND_LINES[verb])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()
    assert result.stderr == ""
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_json_is_one_document(nasopt, verb):
    result = nasopt(*COMMAND_LINES[verb], "--json", "-v")
    document = only_document(result)
    assert document["schema"] == f"nasopt/{verb}/1"
    assert document["command"].startswith(f"nasopt {verb}")
    assert document["exit"] == result.exit_code == 0
    assert document["seed"] == (0 if verb in {"compress", "verify", "bench", "proxies", "search"} else None)


@pytest.mark.parametrize("verb", VERBS)
def test_quiet_prints_nothing(nasopt, verb):
    result = nasopt(*COMMAND_LINES[verb], "-q")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("verb", VERBS)
def test_the_library_takes_what_the_command_line_gives(nasopt, verbs, verb, monkeypatch):
    nasopt(*COMMAND_LINES[verb])
    args, kwargs = verbs.calls[verb]
    monkeypatch.undo()
    module = import_module(f"nasopt.api.{verb}")
    inspect.signature(getattr(module, verb)).bind(*args, **kwargs)


@pytest.mark.parametrize("verb", VERBS)
def test_the_examples_in_the_help_work(nasopt, verb, tmp_path):
    (tmp_path / "nasopt.toml").write_text("flops-drop = 0.1")
    examples = nasopt(verb, "--help").stdout.partition("Examples:")[2].strip().splitlines()
    assert examples
    for example in examples:
        program, *arguments = shlex.split(re.split(r"[>|]", example)[0])
        assert (program, arguments[0]) == ("nasopt", verb)
        result = nasopt(*arguments)
        assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_of_commands_cuts_no_summary(nasopt, verb):
    line = next(line for line in nasopt("--help").stdout.splitlines() if line.startswith(f"  {verb} "))
    assert line.endswith(".")
    assert not line.endswith("...")


def test_without_arguments_help_is_shown(nasopt):
    result = nasopt()
    assert result.exit_code == 0
    assert all(f"  {verb} " in result.stdout for verb in VERBS)


def test_version(nasopt):
    from nasopt import __version__

    assert nasopt("--version").stdout == f"nasopt {__version__}\n"


def test_compress_passes_every_option(nasopt, verbs):
    line = (
        "compress net.onnx -o out.onnx --flops-drop 0.13 --params-drop 0.2 --memory-drop .3 --input-shape a:b:1,3,8,8 --input-shape c:2x4 "
        "--preserve *head* --preserve fc.* --granularity 8 --importance l1 --seed 5 --generations 9 --time-limit 1.5 --pareto front "
        "--best-effort --threads 2 --no-latency --no-simplify --fold-batchnorm --force --data cats.npy --preprocess p.json --data-limit 9 "
        "--no-compensate --finetune-steps 7 --finetune-epochs 2 --finetune-minutes .5 --augment flip --augment crop --checkpoint c.st "
        "--labels l.npy --learn-labels --measure 4 --metric m.py:score --predictor cifar10 --predictor-weight .5 "
        "--latency-drop 0.2 --device pi --device-command run"
    )
    assert nasopt(*line.split()).exit_code == 0
    args, options = verbs.calls["compress"]
    assert args == (Path("net.onnx"), Path("out.onnx"))
    assert options.pop("progress") is None
    assert options == {
        "flops_drop": 0.13,
        "params_drop": 0.2,
        "memory_drop": 0.3,
        "latency_drop": 0.2,
        "device": "pi",
        "device_command": "run",
        "input_shapes": {"a:b": (1, 3, 8, 8), "c": (2, 4)},
        "preserve": ("*head*", "fc.*"),
        "granularity": 8,
        "importance": "l1",
        "seed": 5,
        "generations": 9,
        "time_limit": 1.5,
        "pareto": Path("front"),
        "best_effort": True,
        "threads": 2,
        "measure_latency": False,
        "simplify": False,
        "fold_batchnorm": True,
        "data": Path("cats.npy"),
        "preprocess": "p.json",
        "data_limit": 9,
        "compensate": False,
        "finetune_steps": 7,
        "finetune_epochs": 2,
        "finetune_minutes": 0.5,
        "augment": ("flip", "crop"),
        "checkpoint": Path("c.st"),
        "labels": Path("l.npy"),
        "learn_labels": True,
        "measure": 4,
        "metric": "m.py:score",
        "predictor": "cifar10",
        "predictor_weight": 0.5,
        "force": True,
        "dry_run": False,
        "command": "nasopt " + line.replace("*head*", "'*head*'").replace("fc.*", "'fc.*'"),
    }


def test_compress_defaults_are_those_of_the_library(nasopt, verbs):
    nasopt(*COMMAND_LINES["compress"])
    options = verbs.options("compress")
    assert options["granularity"] == "auto"
    assert (options["simplify"], options["fold_batchnorm"], options["measure_latency"]) == (True, False, True)
    assert (options["generations"], options["time_limit"], options["importance"], options["pareto"]) == (None, None, None, None)
    assert (options["data"], options["preprocess"], options["data_limit"], options["compensate"]) == (None, None, None, True)
    assert (options["seed"], options["threads"], options["input_shapes"], options["preserve"]) == (0, None, {}, ())


def test_dry_run_needs_no_output(nasopt, verbs):
    verbs.answers["compress"] = examples.DRY
    result = nasopt("compress", "net.onnx", "--flops-drop", "0.1", "--dry-run")
    assert result.exit_code == 0
    assert verbs.calls["compress"][0] == (Path("net.onnx"), None)
    assert "nothing written" in result.stdout


@pytest.mark.parametrize("flags", [[], ["--json"], ["-q"]])
def test_a_slower_result_is_loud_and_ends_with_5(nasopt, verbs, flags):
    verbs.answers["compress"] = examples.SLOW
    result = nasopt(*COMMAND_LINES["compress"], *flags)
    assert result.exit_code == 5
    assert result.stderr.count("\n") == 1
    assert "SLOWER" in result.stderr
    assert "1.22 times" in result.stderr
    if "--json" in flags:
        assert only_document(result)["exit"] == 5


def test_best_effort_ends_with_3_and_says_so(nasopt, verbs):
    verbs.answers["compress"] = examples.MISSED
    result = nasopt(*COMMAND_LINES["compress"], "--best-effort")
    assert result.exit_code == 3
    assert "NOT REACHED" in result.stderr


def test_a_failed_verification_ends_with_1(nasopt, verbs):
    verbs.answers["verify"] = examples.NOT_VERIFIED
    result = nasopt(*COMMAND_LINES["verify"], "--json")
    assert result.exit_code == 1
    document = only_document(result)
    assert (document["ok"], document["exit"]) == (False, 1)
    assert [check["ok"] for check in document["checks"]] == [True, False]


def test_doctor_with_problems_ends_with_1(nasopt, verbs):
    verbs.answers["doctor"] = examples.SICK
    result = nasopt("doctor")
    assert result.exit_code == 1
    assert examples.SICK.problems[0] in result.stdout


def test_report_is_written_whole_and_not_over_another(nasopt, verbs, tmp_path):
    line = [*COMMAND_LINES["compress"], "--report", "page.html"]
    assert nasopt(*line).exit_code == 0
    page = tmp_path / "page.html"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "page.html", "small.json", "small.onnx", "trained"]

    page.write_text("mine")
    refused = nasopt(*line)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert page.read_text() == "mine"
    assert nasopt(*line, "--force").exit_code == 0
    assert page.read_text() != "mine"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        *((name, "overwrite a file of the same run") for name in ("net.onnx", "small.onnx", "small.json", "small.safetensors")),
        ("no/page.html", "does not exist"),
    ],
)
def test_report_where_it_cannot_be_is_refused_before_the_work(nasopt, verbs, target, said):
    result = nasopt(*COMMAND_LINES["compress"], "--force", "--report", target)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not verbs.calls


def test_verbose_shows_every_cut_group(nasopt, verbs):
    name = next(group.name for group in examples.RESNET.groups if group.channels_after != group.channels_before)
    assert name not in nasopt(*COMMAND_LINES["compress"]).stdout
    assert name in nasopt(*COMMAND_LINES["compress"], "-v").stdout


def test_names_cannot_steer_the_terminal(nasopt, verbs):
    node = replace(examples.INSPECT.nodes[0], name="evil\x1b[2J\rname")
    verbs.answers["inspect"] = replace(examples.INSPECT, nodes=(node,))
    result = nasopt("inspect", "net.onnx")
    assert "\x1b" not in result.stdout
    assert "evil\\x1b[2J\\rname" in result.stdout
