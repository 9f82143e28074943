"""--config: the file gives options, the command line wins, and a misspelt key is named."""

from __future__ import annotations

import pytest


@pytest.fixture
def configured(nasopt, tmp_path):
    def run(toml: str, *arguments: str):
        (tmp_path / "nasopt.toml").write_text(toml, encoding="utf-8")
        return nasopt("compress", "net.onnx", "-o", "x.onnx", "--config", "nasopt.toml", *arguments)

    return run


@pytest.mark.parametrize(
    "toml", ["flops-drop = 0.2", "flops_drop = 0.2", "[compress]\nflops-drop = 0.2", "flops-drop = 0.9\n[compress]\nflops_drop = 0.2"]
)
def test_the_file_gives_what_the_command_line_does_not(configured, verbs, toml):
    result = configured(toml)
    assert result.exit_code == 0, result.stderr
    assert verbs.options("compress")["flops_drop"] == 0.2


def test_the_command_line_wins(configured, verbs):
    toml = 'flops-drop = 0.2\nseed = 4\nlatency = false\npreserve = ["a", "b"]'
    configured(toml, "--flops-drop", "0.3", "--latency", "--preserve", "c")
    options = verbs.options("compress")
    assert (options["flops_drop"], options["seed"], options["measure_latency"], options["preserve"]) == (0.3, 4, True, ("c",))


def test_every_kind_of_option(configured, verbs):
    configured(
        "flops-drop = 0.2\nno-latency = true\nfold-batchnorm = true\nsimplify = false\ngranularity = 4\npreserve = 'head'\n"
        "input-shape = ['x:1,3,8,8', 'y:1x2']\ntime-limit = 2"
    )
    options = verbs.options("compress")
    assert (options["measure_latency"], options["fold_batchnorm"], options["simplify"]) == (False, True, False)
    assert (options["granularity"], options["preserve"], options["time_limit"]) == (4, ("head",), 2.0)
    assert options["input_shapes"] == {"x": (1, 3, 8, 8), "y": (1, 2)}


def test_json_and_quiet_work_from_the_file(configured):
    assert configured("flops-drop = 0.2\njson = true").stdout.startswith('{\n  "schema": "nasopt/compress/1"')
    assert configured("flops-drop = 0.2\nquiet = true").stdout == ""


def test_a_file_may_hold_tables_for_other_verbs(configured, verbs):
    assert configured("[inspect]\nruns = 7\n[compress]\nflops-drop = 0.2").exit_code == 0
    assert verbs.options("compress")["flops_drop"] == 0.2


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("flop-drop = 0.2", "unknown key 'flop-drop'; the closest is 'flops-drop'"),
        ("[compress]\nflops_dorp = 0.2", "unknown key 'flops_dorp'; the closest is 'flops-drop'"),
        ("config = 'other.toml'", "unknown key 'config'"),
        ("help = true", "unknown key 'help'"),
        ("[inspekt]\nverbose = 1", "unknown key 'inspekt'"),
        ("inspect = 1", "unknown key 'inspect'"),
        ("generations = 1.5", "nasopt.toml: generations: 1.5 is not a whole number"),
        ("compress = 1", "must be a table"),
        ("flops-drop = 13", "13 means 0.13?"),
        ("flops-drop = true", "flops-drop must not be true or false"),
        ("force = 1", "force must be true or false"),
        ("seed = 'x'", "nasopt.toml: seed: 'x' is not a valid int"),
        ("generations = 0", "nasopt.toml: generations: 0 is not in the range"),
        ("flops-drop = [0.1]", "nasopt.toml: flops-drop: "),
        ("report = 3", "nasopt.toml: report: "),
        ("threads = {a = 1}", "nasopt.toml: threads: "),
        ("input_shape = 'x'", "nasopt.toml: input_shape: "),
        ("flops-drop = ", "nasopt.toml is not valid TOML"),
    ],
)
def test_a_wrong_file_is_one_line_and_2(configured, verbs, toml, said):
    result = configured(toml)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not verbs.calls


def test_a_file_that_does_not_exist(nasopt):
    result = nasopt("compress", "net.onnx", "--config", "no.toml")
    assert result.exit_code == 2
    assert "no.toml" in result.stderr
