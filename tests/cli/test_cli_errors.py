"""Whatever goes wrong: one line, the right exit code and, with --json, one document."""

from __future__ import annotations

import pytest

from nasopt.errors import (
    ConstraintUnreachableError,
    InvalidEditError,
    MissingExtraError,
    ModelNotSupportedError,
    UsageError,
    VerificationError,
)
from tests.cli.conftest import COMMAND_LINES, only_document

COMPRESS = COMMAND_LINES["compress"]

ERRORS = [
    (UsageError("small.onnx exists; --force overwrites it"), 2, "UsageError"),
    (MissingExtraError("needs torch: pip install nasopt[torch]"), 2, "MissingExtraError"),
    (ConstraintUnreachableError("at most -41.2 % MACs can be reached", {"flops": 0.412, "params": 0.5}), 3, "ConstraintUnreachableError"),
    (ModelNotSupportedError("net.onnx is not an ONNX file:\n  truncated"), 4, "ModelNotSupportedError"),
    (InvalidEditError("the script names another model"), 4, "InvalidEditError"),
    (VerificationError("the result differs"), 1, "VerificationError"),
    (PermissionError(13, "Permission denied", "small.onnx"), 2, "PermissionError"),
    (KeyboardInterrupt(), 130, "Interrupted"),
    (ZeroDivisionError("division by zero"), 1, "ZeroDivisionError"),
    (AssertionError(), 1, "AssertionError"),
]


@pytest.mark.parametrize(("error", "code", "kind"), ERRORS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_error_is_one_line(nasopt, verbs, error, code, kind):
    verbs.answers["compress"] = error
    result = nasopt(*COMPRESS)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("nasopt: ")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("nasopt: error: ") == (code != 130)


@pytest.mark.parametrize(("error", "code", "kind"), ERRORS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_error_is_one_document(nasopt, verbs, error, code, kind):
    verbs.answers["compress"] = error
    result = nasopt(*COMPRESS, "--json", "--seed", "3")
    document = only_document(result)
    assert document["schema"] == "nasopt/error/1"
    assert (document["seed"], document["exit"]) == (3, code)
    assert document["error"]["type"] == kind
    assert document["error"]["message"] in result.stderr
    assert document["error"].get("reachable") == (error.reachable if code == 3 else None)
    assert document["command"] == "nasopt compress net.onnx --flops-drop 0.13 -o small.onnx --json --seed 3"


def test_an_unexpected_error_shows_its_traceback_only_when_asked(nasopt, verbs):
    verbs.answers["compress"] = ZeroDivisionError("division by zero")
    said = "nasopt: error: unexpected ZeroDivisionError: division by zero; run with -vv for the traceback\n"
    assert nasopt(*COMPRESS, "-v").stderr == said
    verbose = nasopt(*COMPRESS, "-vv").stderr
    assert verbose.startswith("Traceback")
    assert verbose.endswith(said)


USAGE = [
    (["compres"], "compres"),
    (["compress"], "MODEL"),
    (["compress", "missing.onnx", "--flops-drop", "0.1", "-o", "x.onnx"], "missing.onnx"),
    (["compress", "net.onnx", "-o", "x.onnx"], "--flops-drop 0.13"),
    (["compress", "net.onnx", "--flops-drop", "0.1"], "--dry-run"),
    (["compress", "net.onnx", "--flops-dorp", "0.1"], "--flops-drop"),
    (["apply", "small.json", "net.onnx"], "--output"),
    (["bench", "net.onnx", "--runs", "0"], "--runs"),
    *(
        (["compress", "net.onnx", "-o", "x.onnx", option, value], said)
        for option, value, said in [
            ("--flops-drop", "13", "13 means 0.13?"),
            ("--params-drop", "13%", "13% means 0.13?"),
            ("--memory-drop", "1", "both excluded"),
            ("--flops-drop", "0", "both excluded"),
            ("--flops-drop", "-0.1", "both excluded"),
            ("--flops-drop", "nan", "nan is not a share"),
            ("--flops-drop", "inf", "inf is not a share"),
            ("--flops-drop", "much", "'much' is not a number"),
            ("--granularity", "0", "'auto'"),
            ("--granularity", "fine", "'auto'"),
            ("--input-shape", "1,3,224,224", "input:1,3,224,224"),
            ("--input-shape", "input:1,3,a", "input:1,3,224,224"),
            ("--input-shape", "input:", "input:1,3,224,224"),
            ("--input-shape", "input:1,0,8", "positive size"),
            ("--seed", "-1", "--seed"),
            ("--generations", "0", "--generations"),
            ("--time-limit", "0", "--time-limit"),
            ("--threads", "0", "--threads"),
        ]
    ),
]


@pytest.mark.parametrize(("line", "said"), USAGE, ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "")
@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["text", "json"])
def test_a_wrong_command_line_is_one_line_and_2(nasopt, verbs, line, said, flags):
    result = nasopt(*line, *flags)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not verbs.calls
    if flags:
        document = only_document(result)
        assert (document["exit"], document["error"]["type"]) == (2, "UsageError")
    else:
        assert result.stdout == ""


def test_an_input_given_twice(nasopt):
    result = nasopt("inspect", "net.onnx", "--input-shape", "a:1", "--input-shape", "a:2")
    assert result.exit_code == 2
    assert "'a' is given twice" in result.stderr
    assert "--input-shape" in result.stderr


def test_no_drop_of_a_whole_is_suggested_where_none_is_meant(nasopt):
    assert "means" not in nasopt("compress", "net.onnx", "-o", "x.onnx", "--flops-drop", "250").stderr
